//! Under which budgets and in which order pods leave a node, and for which budgets a node is not cordoned.

use std::time::Duration;

use crate::budget::Budget;
use crate::effect::EvictOutcome;
use crate::entry::{Phase, PowerOutcome};
use crate::fixture::{self, Toy, pod};
use crate::ids::{PdbKey, PodKey, Version};
use crate::memory::Memory;
use crate::pod::{Pod, PodWish};
use crate::quantity::IntOrPercent;
use crate::queue::Slot;
use crate::reason::Reason;
use crate::time::Mono;
use crate::volume::Attachment;
use crate::workload::{Workload, WorkloadKey, WorkloadKind};

/// Adds a workload with its replicas and its own controller.
pub(super) fn workload(toy: &mut Toy, key: &WorkloadKey, replicas: u32, owner: Option<WorkloadKey>) {
    let workload = Workload {
        key: key.clone(),
        version: Version(1),
        replicas: Some(replicas),
        owner,
        template_node: None,
        min_ready: Duration::ZERO,
    };
    toy.cluster.workloads.insert(key.clone(), workload);
}

/// `statefulset shop/db` with one replica for each of these nodes.
pub(super) fn stateful_set(toy: &mut Toy, on: &[&str]) {
    let key = WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "db");
    workload(toy, &key, u32::try_from(on.len()).unwrap(), None);
    for (ordinal, node) in on.iter().enumerate() {
        toy.cluster
            .apply_pod(owned_by_db(pod(&format!("db-{ordinal}"), node)));
    }
}

pub(super) fn owned_by_db(pod: Pod) -> Pod {
    Pod {
        owner: Some(WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "db")),
        ..pod
    }
}

#[test]
fn pods_leave_and_nodes_are_powered_only_after_the_wait_for_load_balancers() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.policy().drain.load_balancer_wait = Duration::from_secs(60);
    toy.policy().drain.timeout = Duration::from_secs(10);
    toy.cluster.apply_pod(pod("web", "node-2"));
    toy.run(55);
    let waits = Some((Phase::Draining, Some(Reason::LoadBalancers)));
    assert_eq!(toy.phase("node-1"), waits, "an empty node waits as well");
    assert!(toy.node("node-1").excluded_from_load_balancers);
    toy.run(10);
    assert_eq!(toy.powered, ["node-1"], "at once, not 5 s later");
    toy.run(80);
    assert_eq!(toy.phase("node-2"), waits);
    assert_eq!(toy.evicted, Vec::<String>::new());
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/web"]);
    assert_eq!(
        toy.powered,
        ["node-1", "node-2"],
        "the timeout counts from the end of the wait"
    );
}

#[test]
fn load_balancers_are_waited_for_once_in_a_turn() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().drain.load_balancer_wait = Duration::from_secs(60);
    toy.driver = PowerOutcome::NothingStarted;
    toy.run(62);
    assert_eq!(toy.powered, ["node-1"]);
    toy.run(8);
    assert_eq!(toy.powered, ["node-1", "node-1"], "5 s after the refusal");
}

/// Pins a pod to its node.
fn pin(toy: &mut Toy, name: &str) {
    let mut pod = toy.cluster.pods[&PodKey::new("shop", name)].as_ref().clone();
    let host = pod.node.clone().unwrap();
    let node = toy.node(host.as_str());
    node.labels
        .insert("kubernetes.io/hostname".into(), host.to_string());
    pod.node_selector
        .insert("kubernetes.io/hostname".into(), host.to_string());
    toy.cluster.apply_pod(pod);
}

#[test]
fn nodes_whose_pinned_pods_share_an_implied_budget_go_one_after_the_other() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3", "node-4"]);
    toy.queue().max_unavailable = IntOrPercent::Count(4);
    prove(&mut toy, "node-4");
    stateful_set(&mut toy, &["node-1", "node-2", "node-3"]);
    for name in ["db-0", "db-1", "db-2"] {
        pin(&mut toy, name);
    }
    toy.run(2);
    assert_eq!(toy.slots(), ["node-1"], "{:?}", toy.phases);
    toy.assert_phase("node-2", Phase::Queued, Reason::BudgetHeld);
}

