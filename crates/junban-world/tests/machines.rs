//! Machines, Leases and Nodes: what the API shows of a reboot.

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use junban_world::{
    ApiError, DownCause, Fault, NodeOp, PowerOutcome, PowerRequest, PowerTag, Ready, Span, Truth, World,
    WorldBuilder,
};

fn three() -> World {
    let mut b = WorldBuilder::new(1);
    b.nodes(3, Span::secs(20, 30));
    b.build()
}

fn power(w: &mut World, node: &str, attempt: u64) -> PowerOutcome {
    let tag = PowerTag {
        entry: "e".into(),
        attempt,
    };
    w.power(&PowerRequest {
        node: node.into(),
        tag,
        ..PowerRequest::default()
    })
}

fn ready(w: &World, node: &str) -> Ready {
    w.store().node(node).unwrap().status.ready
}

fn boot_id(w: &World, node: &str) -> String {
    w.store().node(node).unwrap().status.boot_id.clone()
}

#[test]
fn a_short_hard_reset_never_shows_not_ready_and_changes_the_boot_id() {
    let mut w = three();
    let before = boot_id(&w, "node-1");
    assert_eq!(power(&mut w, "node-1", 1), PowerOutcome::Started);
    while w.now() < 60_000 {
        w.advance_until_change(60_000);
        assert_eq!(ready(&w, "node-1"), Ready::True);
    }
    assert_ne!(boot_id(&w, "node-1"), before);
    let truth = w.take_truth();
    let effects = truth
        .iter()
        .filter(|e| matches!(e.what, Truth::PowerEffect { .. }))
        .count();
    assert_eq!(effects, 1);
    let shown = truth
        .iter()
        .position(|e| matches!(&e.what, Truth::BootIdShown { node, .. } if node == "node-1"));
    let lease = truth
        .iter()
        .position(|e| matches!(&e.what, Truth::LeaseAfterBoot { node, .. } if node == "node-1"));
    assert!(shown.unwrap() < lease.unwrap());
}

#[test]
fn the_api_shows_the_old_boot_id_while_the_machine_boots() {
    let mut w = three();
    let before = boot_id(&w, "node-1");
    power(&mut w, "node-1", 1);
    w.advance_to(15_000);
    assert_eq!(boot_id(&w, "node-1"), before);
}

#[test]
fn a_node_whose_machine_stays_down_becomes_unknown_after_the_grace_period_and_ready_after_the_repair() {
    let mut w = three();
    w.inject("node-2", Fault::NeverReturns, None);
    power(&mut w, "node-2", 1);
    w.advance_to(40_000);
    assert_eq!(ready(&w, "node-2"), Ready::True);
    w.advance_to(62_000);
    assert_eq!(ready(&w, "node-2"), Ready::Unknown);
    assert!(
        w.store()
            .node("node-2")
            .unwrap()
            .taints
            .iter()
            .any(|t| t.key.ends_with("unreachable"))
    );
    w.advance_to(3_600_000);
    assert_eq!(ready(&w, "node-2"), Ready::Unknown);
    w.heal("node-2");
    w.advance_to(3_640_000);
    assert_eq!(ready(&w, "node-2"), Ready::True);
    assert!(w.store().node("node-2").unwrap().taints.is_empty());
}

#[test]
fn each_power_fault_has_its_answer_and_its_effect() {
    let cases = [
        (Fault::PowerLost, PowerOutcome::Started, false),
        (Fault::Refuse, PowerOutcome::NothingStarted, false),
        (Fault::PowerUnknown, PowerOutcome::Unknown, true),
        (Fault::PowerUnknownLost, PowerOutcome::Unknown, false),
        (Fault::PowerLate(20_000), PowerOutcome::Started, true),
    ];
    for (fault, outcome, changes) in cases {
        let mut w = three();
        let before = boot_id(&w, "node-1");
        w.inject("node-1", fault, Some(1));
        assert_eq!(power(&mut w, "node-1", 1), outcome, "{fault:?}");
        w.advance_to(100_000);
        assert_eq!(boot_id(&w, "node-1") != before, changes, "{fault:?}");
        power(&mut w, "node-1", 2);
        w.advance_to(200_000);
        assert_ne!(
            boot_id(&w, "node-1"),
            before,
            "the fault happens only once: {fault:?}"
        );
    }
}

#[test]
fn the_faults_same_boot_id_and_not_ready_show_after_the_boot() {
    let mut w = three();
    let before = boot_id(&w, "node-1");
    w.inject("node-1", Fault::SameBootId, Some(1));
    w.inject("node-2", Fault::NotReady, Some(1));
    power(&mut w, "node-1", 1);
    let two = boot_id(&w, "node-2");
    power(&mut w, "node-2", 1);
    w.advance_to(60_000);
    assert_eq!(boot_id(&w, "node-1"), before);
    assert_ne!(boot_id(&w, "node-2"), two);
    assert_eq!(ready(&w, "node-2"), Ready::False);
    w.heal("node-2");
    assert_eq!(ready(&w, "node-2"), Ready::True);
}

