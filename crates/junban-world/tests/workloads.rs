//! Controllers, kubelets and the scheduler: how pods start, move and end.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use junban_world::{
    DeleteOptions, Effect, EvictOptions, NodeOp, NodeSpec, OwnerKind, Phase, Pod, PowerRequest, Removal,
    Selector, Span, Taint, Truth, VolumeKind, Workload, World, WorldBuilder,
};
use std::sync::Arc;

fn cluster(nodes: usize, workload: Workload) -> World {
    let mut b = WorldBuilder::new(5);
    b.nodes(nodes, Span::secs(20, 30))
        .workload(workload)
        .service("shop", "cart");
    b.build()
}

fn cart(kind: OwnerKind, replicas: i64) -> Workload {
    Workload::new(kind, "shop", "cart", replicas)
}

fn pods(w: &World) -> Vec<Arc<Pod>> {
    w.store()
        .pods_selected("shop", &Selector::label("app", "cart"))
        .into_iter()
        .cloned()
        .collect()
}

fn evict(w: &mut World, pod: &Pod) {
    let options = EvictOptions {
        uid: Some(pod.meta.uid.to_string()),
        ..EvictOptions::default()
    };
    w.client("junban")
        .evict(&pod.meta.namespace, &pod.meta.name, &options)
        .unwrap();
}

fn cordon(w: &mut World, node: &str) {
    w.client("junban")
        .patch_node(node, &[NodeOp::SetUnschedulable(true)])
        .unwrap();
}

fn power(w: &mut World, node: &str) {
    w.power(&PowerRequest {
        node: node.into(),
        ..PowerRequest::default()
    });
}

#[test]
fn a_cluster_runs_when_it_is_built() {
    let w = cluster(3, cart(OwnerKind::Deployment, 4));
    assert_eq!(w.now(), 0);
    let pods = pods(&w);
    assert_eq!(pods.len(), 4);
    assert!(
        pods.iter()
            .all(|p| p.status.ready && p.node.is_some() && p.status.container_ids.len() == 1)
    );
    let top = w.store().topmost(&pods[0]).unwrap();
    assert_eq!((top.kind, &*top.meta.name), (OwnerKind::Deployment, "cart"));
    assert!(pods[0].owned_by(OwnerKind::ReplicaSet));
}

#[test]
fn a_deployment_makes_the_successor_while_the_old_pod_still_terminates() {
    let mut w = cluster(
        2,
        cart(OwnerKind::Deployment, 1).with(|t| t.behaviour.ignores_sigterm = true),
    );
    let old = pods(&w)[0].clone();
    evict(&mut w, &old);
    w.advance_to(5000);
    let now = pods(&w);
    assert_eq!(now.len(), 2);
    assert!(now.iter().any(|p| p.terminating() && p.meta.uid == old.meta.uid));
    w.advance_to(29_000);
    assert_eq!(
        pods(&w).len(),
        2,
        "the old pod ignores SIGTERM until its grace period of 30 s is over"
    );
    w.advance_to(31_000);
    assert_eq!(pods(&w).len(), 1);
}

#[test]
fn a_stateful_set_waits_until_the_old_pod_is_gone_and_takes_its_name() {
    let mut w = cluster(
        2,
        cart(OwnerKind::StatefulSet, 1).with(|t| t.behaviour.ignores_sigterm = true),
    );
    let old = pods(&w)[0].clone();
    assert_eq!(&*old.meta.name, "cart-0");
    evict(&mut w, &old);
    w.advance_to(29_000);
    assert_eq!(pods(&w).len(), 1);
    w.advance_to(50_000);
    let new = pods(&w)[0].clone();
    assert_eq!(new.meta.name, old.meta.name);
    assert_ne!(new.meta.uid, old.meta.uid);
    assert!(new.status.ready);
}

#[test]
fn a_local_volume_pins_its_pod_until_the_node_is_schedulable_again() {
    let mut w = cluster(
        3,
        cart(OwnerKind::StatefulSet, 1)
            .claim(VolumeKind::Local)
            .on(&["node-2"]),
    );
    cordon(&mut w, "node-2");
    let old = pods(&w)[0].clone();
    evict(&mut w, &old);
    w.advance_to(600_000);
    let pending = pods(&w)[0].clone();
    assert_eq!(
        (pending.status.phase, pending.node.clone()),
        (Phase::Pending, None)
    );
    w.client("junban")
        .patch_node("node-2", &[NodeOp::SetUnschedulable(false)])
        .unwrap();
    w.advance_to(630_000);
    assert_eq!(pods(&w)[0].node.as_deref(), Some("node-2"));
    assert!(pods(&w)[0].status.ready);
}