#[test]
fn a_node_whose_pinned_pods_exceed_their_implied_budget_is_not_cordoned() {
    for (on, limit, cordoned) in [
        (["node-1", "node-1", "node-2"], IntOrPercent::Count(1), false),
        (["node-1", "node-1", "node-2"], IntOrPercent::Count(2), true),
        // The last Ready pod stays, unless all may leave.
        (["node-1", "node-1", "node-1"], IntOrPercent::Count(3), false),
        (["node-1", "node-1", "node-1"], IntOrPercent::Percent(100), true),
    ] {
        let mut toy = Toy::new(&["node-1", "node-2"]);
        toy.policy().drain.unbudgeted_max_unavailable = limit;
        stateful_set(&mut toy, &on);
        for (ordinal, _) in on.iter().enumerate().filter(|(_, on)| **on == "node-1") {
            pin(&mut toy, &format!("db-{ordinal}"));
        }
        toy.node("node-2").held = true;
        toy.run(60);
        let reason = if cordoned {
            None
        } else {
            Some(Reason::ImpliedBudget)
        };
        let queued = toy.phase("node-1").filter(|(phase, _)| *phase == Phase::Queued);
        assert_eq!(queued.and_then(|(_, reason)| reason), reason, "{limit:?}");
        assert_eq!(
            toy.evicted.len(),
            on.iter().filter(|on| cordoned && **on == "node-1").count()
        );
    }
}

/// Reboots a node, so that no other node waits for the first proof.
fn prove(toy: &mut Toy, node: &str) {
    let others: Vec<_> = toy
        .cluster
        .nodes
        .keys()
        .filter(|name| name.as_str() != node)
        .cloned()
        .collect();
    for name in &others {
        toy.node(name.as_str()).held = true;
    }
    toy.run(60);
    assert_eq!(toy.phase(node).map(|(phase, _)| phase), Some(Phase::Succeeded));
    for name in &others {
        toy.node(name.as_str()).held = false;
    }
    toy.phases.clear();
}

#[test]
fn pinned_pods_leave_only_when_their_node_may_be_powered() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.queue().max_unavailable = IntOrPercent::Count(2);
    toy.boot_ms = 200_000;
    toy.policy().drain.timeout = Duration::from_secs(90);
    toy.policy().reboot.boot_timeout = Duration::from_secs(400);
    // node-1 is blocked for a minute, so node-2 begins to drain as well.
    let stuck = pod("stuck", "node-1");
    toy.cluster.apply_pod(stuck.clone());
    toy.cluster.apply_pod(pod("db", "node-2"));
    pin(&mut toy, "db");
    toy.eviction_answer = Some(EvictOutcome::WebhookDenied("not yet".into()));
    toy.run(80);
    toy.cluster.remove_pod(&stuck.key);
    toy.run(2);
    assert_eq!(toy.powered, ["node-1"]);
    toy.eviction_answer = None;
    toy.evicted.clear();
    toy.run(190);
    assert_eq!(toy.evicted, Vec::<String>::new(), "node-1 is not proven yet");
    assert_eq!(toy.phase("node-2").unwrap().0, Phase::Draining);
    toy.run(30);
    assert_eq!(toy.evicted, ["shop/db"]);
    assert_eq!(toy.powered[..2], ["node-1", "node-2"], "{:?}", toy.phases);
}

/// Lets `pdb shop/all` name these pods as evicted and not yet seen to leave.
fn charge(toy: &mut Toy, names: &[&str]) {
    let known = toy.cluster.budgets.get_mut(&PdbKey::new("shop", "all"));
    known.unwrap().disrupted_pods = names.iter().map(ToString::to_string).collect();
}

