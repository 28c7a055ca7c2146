use super::*;
use crate::verbs::fixture;

#[test]
fn every_node_is_looked_at_before_one_is_touched() {
    let mut cluster = fixture::cluster(Some(100), &["node-1", "node-2"]);
    cluster.apply_entry(fixture::entry("node-1", 100, Phase::Queued));
    let chosen = |nodes: &[&str]| {
        let nodes: Vec<NodeName> = nodes.iter().map(|node| NodeName::from(*node)).collect();
        decide_nodes(&cluster, &nodes, true).map(|chosen| chosen.len())
    };
    assert_eq!(chosen(&["node-1"]), Ok(1));
    assert_eq!(
        chosen(&["node-1", "node-9"]),
        Err(Refusal::NoSuchNode("node-9".into()))
    );
    assert_eq!(
        chosen(&["node-1", "node-2"]),
        Err(Refusal::NothingToCancel("node-2".into()))
    );
}

#[test]
fn all_leaves_failed_and_ended_entries() {
    let mut cluster = fixture::cluster(Some(100), &["a", "b", "c"]);
    for (node, phase) in [
        ("a", Phase::Queued),
        ("b", Phase::Failed),
        ("c", Phase::Succeeded),
    ] {
        cluster.apply_entry(fixture::entry(node, 100, phase));
    }
    let chosen: Vec<&str> = decide_all(&cluster).into_keys().map(NodeName::as_str).collect();
    assert_eq!(chosen, ["a"]);
}

#[test]
fn a_waiver_covers_the_goal_that_the_policy_was_raised_to_if_that_is_due() {
    let cluster = fixture::cluster(Some(150), &["node-1"]);
    let mut node = fixture::node("node-1");
    let queued = fixture::entry("node-1", 100, Phase::Queued);
    let waiver = |node: &Node, entry: &Entry, now| waiver(&cluster, fixture::at(now), node, &[entry]);
    assert_eq!(waiver(&node, &queued, 200), Some(fixture::at(150)));
    assert_eq!(waiver(&node, &queued, 120), Some(fixture::at(100)));
    let past = fixture::entry("node-1", 100, Phase::Rebooting);
    assert_eq!(waiver(&node, &past, 200), None, "seen through to its end");
    node.waived = Some(fixture::at(150));
    assert_eq!(waiver(&node, &queued, 200), None, "waived before");
    (node.waived, node.uid) = (None, "another".into());
    assert_eq!(waiver(&node, &queued, 200), None, "another machine");
}