#[test]
fn a_network_volume_is_detached_after_its_pod_ended_and_delays_the_next_pod() {
    let mut w = cluster(
        2,
        cart(OwnerKind::StatefulSet, 1)
            .claim(VolumeKind::Network)
            .on(&["node-1"]),
    );
    assert_eq!(w.store().attachments().count(), 1);
    cordon(&mut w, "node-1");
    let old = pods(&w)[0].clone();
    evict(&mut w, &old);
    w.advance_to(30_000);
    let attachments: Vec<_> = w.store().attachments().map(|a| a.node.to_string()).collect();
    assert_eq!(attachments, ["node-2"]);
    assert!(pods(&w)[0].status.ready);
}

#[test]
fn a_daemon_set_has_one_pod_on_each_node_and_adds_one_for_a_new_node() {
    let mut w = cluster(3, cart(OwnerKind::DaemonSet, 0));
    assert_eq!(pods(&w).len(), 3);
    w.client("kubectl").delete_node("node-3").unwrap();
    w.advance_to(30_000);
    assert_eq!(pods(&w).len(), 2);
    w.register_node("node-3");
    w.advance_to(60_000);
    assert_eq!(pods(&w).len(), 3);
}

#[test]
fn a_job_runs_to_its_end_and_starts_again_when_evicted() {
    let job = cart(OwnerKind::Job, 1).with(|t| t.behaviour.runs_for = Some(Span::secs(100, 100)));
    let mut w = cluster(2, job);
    let first = pods(&w)[0].clone();
    w.advance_to(50_000);
    evict(&mut w, &first);
    w.advance_to(110_000);
    let running: Vec<_> = pods(&w)
        .into_iter()
        .filter(|p| p.status.phase == Phase::Running)
        .collect();
    assert_eq!(running.len(), 1);
    assert_ne!(running[0].meta.uid, first.meta.uid);
    w.advance_to(300_000);
    let ended = pods(&w);
    assert_eq!((ended.len(), ended[0].status.phase), (1, Phase::Succeeded));
    let uid = ended[0].meta.uid.clone();
    w.advance_to(900_000);
    assert_eq!(pods(&w)[0].meta.uid, uid, "a completed pod stays the same object");
}

#[test]
fn after_a_hard_reset_pods_keep_uid_and_node_and_restart_in_place() {
    let mut w = cluster(2, cart(OwnerKind::Deployment, 1).on(&["node-1"]));
    let before = pods(&w)[0].clone();
    power(&mut w, "node-1");
    w.advance_to(10_000);
    assert!(pods(&w)[0].status.ready, "the API does not show the reset yet");
    let boot = w.store().node("node-1").unwrap().status.boot_id.clone();
    while w.store().node("node-1").unwrap().status.boot_id == boot {
        w.advance_until_change(60_000);
    }
    let shown = w.now();
    assert!(
        pods(&w)[0].status.ready,
        "the API shows the old status until shortly after the new bootID"
    );
    assert_eq!(pods(&w)[0].status.container_ids, before.status.container_ids);
    w.advance_to(shown + 601);
    assert!(!pods(&w)[0].status.ready);
    w.advance_to(shown + 20_000);
    let after = pods(&w)[0].clone();
    assert!(after.status.ready);
    assert_eq!((&after.meta.uid, &after.node), (&before.meta.uid, &before.node));
    assert_eq!(after.status.restarts, 1);
    assert_ne!(after.status.container_ids, before.status.container_ids);
}

#[test]
fn pods_of_a_dead_node_become_unready_and_are_replaced_after_five_minutes() {
    let mut w = cluster(2, cart(OwnerKind::Deployment, 1).on(&["node-1"]));
    w.kill("node-1");
    w.advance_to(65_000);
    assert!(!pods(&w)[0].status.ready);
    assert_eq!(pods(&w).len(), 1);
    w.advance_to(400_000);
    let now = pods(&w);
    assert_eq!(now.len(), 2, "the old pod stays, because its kubelet is down");
    assert!(
        now.iter()
            .any(|p| p.terminating() && p.node.as_deref() == Some("node-1"))
    );
    assert!(
        now.iter()
            .any(|p| p.status.ready && p.node.as_deref() == Some("node-2"))
    );
    w.heal("node-1");
    w.advance_to(440_000);
    assert_eq!(pods(&w).len(), 1);
    let taint = |e: &junban_world::TruthEvent| {
        matches!(
            &e.what,
            Truth::PodRemoval {
                why: Removal::Taint,
                ..
            }
        )
    };
    assert!(w.take_truth().iter().any(taint));
}