/// `pdb shop/all` selects every pod of the namespace. It allows `allowed` disruptions of `expected` pods.
fn budget(toy: &mut Toy, expected: u32, allowed: u32) {
    let version = toy
        .cluster
        .budgets
        .get(&PdbKey::new("shop", "all"))
        .map_or(1, |known| known.version.0 + 1);
    toy.cluster.apply_budget(Budget {
        version: Version(version),
        ..fixture::budget("all", expected, expected - allowed, expected)
    });
}

/// A leader died between the grant and the cordon, and then a gate closed.
#[test]
fn a_slot_without_a_mark_is_dropped_when_a_gate_has_closed() {
    type Close = fn(&mut Toy);
    let closed: [(Close, Reason); 4] = [
        (|toy| budget(toy, 1, 0), Reason::BudgetImpossible),
        (
            |toy| toy.cluster.stale = Some("no watch".into()),
            Reason::Implausible,
        ),
        (|toy| toy.policy().reboot.ladder.clear(), Reason::NoDriver),
        (|toy| toy.node("node-1").held = true, Reason::Hold),
    ];
    for (close, reason) in closed {
        let mut toy = Toy::new(&["node-1"]);
        toy.cluster.apply_pod(pod("cart", "node-1"));
        toy.queue().paused = true;
        toy.run(2);
        let entry = toy.entry("node-1").unwrap();
        let slot = Slot {
            node_uid: entry.spec.node_uid.clone(),
            entry: entry.name.clone(),
            entry_uid: entry.uid.clone(),
            reserved: Vec::new(),
        };
        let ledger = toy.queue().ledger.get_or_insert_default();
        ledger.slots.insert("node-1".into(), slot);
        toy.queue().paused = false;
        close(&mut toy);
        toy.memory = Memory::new("next");
        toy.run(30);
        assert_eq!(toy.phases, Vec::<String>::new(), "{reason}");
        assert_eq!(toy.slots(), Vec::<String>::new(), "{reason}");
        assert_eq!(toy.phase("node-1"), Some((Phase::Queued, Some(reason))));
    }
}

#[test]
fn a_movable_pod_does_not_wait_for_the_pinned_pod_of_its_node() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    toy.cluster.apply_pod(pod("cart", "node-1"));
    toy.cluster.apply_pod(pod("db", "node-1"));
    pin(&mut toy, "db");
    budget(&mut toy, 2, 1);
    toy.run(10);
    assert_eq!(
        toy.evicted,
        ["shop/cart"],
        "one token, and the pinned pod goes last"
    );
    budget(&mut toy, 2, 0);
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/cart"], "its successor is not Ready yet");
    budget(&mut toy, 2, 1);
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/cart", "shop/db"]);
}

#[test]
fn after_a_denial_movable_pods_are_deleted_one_by_one_and_pinned_pods_together() {
    for pinned in [false, true] {
        let mut toy = Toy::new(&["node-1", "node-2"]);
        toy.node("node-2").held = true;
        toy.policy().drain.delete_after_denial = vec!["shop".into()];
        stateful_set(&mut toy, &["node-1", "node-1"]);
        budget(&mut toy, 2, 0);
        if pinned {
            pin(&mut toy, "db-0");
            pin(&mut toy, "db-1");
        }
        toy.run(60);
        if pinned {
            assert_eq!(
                toy.evicted,
                ["shop/db-0", "shop/db-1"],
                "they come back with their node"
            );
            continue;
        }
        assert_eq!(toy.evicted, ["shop/db-0"], "the last Ready pod stays");
        let waits = Some((Phase::Draining, Some(Reason::ImpliedBudget)));
        assert_eq!(toy.phase("node-1"), waits);
        toy.cluster.apply_pod(owned_by_db(pod("db-0", "node-2")));
        toy.run(2);
        assert_eq!(toy.evicted, ["shop/db-0", "shop/db-1"]);
    }
}