#[test]
fn a_driver_starts_nothing_on_another_boot_id_or_system_uuid() {
    let mut w = three();
    let tag = PowerTag {
        entry: "e".into(),
        attempt: 1,
    };
    let request = PowerRequest {
        node: "node-1".into(),
        tag,
        ..PowerRequest::default()
    };
    let wrong_boot = PowerRequest {
        only_boot_id: Some("x".into()),
        ..request.clone()
    };
    let wrong_machine = PowerRequest {
        only_system_uuid: Some("x".into()),
        ..request
    };
    assert_eq!(w.power(&wrong_boot), PowerOutcome::NothingStarted);
    assert_eq!(w.power(&wrong_machine), PowerOutcome::NothingStarted);
    w.advance_to(60_000);
    assert!(
        !w.take_truth()
            .iter()
            .any(|e| matches!(e.what, Truth::MachineDown { .. }))
    );
}

#[test]
fn a_second_power_action_during_the_boot_restarts_the_boot() {
    let mut w = three();
    w.inject("node-1", Fault::PowerTwice(10_000), Some(1));
    let before = boot_id(&w, "node-1");
    power(&mut w, "node-1", 1);
    w.advance_to(29_000);
    assert_eq!(boot_id(&w, "node-1"), before);
    w.advance_to(60_000);
    let effects: Vec<String> = w
        .take_truth()
        .into_iter()
        .filter_map(|e| match e.what {
            Truth::PowerEffect { boot_id, .. } => Some(boot_id),
            _ => None,
        })
        .collect();
    assert_eq!(effects, [before.clone(), before]);
}

#[test]
fn a_slow_boot_takes_the_factor_times_as_long() {
    let mut w = three();
    w.inject("node-1", Fault::Slow(10), Some(1));
    power(&mut w, "node-1", 1);
    let before = boot_id(&w, "node-1");
    w.advance_to(190_000);
    assert_eq!(boot_id(&w, "node-1"), before);
    w.advance_to(310_000);
    assert_ne!(boot_id(&w, "node-1"), before);
}

#[test]
fn a_spontaneous_reboot_is_no_power_action() {
    let mut w = three();
    let before = boot_id(&w, "node-3");
    w.reboot_by("node-3", DownCause::Spontaneous);
    w.advance_to(60_000);
    assert_ne!(boot_id(&w, "node-3"), before);
    assert!(
        !w.take_truth()
            .iter()
            .any(|e| matches!(e.what, Truth::PowerEffect { .. }))
    );
}

#[test]
fn the_manager_of_a_cordon_is_the_one_who_changed_the_field() {
    let mut w = three();
    let cordon = [NodeOp::SetUnschedulable(true)];
    w.client("junban").patch_node("node-1", &cordon).unwrap();
    let rv = w.store().node("node-1").unwrap().meta.resource_version;
    let again = w.client("kubectl").patch_node("node-1", &cordon).unwrap();
    assert_eq!(again.unschedulable_manager.as_deref(), Some("junban"));
    assert_eq!(
        again.meta.resource_version, rv,
        "a write that changes nothing writes nothing"
    );
    w.client("kubectl")
        .patch_node("node-1", &[NodeOp::SetUnschedulable(false)])
        .unwrap();
    let cordoned = w.client("kubectl").patch_node("node-1", &cordon).unwrap();
    assert_eq!(cordoned.unschedulable_manager.as_deref(), Some("kubectl"));
    w.advance_to(1000);
    let node = w.store().node("node-1").unwrap();
    assert!(
        node.taints
            .iter()
            .any(|t| t.key == "node.kubernetes.io/unschedulable")
    );
}

#[test]
fn a_failed_test_answers_422_and_changes_nothing() {
    let mut w = three();
    let mut c = w.client("junban");
    c.patch_node("node-1", &[NodeOp::SetAnnotation("mark".into(), "a".into())])
        .unwrap();
    let ops = [
        NodeOp::SetUnschedulable(true),
        NodeOp::TestAnnotation("mark".into(), Some("b".into())),
        NodeOp::SetAnnotation("mark".into(), "c".into()),
    ];
    assert!(matches!(
        c.patch_node("node-1", &ops),
        Err(ApiError::Invalid { .. })
    ));
    let node = c.node("node-1").unwrap();
    assert!(!node.unschedulable);
    assert_eq!(node.meta.annotations["mark"], "a");
    let stale = [
        NodeOp::ResourceVersion(node.meta.resource_version - 1),
        NodeOp::SetUnschedulable(true),
    ];
    assert!(matches!(
        c.patch_node("node-1", &stale),
        Err(ApiError::Conflict { .. })
    ));
    assert!(matches!(
        c.patch_node("node-9", &ops),
        Err(ApiError::NotFound { .. })
    ));
    let gone = [NodeOp::RemoveAnnotation("none".into())];
    assert!(matches!(
        c.patch_node("node-1", &gone),
        Err(ApiError::Invalid { .. })
    ));
}

#[test]
fn a_node_that_registers_again_has_a_new_uid_and_no_cordon() {
    let mut w = three();
    let uid = w.store().node("node-1").unwrap().meta.uid.clone();
    w.client("junban")
        .patch_node("node-1", &[NodeOp::SetUnschedulable(true)])
        .unwrap();
    w.client("kubectl").delete_node("node-1").unwrap();
    assert!(w.store().node("node-1").is_none());
    w.register_node("node-1");
    let node = w.store().node("node-1").unwrap();
    assert_ne!(node.meta.uid, uid);
    assert!(!node.unschedulable);
}

#[test]
fn leases_are_renewed_every_ten_seconds_while_the_kubelet_runs() {
    let mut w = three();
    w.advance_to(100_000);
    let now = w.now();
    for node in ["node-1", "node-2", "node-3"] {
        let lease = w.client("junban").lease(node).unwrap();
        assert!(now - lease.renewed <= 10_000);
    }
}
