//! How pods end, and when their controllers make successors.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use std::sync::Arc;

use junban_world::{
    DeleteOptions, Effect, Fault, NodeSpec, OwnerKey, OwnerKind, Phase, Pod, PowerRequest, Ready, Selector,
    Span, Taint, Truth, Workload, World, WorldBuilder,
};

fn cluster(nodes: usize, workload: Workload) -> World {
    let mut builder = WorldBuilder::new(5);
    builder.nodes(nodes, Span::secs(20, 30)).workload(workload);
    builder.build()
}

fn cart(kind: OwnerKind, replicas: i64) -> Workload {
    Workload::new(kind, "shop", "cart", replicas)
}

fn pods(world: &World) -> Vec<Arc<Pod>> {
    let selector = Selector::label("app", "cart");
    world
        .store()
        .pods_selected("shop", &selector)
        .into_iter()
        .cloned()
        .collect()
}

fn names(world: &World) -> Vec<String> {
    pods(world).iter().map(|pod| pod.meta.name.to_string()).collect()
}

fn delete(world: &mut World, name: &str) {
    let options = DeleteOptions::default();
    world
        .client("kubectl")
        .delete_pod("shop", name, &options)
        .unwrap();
}

fn power(world: &mut World, node: &str) {
    let request = PowerRequest {
        node: node.into(),
        ..PowerRequest::default()
    };
    world.power(&request);
}

#[test]
fn a_pod_with_a_finalizer_ends_with_its_containers() {
    for (ignores_sigterm, phase) in [(false, Phase::Succeeded), (true, Phase::Failed)] {
        let workload = cart(OwnerKind::StatefulSet, 1).with(|template| {
            template.finalizers = vec!["x/y".into()];
            template.behaviour.ignores_sigterm = ignores_sigterm;
        });
        let mut world = cluster(1, workload);
        delete(&mut world, "cart-0");
        world.advance_to(10_000);
        let expected = if ignores_sigterm { Phase::Running } else { phase };
        assert_eq!(
            pods(&world)[0].status.phase,
            expected,
            "SIGTERM ignored: {ignores_sigterm}"
        );
        world.advance_to(600_000);
        assert_eq!(pods(&world)[0].status.phase, phase);
        assert!(pods(&world)[0].terminating());
    }
}

#[test]
fn a_stateful_set_makes_its_pods_in_order_and_waits_for_each() {
    let slow = |template: &mut junban_world::PodTemplate| template.behaviour.ready = Span::secs(30, 30);
    let mut world = cluster(3, cart(OwnerKind::StatefulSet, 3).with(slow));
    assert_eq!(names(&world), ["cart-0", "cart-1", "cart-2"]);
    delete(&mut world, "cart-0");
    delete(&mut world, "cart-2");
    world.advance_to(20_000);
    assert_eq!(
        names(&world),
        ["cart-0", "cart-1"],
        "the third waits for the first"
    );
    world.advance_to(50_000);
    assert_eq!(names(&world), ["cart-0", "cart-1", "cart-2"]);
    let key = OwnerKey {
        kind: OwnerKind::StatefulSet,
        namespace: "shop".into(),
        name: "cart".into(),
    };
    world.client("kubectl").scale(&key, 1).unwrap();
    world.advance_to(51_000);
    assert_eq!(
        names(&world).len(),
        3,
        "no pod leaves before all that stay are Ready"
    );
    world.advance_to(120_000);
    assert_eq!(names(&world), ["cart-0"]);
}

#[test]
fn a_pod_of_a_job_fails_when_its_machine_is_reset_and_the_job_makes_another() {
    let long = |template: &mut junban_world::PodTemplate| {
        template.behaviour.runs_for = Some(Span::secs(3_600, 3_600));
    };
    let mut world = cluster(1, cart(OwnerKind::Job, 1).with(long));
    let first = pods(&world)[0].meta.uid.clone();
    power(&mut world, "node-1");
    world.advance_to(120_000);
    let phase = |pod: &Arc<Pod>| (pod.meta.uid == first, pod.status.phase);
    let mut phases: Vec<_> = pods(&world).iter().map(phase).collect();
    phases.sort_by_key(|(is_first, _)| !is_first);
    assert_eq!(phases, [(true, Phase::Failed), (false, Phase::Running)]);
}

#[test]
fn pods_do_not_run_before_the_kubelet_is_ready() {
    let mut world = cluster(1, cart(OwnerKind::DaemonSet, 0));
    world.set_fault("node-1", Fault::NotReady);
    power(&mut world, "node-1");
    world.advance_to(200_000);
    assert_eq!(world.store().node("node-1").unwrap().status.ready, Ready::False);
    assert!(pods(&world).iter().all(|pod| !pod.status.ready));
    world.heal("node-1");
    world.advance_to(240_000);
    assert!(pods(&world).iter().all(|pod| pod.status.ready));
}

#[test]
fn a_daemon_set_makes_no_pod_on_a_node_whose_taint_it_does_not_tolerate() {
    let mut builder = WorldBuilder::new(5);
    let tainted = NodeSpec {
        taints: vec![Taint::new("gpu", "", Effect::NoSchedule)],
        ..NodeSpec::worker("node-2")
    };
    builder
        .node(NodeSpec::worker("node-1"))
        .node(tainted)
        .workload(cart(OwnerKind::DaemonSet, 0));
    let world = builder.build();
    let places: Vec<_> = pods(&world).iter().filter_map(|pod| pod.node.clone()).collect();
    assert_eq!(places, ["node-1".into()]);
}

#[test]
fn a_fault_replaces_the_earlier_ones() {
    let mut world = cluster(1, cart(OwnerKind::DaemonSet, 0));
    world.set_fault("node-1", Fault::PowerLost);
    world.set_fault("node-1", Fault::Slow(2));
    power(&mut world, "node-1");
    world.advance_to(120_000);
    assert_eq!(world.machine("node-1").unwrap().boots, 2);
}

#[test]
fn a_service_has_lost_no_pod_once_the_pods_of_a_dead_machine_have_successors() {
    let mut builder = WorldBuilder::new(5);
    builder
        .nodes(3, Span::secs(20, 30))
        .workload(cart(OwnerKind::Deployment, 2).on(&["node-1", "node-2"]))
        .service("shop", "cart");
    let mut world = builder.build();
    let last = |world: &mut World| {
        let truth = world.take_truth();
        truth.into_iter().rev().find_map(|event| match event.what {
            Truth::Serving { serving, lost, .. } => Some((serving, lost)),
            _ => None,
        })
    };
    world.kill("node-1");
    world.advance_to(60_000);
    assert_eq!(last(&mut world), Some((1, 1)));
    world.advance_to(600_000);
    assert_eq!(last(&mut world), Some((2, 0)));
}