#[test]
fn a_node_is_not_cordoned_for_the_last_ready_pod_of_an_owner() {
    for deletes in [Vec::new(), vec!["shop".to_owned()]] {
        let mut toy = Toy::new(&["node-1", "node-2"]);
        toy.node("node-2").held = true;
        let forced = !deletes.is_empty();
        toy.policy().drain.delete_after_denial = deletes;
        stateful_set(&mut toy, &["node-1", "node-2"]);
        let broken = owned_by_db(Pod {
            ready: false,
            ..pod("db-1", "node-2")
        });
        toy.cluster.apply_pod(broken);
        if forced {
            budget(&mut toy, 2, 0);
        }
        toy.run(600);
        let waits = Some((Phase::Queued, Some(Reason::ImpliedBudget)));
        assert_eq!(toy.phase("node-1"), waits, "forced: {forced}");
    }
}

#[test]
fn a_node_whose_budget_cannot_be_computed_is_not_cordoned() {
    for deletes in [Vec::new(), vec!["shop".to_owned()]] {
        let mut toy = Toy::new(&["node-1", "node-2"]);
        toy.node("node-2").held = true;
        toy.policy().drain.delete_after_denial = deletes;
        toy.cluster.apply_pod(pod("cart", "node-1"));
        budget(&mut toy, 2, 0);
        let key = PdbKey::new("shop", "all");
        let known = toy.cluster.budgets.get_mut(&key).unwrap();
        known.sync_failed = Some("its pods have no controller with a scale".into());
        toy.run(10);
        toy.assert_phase("node-1", Phase::Queued, Reason::BudgetUnknown);
    }
}

#[test]
fn pods_that_another_budget_still_names_do_not_count_as_unconfirmed() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    for name in ["a", "b", "c"] {
        toy.cluster.apply_pod(pod(name, "node-1"));
    }
    budget(&mut toy, 6, 3);
    let mut other = toy.cluster.budgets.values().next().unwrap().clone();
    other.key = PdbKey::new("other", "all");
    other.disrupted_pods = vec!["gone-1".into(), "gone-2".into()];
    toy.cluster.apply_budget(other);
    toy.run(5);
    assert_eq!(toy.evicted[..2], ["shop/a", "shop/b"]);
}

#[test]
fn evictions_that_the_disruption_controller_has_not_seen_are_waited_for_and_reported() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    for name in ["a", "b", "c"] {
        toy.cluster.apply_pod(pod(name, "node-1"));
    }
    budget(&mut toy, 6, 3);
    toy.run(1);
    budget(&mut toy, 6, 1);
    charge(&mut toy, &["a", "b"]);
    toy.run(30);
    assert_eq!(toy.evicted, ["shop/a", "shop/b"]);
    assert_eq!(
        toy.entry("node-1").unwrap().record.message,
        "the controller of pdb shop/all has not seen pod shop/a leave yet"
    );
    budget(&mut toy, 6, 1);
    toy.run(5);
    assert_eq!(toy.evicted, ["shop/a", "shop/b", "shop/c"]);
}

#[test]
fn a_worker_that_was_released_once_does_not_go_before_the_control_plane() {
    let mut toy = Toy::new(&["cp-1", "cp-2", "cp-3", "node-1"]);
    for name in ["cp-1", "cp-2", "cp-3"] {
        toy.node(name).control_plane = true;
    }
    toy.queue().max_unavailable = IntOrPercent::Count(2);
    toy.queue().control_plane.api_servers = vec!["https://cp".into(); 3];
    toy.queue().control_plane.etcd = vec!["https://etcd".into(); 3];
    toy.boot_ms = 200_000;
    toy.policy().reboot.boot_timeout = Duration::from_secs(400);
    toy.policy().drain.timeout = Duration::from_secs(90);
    toy.cluster.apply_pod(pod("stuck", "node-1"));
    toy.eviction_answer = Some(EvictOutcome::WebhookDenied("not yet".into()));
    toy.run(150);
    assert_eq!(toy.powered, ["cp-1"], "{:?}", toy.phases);
    toy.eviction_answer = None;
    // The back-off of node-1 ends during the turn of cp-2.
    toy.run(1_200);
    assert_eq!(toy.powered, ["cp-1", "cp-2", "cp-3", "node-1"]);
}

