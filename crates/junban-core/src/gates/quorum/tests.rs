use std::collections::BTreeMap;

use crate::entry::Phase;
use crate::fixture::{Toy, pod};
use crate::ids::Version;
use crate::pod::{Pod, PodPhase};
use crate::quantity::IntOrPercent;
use crate::queue::{QuorumGroup, QuorumMembers};
use crate::reason::Reason;
use crate::selector::Selector;

fn of_label(key: &str, value: &str) -> Selector {
    Selector::of_labels([(key.to_owned(), value.to_owned())])
}

/// Three storage nodes, which may all go at once but for the group, with this group.
fn three_of(members: QuorumMembers) -> Toy {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.queue().max_unavailable = IntOrPercent::Count(3);
    let name = "monitors".to_owned();
    toy.queue().quorum_groups = vec![QuorumGroup { name, members }];
    toy
}

fn by_nodes() -> Toy {
    let mut toy = three_of(QuorumMembers::Nodes(of_label("storage", "yes")));
    for name in ["node-1", "node-2"] {
        let storage = ("storage".to_owned(), "yes".to_owned());
        toy.node(name).labels.extend([storage]);
    }
    toy
}

fn by_pods() -> Toy {
    let mut toy = three_of(QuorumMembers::Pods {
        namespace: "shop".to_owned(),
        selector: of_label("app", "mon"),
    });
    for name in ["node-1", "node-2"] {
        toy.cluster.apply_pod(monitor(name, Some(name), 1));
    }
    toy
}

fn monitor(name: &str, on: Option<&str>, version: u64) -> Pod {
    Pod {
        version: Version(version),
        node: on.map(Into::into),
        labels: BTreeMap::from([("app".to_owned(), "mon".to_owned())]),
        ..pod(name, on.unwrap_or_default())
    }
}

/// Lets node-3, which is no member, be the first proof. From then on nothing but the group keeps node-1 and node-2 apart.
fn after_the_first_proof(mut toy: Toy) -> Toy {
    for name in ["node-1", "node-2"] {
        toy.node(name).held = true;
    }
    toy.run(60);
    assert_eq!(toy.powered, ["node-3"]);
    for name in ["node-1", "node-2"] {
        toy.node(name).held = false;
    }
    toy
}

fn cordoned(toy: &Toy) -> Vec<&str> {
    let nodes = toy.cluster.nodes.values().filter(|node| node.unschedulable);
    nodes.map(|node| node.name.as_str()).collect()
}

#[test]
fn two_nodes_of_a_group_are_never_away_at_once() {
    for toy in [by_nodes(), by_pods()] {
        let mut toy = after_the_first_proof(toy);
        for _ in 0..200 {
            toy.run(1);
            assert!(cordoned(&toy).len() < 2);
        }
        assert_eq!(toy.powered, ["node-3", "node-1", "node-2"]);
    }
}

#[test]
fn a_member_that_somebody_else_took_away_keeps_the_others_from_starting() {
    for mut toy in [by_nodes(), by_pods()] {
        toy.node("node-2").unschedulable = true;
        toy.node("node-2").held = true;
        toy.run(60);
        toy.assert_phase("node-1", Phase::Queued, Reason::QuorumAway);
        let message = toy
            .entry("node-1")
            .map(|entry| entry.record.message.clone())
            .unwrap();
        assert_eq!(
            message,
            "node node-2 of quorum group monitors is away; two of the group are never away at once"
        );
        assert_eq!(toy.powered, ["node-3"], "node-3 is no member");
        toy.node("node-2").unschedulable = false;
        toy.run(60);
        assert_eq!(toy.powered, ["node-3", "node-1"]);
    }
}

#[test]
fn a_pod_of_the_group_on_no_node_is_a_member_that_is_away() {
    let mut toy = after_the_first_proof(by_pods());
    toy.node("node-2").held = true;
    toy.cluster.apply_pod(Pod {
        phase: PodPhase::Pending,
        ready: false,
        ..monitor("third", None, 1)
    });
    toy.run(60);
    toy.assert_phase("node-1", Phase::Queued, Reason::QuorumAway);
    toy.cluster.apply_pod(monitor("third", Some("node-3"), 2));
    toy.run(60);
    assert_eq!(toy.powered, ["node-3", "node-1"]);
}

#[test]
fn a_node_whose_pod_has_left_stays_a_member_until_its_turn_ends() {
    let mut toy = after_the_first_proof(by_pods());
    toy.run(20);
    assert_eq!(toy.evicted, ["shop/node-1"]);
    toy.assert_phase("node-1", Phase::Rebooting, Reason::Booting);
    toy.assert_phase("node-2", Phase::Queued, Reason::QuorumTurn);
    toy.run(100);
    assert_eq!(toy.powered, ["node-3", "node-1", "node-2"]);
}

#[test]
fn a_drained_member_waits_for_its_power_action_while_another_one_is_away() {
    let mut toy = by_nodes();
    toy.node("node-2").held = true;
    toy.node("node-3").held = true;
    toy.run(3);
    assert_eq!(cordoned(&toy), ["node-1"]);
    toy.node("node-2").ready = false;
    toy.run(60);
    assert_eq!(toy.powered, Vec::<String>::new());
    toy.assert_phase("node-1", Phase::Draining, Reason::QuorumAway);
    toy.node("node-2").ready = true;
    toy.run(60);
    assert_eq!(toy.powered, ["node-1"]);
}