#[test]
fn a_service_counts_the_pods_that_really_serve() {
    let mut w = cluster(2, cart(OwnerKind::Deployment, 2).on(&["node-1", "node-2"]));
    let last = |w: &mut World| {
        let mut serving = w.take_truth().into_iter().filter_map(|e| match e.what {
            Truth::Serving { serving, wanted, .. } => Some((serving, wanted)),
            _ => None,
        });
        serving.next_back().unwrap()
    };
    assert_eq!(last(&mut w), (2, 2));
    power(&mut w, "node-1");
    w.advance_to(5000);
    assert_eq!(
        last(&mut w),
        (1, 2),
        "one pod does not serve, although the API still shows it as Ready"
    );
    let service = w.store().services().next().unwrap().clone();
    assert_eq!(w.endpoints(&service), 2);
    w.advance_to(90_000);
    assert_eq!(last(&mut w), (2, 2));
}

#[test]
fn a_finalizer_keeps_a_pod_until_it_is_released() {
    let mut w = cluster(
        1,
        cart(OwnerKind::StatefulSet, 1).with(|t| t.finalizers = vec!["x/y".into()]),
    );
    let pod = pods(&w)[0].clone();
    evict(&mut w, &pod);
    w.advance_to(3_600_000);
    assert!(pods(&w)[0].terminating());
    w.release_finalizers("shop", "cart-0");
    w.advance_to(3_700_000);
    assert_ne!(pods(&w)[0].meta.uid, pod.meta.uid);
}

#[test]
fn a_deletion_with_grace_period_0_removes_the_pod_at_once_and_is_in_the_truth() {
    let mut w = cluster(1, cart(OwnerKind::Deployment, 1));
    let pod = pods(&w)[0].clone();
    let options = DeleteOptions {
        uid: None,
        grace_s: Some(0),
    };
    w.client("junban")
        .delete_pod("shop", &pod.meta.name, &options)
        .unwrap();
    assert!(w.store().pod("shop", &pod.meta.name).is_none());
    let in_truth = w.take_truth().into_iter().any(|e| {
        e.what
            == Truth::PodRemoval {
                pod: format!("shop/{}", pod.meta.name),
                uid: pod.meta.uid.to_string(),
                ready: true,
                why: Removal::Deleted {
                    by: "junban".into(),
                    uid_given: false,
                    grace_s: Some(0),
                },
            }
    });
    assert!(in_truth);
}

#[test]
fn the_scheduler_keeps_to_requests_and_leaves_the_other_pods_pending() {
    let mut b = WorldBuilder::new(5);
    b.node(NodeSpec {
        cpu: 1000,
        ..NodeSpec::worker("small")
    });
    let big = |t: &mut junban_world::PodTemplate| t.requests.extend([("cpu".to_owned(), 400)]);
    b.workload(cart(OwnerKind::Deployment, 3).with(big));
    let w = b.build();
    assert_eq!(pods(&w).iter().filter(|p| p.node.is_some()).count(), 2);
    assert_eq!(
        (w.scheduler().used("small", "cpu"), w.scheduler().pending()),
        (800, 1)
    );
}

#[test]
fn the_next_pod_takes_the_room_that_a_pod_leaves() {
    let mut b = WorldBuilder::new(5);
    b.node(NodeSpec {
        cpu: 1000,
        ..NodeSpec::worker("small")
    });
    let big = |t: &mut junban_world::PodTemplate| t.requests.extend([("cpu".to_owned(), 600)]);
    b.workload(cart(OwnerKind::Deployment, 1).with(big));
    b.workload(Workload::new(OwnerKind::Deployment, "shop", "other", 1).with(big));
    let mut w = b.build();
    assert_eq!(w.scheduler().pending(), 1);
    let waiting = if pods(&w)[0].node.is_some() {
        "other"
    } else {
        "cart"
    };
    let running = if waiting == "cart" { "other" } else { "cart" };
    let key = junban_world::OwnerKey::new(OwnerKind::Deployment, "shop", running);
    w.client("kubectl").delete_owner(&key).unwrap();
    w.advance_to(60_000);
    assert_eq!(w.scheduler().pending(), 0);
    assert_eq!(w.scheduler().used("small", "cpu"), 600);
}