#[test]
fn a_pod_that_returns_to_its_node_delays_the_reboot_by_three_evictions() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    let one = pod("agent", "node-1");
    let owner = one.owner.clone().unwrap();
    workload(&mut toy, &owner, 1, None);
    toy.cluster.workloads.get_mut(&owner).unwrap().template_node = Some("node-1".into());
    toy.cluster.apply_pod(one.clone());
    // When a pod is gone, its controller makes the next one on the same node.
    toy.eviction_answer = Some(EvictOutcome::Accepted);
    for _ in 0..60 {
        let evicted = toy.evicted.len();
        toy.run(1);
        if toy.evicted.len() > evicted {
            let again = Pod {
                uid: format!("pod-agent-{evicted}").as_str().into(),
                version: Version(evicted as u64 + 2),
                ..one.clone()
            };
            toy.cluster.apply_pod(again);
        }
    }
    assert_eq!(toy.evicted.len(), 4);
    assert_eq!(toy.powered, ["node-1"], "{:?}", toy.phases);
}

#[test]
fn a_wait_that_time_alone_ends_wakes_the_plan() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    let until = toy.now().wall.checked_add(Duration::from_secs(100)).unwrap();
    let by = "karpenter.sh/do-not-disrupt".to_owned();
    toy.cluster.apply_pod(Pod {
        wish: Some(PodWish::NotBefore { by, until }),
        ..pod("cart", "node-1")
    });
    toy.run(95);
    let waits = Some((Phase::Queued, Some(Reason::DoNotDisrupt)));
    assert_eq!(toy.phase("node-1"), waits);
    assert_eq!(toy.settle(), Some(Mono::from_millis(100_000)));

    // One of three pods is unready. It stops counting as disrupted after 5 minutes.
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    stateful_set(&mut toy, &["node-1", "node-2", "node-2"]);
    let unready = toy.cluster.pods[&PodKey::new("shop", "db-2")].as_ref().clone();
    toy.cluster.apply_pod(Pod {
        ready: false,
        ..unready
    });
    toy.run(295);
    let waits = Some((Phase::Queued, Some(Reason::ImpliedBudget)));
    assert_eq!(toy.phase("node-1"), waits);
    assert_eq!(toy.settle(), Some(Mono::from_millis(300_000)));
}

#[test]
fn a_back_off_ends_when_what_blocked_the_drain_is_gone() {
    type Change = fn(&mut Toy);
    let cases: [(&str, Change, Change); 2] = [
        (
            "pod shop/cart",
            |toy| {
                let by = "karpenter.sh/do-not-disrupt".to_owned();
                toy.cluster.apply_pod(Pod {
                    wish: Some(PodWish::DoNotDisrupt { by }),
                    ..pod("cart", "node-1")
                });
            },
            |toy| {
                toy.cluster.apply_pod(pod("cart", "node-1"));
            },
        ),
        (
            "volume pv-1",
            |toy| {
                let attachment = Attachment {
                    name: "pv-1-node-1".into(),
                    version: Version(1),
                    node: "node-1".into(),
                    volume: "pv-1".into(),
                    attached: true,
                };
                toy.cluster
                    .attachments
                    .insert(attachment.name.clone(), attachment);
            },
            |toy| toy.cluster.attachments.clear(),
        ),
    ];
    for (object, block, unblock) in cases {
        let mut toy = Toy::new(&["node-1", "node-2"]);
        toy.node("node-2").held = true;
        toy.policy().drain.timeout = Duration::from_secs(30);
        toy.run(1);
        block(&mut toy);
        toy.run(180);
        let waits = toy.entry("node-1").unwrap().record.back_off.clone();
        let blocked_by = waits.and_then(|back_off| back_off.blocked_by);
        assert_eq!(
            blocked_by.map(|blocked| blocked.object.to_string()).as_deref(),
            Some(object)
        );
        unblock(&mut toy);
        toy.run(30);
        assert_eq!(toy.powered, ["node-1"], "{object}");
    }
}
