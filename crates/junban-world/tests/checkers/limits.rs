//! S4, S5, S17, S30: how many nodes at a time.

use super::*;

#[test]
fn s4_one_place_allows_one_slot() {
    let mut p = Stream::new(10, 0);
    p.slots(&[("w1", "e-w1")]).cordon("w1", true, "junban").allowed();
    p.slots(&[("w1", "e-w1"), ("w2", "e-w2")]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_node_that_others_cordoned_takes_one_place_and_no_second_one_for_its_slot() {
    let mut p = Stream::new(10, 0);
    p.slots(&[]).cordon("w9", true, "kubectl").later(10_000);
    p.slots(&[("w9", "e-w9")]).allowed();
    p.slots(&[("w9", "e-w9"), ("w1", "e-w1")]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_tolerated_failure_adds_one_place() {
    let mut p = Stream::new(3, 0);
    p.slots(&[]).ready("w3", Ready::Unknown).later(10_000);
    p.slots(&[("w1", "e-w1")]);
    assert_eq!(p.broken(), ["S4"], "down, but not broken yet");
    let mut p = Stream::new(3, 0);
    p.slots(&[]).ready("w3", Ready::Unknown).later(301_000);
    p.slots(&[("w1", "e-w1")]).allowed();
    p.slots(&[("w1", "e-w1"), ("w2", "e-w2")]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_node_whose_entry_somebody_deleted_has_a_turn_and_is_not_broken() {
    let mut p = Stream::new(3, 0);
    p.slots(&[("w3", "e-w3")])
        .ready("w3", Ready::Unknown)
        .later(400_000);
    p.slots(&[("w3", "e-w3"), ("w1", "e-w1")]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_what_happened_just_now_may_be_unknown_and_excluded_nodes_do_not_count() {
    let mut p = Stream::new(10, 0);
    p.slots(&[]).later(10_000).ready("w9", Ready::False).later(1000);
    p.slots(&[("w1", "e-w1")]).allowed();
    let mut p = Stream::new(10, 0);
    let changed = BTreeMap::from([("junban.dev/exclude".to_owned(), Some("true".to_owned()))]);
    p.slots(&[]).cordon("w9", true, "kubectl");
    p.tell(Truth::NodeLabels {
        node: "w9".into(),
        changed,
    })
    .later(10_000);
    p.slots(&[("w1", "e-w1")]).allowed();
}

#[test]
fn s4_a_cordon_without_a_slot() {
    let mut p = Stream::new(10, 0);
    p.slots(&[]).cordon("w1", true, "kubectl").allowed();
    p.cordon("w2", true, "junban");
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_without_notes_about_slots_a_cordon_is_the_grant() {
    let mut p = Stream::new(10, 0);
    p.cordon("w1", true, "junban").allowed();
    p.cordon("w2", true, "junban");
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s5_one_control_plane_node_at_a_time_with_a_quorum_left() {
    let mut p = Stream::new(10, 3);
    p.cordon("c1", true, "junban").powered("c1", 1).allowed();
    let mut p = Stream::with(10, 3, places(9));
    p.cordon("c1", true, "junban").cordon("c2", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
    let mut p = Stream::new(10, 3);
    p.tell(Truth::MachineDown {
        machine: "c3".into(),
        boot_id: "b0".into(),
        cause: DownCause::Spontaneous,
    });
    p.later(10_000).powered("c1", 1);
    assert_eq!(
        p.broken(),
        ["S5"],
        "with two of three members healthy, no member may go"
    );
    let mut p = Stream::new(10, 1);
    p.cordon("c1", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
    let mut p = Stream::with(
        10,
        1,
        Params {
            allow_quorum_loss: true,
            ..Params::default()
        },
    );
    p.cordon("c1", true, "junban").allowed();
}

#[test]
fn s5_no_control_plane_node_together_with_workers() {
    let mut p = Stream::with(10, 3, places(9));
    p.entry("w1", "", "Queued", 0)
        .entry("w1", "Queued", "Draining", 0);
    p.cordon("c1", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
    let mut p = Stream::with(10, 3, places(9));
    p.entry("c1", "", "Queued", 0)
        .entry("c1", "Queued", "Draining", 0)
        .cordon("c1", true, "junban")
        .allowed();
    p.cordon("w1", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
}

#[test]
fn s5_a_worker_is_not_powered_while_a_control_plane_node_is_rebooting() {
    let mut p = Stream::new(10, 3);
    p.entry("c1", "", "Queued", 0)
        .entry("c1", "Queued", "Draining", 0)
        .entry("c1", "Draining", "Rebooting", 1);
    p.powered("w1", 1);
    assert!(p.broken().contains(&"S5"));
}

#[test]
fn s17_nothing_starts_while_too_many_have_failed() {
    let failed = |n: usize| {
        let params = Params {
            max_unavailable: IntOrPercent::Int(9),
            failures_max: IntOrPercent::Int(1),
            ..Params::default()
        };
        let mut p = Stream::with(10, 0, params);
        p.slots(&[]);
        for i in 1..=n {
            p.entry(&format!("w{i}"), "", "Failed", 1);
        }
        p.slots(&[("w9", "e-w9")]);
        p
    };
    failed(1).allowed();
    assert_eq!(failed(2).broken(), ["S17"]);
}

/// A group `mon` of the pods of Deployment shop/mon or of the nodes labelled `mon`.
fn quorum(pods_in: Option<&str>) -> Params {
    Params {
        quorum_groups: vec![QuorumGroup {
            name: "mon".into(),
            pods_in: pods_in.map(str::to_owned),
            selector: Selector::label("mon", "yes"),
        }],
        ..places(9)
    }
}

fn of_nodes() -> Stream {
    let mut p = Stream::with(10, 0, quorum(None));
    p.label("w1", "mon", Some("yes")).label("w2", "mon", Some("yes"));
    p
}

#[test]
fn s30_two_nodes_of_a_group_are_not_away_together() {
    let mut p = of_nodes();
    p.cordon("w1", true, "junban")
        .cordon("w3", true, "junban")
        .allowed();
    p.cordon("w2", true, "junban");
    assert_eq!(p.broken(), ["S30"]);
    let mut p = of_nodes();
    p.cordon("w1", true, "junban").cordon("w1", false, "junban");
    p.cordon("w2", true, "junban").allowed();
}

#[test]
fn s30_a_node_that_others_took_away_counts_as_soon_as_it_can_be_known() {
    for cordoned in [true, false] {
        let mut p = of_nodes();
        p.later(10_000);
        match cordoned {
            true => p.cordon("w1", true, "kubectl"),
            false => p.ready("w1", Ready::False),
        };
        p.later(1_000).cordon("w2", true, "junban").allowed();
        p.later(10_000).powered("w2", 1);
        assert!(p.broken().contains(&"S30"));
    }
}

#[test]
fn s30_a_node_whose_pod_has_left_stays_a_member_while_it_is_cordoned() {
    let mut p = Stream::with(10, 0, quorum(Some("shop")));
    let labels = BTreeMap::from([("mon".to_owned(), "yes".to_owned())]);
    for node in ["w1", "w2"] {
        p.tell(Truth::PodAdded(PodFacts {
            labels: labels.clone(),
            ..pod(node, node, "Deployment/shop/mon", true)
        }));
    }
    p.cordon("w1", true, "junban");
    p.tell(Truth::PodGone {
        pod: "shop/w1".into(),
        uid: "uid-w1".into(),
    });
    p.allowed();
    p.cordon("w2", true, "junban");
    assert_eq!(p.broken(), ["S30"]);
}

#[test]
fn s5_a_node_with_etcd_alone_is_one_of_the_control_plane() {
    const ETCD: &str = "node-role.kubernetes.io/etcd";
    let mut p = Stream::with(10, 0, places(9));
    for node in ["w1", "w2", "w3"] {
        p.label(node, ETCD, Some("true"));
    }
    p.later(10_000).cordon("w1", true, "junban").allowed();
    p.cordon("w2", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
    let mut p = Stream::with(10, 0, places(9));
    p.label("w1", ETCD, Some("true")).later(10_000);
    p.cordon("w1", true, "junban");
    assert_eq!(p.broken(), ["S5"], "one member has no quorum without it");
}