#[test]
fn nodes_that_are_cordoned_or_tainted_take_no_pods_that_do_not_tolerate_it() {
    let taint = Taint::new("dedicated", "gpu", Effect::NoSchedule);
    let mut b = WorldBuilder::new(5);
    b.nodes(3, Span::secs(20, 30));
    b.workload(cart(OwnerKind::Deployment, 1).on(&["node-1"]));
    let mut w = b.build();
    cordon(&mut w, "node-1");
    w.client("x")
        .patch_node("node-2", &[NodeOp::SetTaints(vec![taint])])
        .unwrap();
    let pod = pods(&w)[0].clone();
    evict(&mut w, &pod);
    w.advance_to(20_000);
    assert_eq!(pods(&w)[0].node.as_deref(), Some("node-3"));
}

#[test]
fn a_pod_that_tolerates_the_cordon_lands_on_the_node_again() {
    let tolerant = |t: &mut junban_world::PodTemplate| {
        t.tolerations = vec![junban_world::Toleration::key("node.kubernetes.io/unschedulable")];
    };
    let mut w = cluster(1, cart(OwnerKind::Deployment, 1).with(tolerant));
    cordon(&mut w, "node-1");
    w.advance_to(1000);
    let pod = pods(&w)[0].clone();
    evict(&mut w, &pod);
    w.advance_to(30_000);
    assert_eq!(pods(&w)[0].node.as_deref(), Some("node-1"));
    assert_ne!(pods(&w)[0].meta.uid, pod.meta.uid);
}

#[test]
fn prefer_no_schedule_sends_pods_elsewhere_while_there_is_room() {
    let steer = [NodeOp::SetTaints(vec![Taint::new(
        "pending",
        "",
        Effect::PreferNoSchedule,
    )])];
    let mut w = cluster(4, cart(OwnerKind::Deployment, 12).on(&["node-1"; 12]));
    for node in ["node-2", "node-3"] {
        w.client("x").patch_node(node, &steer).unwrap();
    }
    cordon(&mut w, "node-1");
    for pod in pods(&w) {
        evict(&mut w, &pod);
    }
    w.advance_to(60_000);
    assert!(pods(&w).iter().all(|p| p.node.as_deref() == Some("node-4")));
}

#[test]
fn anti_affinity_by_hostname_keeps_replicas_apart() {
    let apart = |t: &mut junban_world::PodTemplate| t.anti_affinity = Some(t.labels.clone());
    let mut b = WorldBuilder::new(5);
    b.nodes(2, Span::secs(20, 30))
        .workload(cart(OwnerKind::Deployment, 3).with(apart));
    let w = b.build();
    let mut nodes: Vec<_> = pods(&w).iter().filter_map(|p| p.node.clone()).collect();
    nodes.dedup();
    assert_eq!((nodes.len(), w.scheduler().pending()), (2, 1));
}

#[test]
fn mirror_and_bare_pods_have_no_successor() {
    let mut b = WorldBuilder::new(5);
    b.nodes(2, Span::secs(20, 30));
    b.bare_pod("shop", "alone", "node-1");
    b.mirror_pod(
        "etcd-node-1",
        [("component".to_owned(), "etcd".to_owned())].into(),
        "node-1",
    );
    let mut w = b.build();
    let alone = w.store().pod("shop", "alone").unwrap().clone();
    assert!(alone.meta.owner.is_none() && alone.status.ready);
    assert!(w.store().pod("kube-system", "etcd-node-1").unwrap().mirror());
    evict(&mut w, &alone);
    w.advance_to(60_000);
    assert!(w.store().pod("shop", "alone").is_none());
}

#[test]
fn the_same_seed_gives_the_same_truth() {
    let run = || {
        let mut w = cluster(3, cart(OwnerKind::Deployment, 6));
        for pod in pods(&w).iter().take(3) {
            evict(&mut w, pod);
        }
        power(&mut w, "node-2");
        w.advance_to(400_000);
        w.take_truth()
    };
    let (a, b) = (run(), run());
    assert!(a.len() > 50);
    assert_eq!(a, b);
    let text = serde_json::to_string(&a).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<junban_world::TruthEvent>>(&text).unwrap(),
        a
    );
}
