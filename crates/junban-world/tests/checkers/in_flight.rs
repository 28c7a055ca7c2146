//! S4: maxConcurrent and groups.

use super::*;
use junban_world::{Groups, PolicyLimits};

const EXCLUDE: &str = "junban.dev/exclude";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Ten workers with 9 places; each has an entry of policy `p`.
fn workers(max_concurrent: IntOrPercent, policy: PolicyLimits) -> Stream {
    let params = Params {
        max_unavailable: IntOrPercent::Int(9),
        max_concurrent,
        policies: BTreeMap::from([("p".to_owned(), policy)]),
        ..Params::default()
    };
    let mut stream = Stream::with(10, 0, params);
    for i in 1..=10 {
        stream.entry_made(&format!("w{i}"), "p");
    }
    stream.slots(&[]);
    stream
}

fn queue(max_concurrent: IntOrPercent) -> Stream {
    workers(max_concurrent, PolicyLimits::default())
}

fn policy(max_concurrent: i64) -> Stream {
    let limits = PolicyLimits {
        max_concurrent: Some(max_concurrent),
        groups: None,
    };
    workers(IntOrPercent::Percent(100), limits)
}

/// w1 and w2 are in zone a, w3 and w4 in b, w5 and w6 in c; the others have no zone.
fn zones(at_once: i64) -> Stream {
    let groups = Groups {
        by: ZONE.into(),
        at_once,
    };
    let limits = PolicyLimits {
        max_concurrent: None,
        groups: Some(groups),
    };
    let mut stream = workers(IntOrPercent::Percent(100), limits);
    for (i, zone) in (1..).zip(["a", "a", "b", "b", "c", "c"]) {
        stream.label(&format!("w{i}"), ZONE, Some(zone));
    }
    stream.later(10_000);
    stream
}

impl Stream {
    /// The entries of these nodes, and no others, hold slots.
    fn slots_of(&mut self, nodes: &[&str]) -> &mut Self {
        let entries: Vec<String> = nodes.iter().map(|node| format!("e-{node}")).collect();
        let holders: Vec<(&str, &str)> = nodes
            .iter()
            .copied()
            .zip(entries.iter().map(String::as_str))
            .collect();
        self.slots(&holders)
    }

    fn drains(&mut self, node: &str) -> &mut Self {
        self.entry(node, "Queued", "Draining", 0)
            .cordon(node, true, "junban")
    }

    fn fails(&mut self, node: &str) -> &mut Self {
        self.drains(node)
            .entry(node, "Draining", "Rebooting", 1)
            .entry(node, "Rebooting", "Failed", 1)
    }

    fn texts(&self) -> Vec<&str> {
        let violations = self.checkers.violations().iter();
        violations.map(|violation| violation.text.as_str()).collect()
    }
}

#[test]
fn s4_no_start_above_max_concurrent_of_the_queue() {
    let mut p = queue(IntOrPercent::Int(2));
    p.slots_of(&["w1", "w2"]).allowed();
    p.slots_of(&["w1", "w2", "w3"]);
    assert_eq!(
        p.texts(),
        ["maxConcurrent of the queue is 2, but w1 w2 w3 are in flight"]
    );
}

#[test]
fn s4_max_concurrent_in_percent_rounds_up_and_is_at_least_one() {
    let mut p = queue(IntOrPercent::Percent(11));
    p.slots_of(&["w1", "w2"]).allowed();
    p.slots_of(&["w1", "w2", "w3"]);
    assert_eq!(p.broken(), ["S4"]);
    let mut p = queue(IntOrPercent::Int(0));
    p.slots_of(&["w1"]).allowed();
}

#[test]
fn s4_a_percentage_counts_an_excluded_node_only_during_its_turn() {
    let mut p = queue(IntOrPercent::Percent(20));
    p.label("w9", EXCLUDE, Some("true"))
        .slots_of(&["w1", "w2"])
        .allowed();
    let mut p = queue(IntOrPercent::Percent(10));
    p.slots_of(&["w1"])
        .drains("w1")
        .label("w1", EXCLUDE, Some("true"));
    p.slots_of(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_node_that_was_unavailable_before_its_start_is_in_flight() {
    let mut p = queue(IntOrPercent::Int(1));
    p.slots_of(&["w1"]).cordon("w2", true, "kubectl").later(10_000);
    p.slots_of(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_failed_and_ended_entries_are_not_in_flight() {
    let mut p = queue(IntOrPercent::Int(1));
    p.slots_of(&["w1"]).fails("w1");
    p.slots_of(&["w1", "w2"]).allowed();
    let mut p = queue(IntOrPercent::Int(1));
    p.slots_of(&["w1"])
        .drains("w1")
        .entry("w1", "Draining", "Cancelled", 0);
    p.slots_of(&["w1", "w2"]);
    assert_eq!(p.texts(), [""; 0]);
}

#[test]
fn s4_an_edit_below_what_is_in_flight_only_stops_the_next_start() {
    let mut p = queue(IntOrPercent::Int(3));
    p.slots_of(&["w1", "w2", "w3"]);
    p.checkers.params().max_concurrent = IntOrPercent::Int(1);
    p.slots_of(&["w2", "w3"]).slots_of(&["w3"]);
    assert_eq!(p.texts(), [""; 0]);
    p.slots_of(&["w3", "w4"]);
    assert_eq!(
        p.texts(),
        ["maxConcurrent of the queue is 1, but w3 w4 are in flight"]
    );
}

#[test]
fn s4_a_retry_asks_for_no_limit_and_counts_at_the_next_start() {
    let mut p = queue(IntOrPercent::Int(1));
    p.slots_of(&["w1"]).fails("w1").slots_of(&["w1", "w2"]);
    p.entry("w1", "Failed", "Queued", 1).allowed();
    p.slots_of(&["w1"]).slots_of(&["w1", "w3"]);
    assert_eq!(
        p.texts(),
        ["maxConcurrent of the queue is 1, but w1 w3 are in flight"]
    );
}

#[test]
fn s4_a_slot_that_is_put_back_starts_nothing() {
    let mut p = policy(1);
    p.slots_of(&["w1"])
        .drains("w1")
        .slots(&[])
        .slots_of(&["w1"])
        .allowed();
    let mut p = policy(1);
    p.cordon("w2", true, "junban");
    p.entry("w1", "Queued", "Draining", 0);
    p.slots_of(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"], "only the cordon without a slot");
}

#[test]
fn s4_a_deleted_entry_is_in_flight_while_the_controllers_cordon_stands() {
    let gone = || Truth::EntryGone { entry: "e-w1".into() };
    let mut p = policy(1);
    p.slots_of(&["w1"]).drains("w1").tell(gone());
    p.slots_of(&["w1", "w2"]);
    assert_eq!(
        p.texts(),
        ["maxConcurrent of policy p is 1, but w1 w2 are in flight"]
    );
    let mut p = policy(1);
    p.slots_of(&["w1"]).drains("w1").tell(gone());
    p.cordon("w1", false, "junban").slots_of(&["w1", "w2"]);
    assert!(!p.broken().contains(&"S4"));
}

#[test]
fn s4_an_entry_that_lost_its_slot_is_in_flight() {
    let mut p = policy(1);
    p.slots_of(&["w1"]).drains("w1").slots(&[]);
    p.slots_of(&["w2"]);
    assert_eq!(
        p.texts(),
        ["maxConcurrent of policy p is 1, but w2 w1 are in flight"]
    );
}

#[test]
fn s4_policies_have_limits_of_their_own() {
    let mut p = policy(1);
    p.entry_made("w5", "q").slots_of(&["w1", "w5"]).allowed();
    p.slots_of(&["w1", "w2", "w5"]);
    assert_eq!(
        p.texts(),
        ["maxConcurrent of policy p is 1, but w1 w2 are in flight"]
    );
}

#[test]
fn s4_at_most_at_once_groups_are_open() {
    let mut p = zones(1);
    p.slots_of(&["w1", "w2"]).allowed();
    p.slots_of(&["w1", "w2", "w3"]);
    assert_eq!(p.texts(), ["groups of policy p: a, b are open, but atOnce is 1"]);
    let mut p = zones(2);
    p.slots_of(&["w1", "w3", "w4"]).allowed();
    p.slots_of(&["w1", "w3", "w4", "w5"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_node_without_the_label_is_a_group_of_its_own() {
    let mut p = zones(1);
    p.slots_of(&["w9"]).allowed();
    p.slots_of(&["w9", "w10"]);
    assert_eq!(
        p.texts(),
        ["groups of policy p: node w10, node w9 are open, but atOnce is 1"]
    );
}

#[test]
fn s4_a_failed_entry_does_not_keep_its_group_open() {
    let mut p = zones(1);
    p.slots_of(&["w1"]).fails("w1").slots_of(&["w1", "w3"]).allowed();
}

#[test]
fn s4_a_start_in_an_open_group_opens_no_group() {
    let mut p = zones(2);
    p.slots_of(&["w1", "w3"]);
    if let Some(policy) = p.checkers.params().policies.get_mut("p")
        && let Some(groups) = &mut policy.groups
    {
        groups.at_once = 1;
    }
    p.slots_of(&["w1", "w2", "w3"]).allowed();
    p.slots_of(&["w1", "w2", "w3", "w5"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_label_that_changed_just_now_may_be_unknown() {
    let mut p = zones(1);
    p.slots_of(&["w1"]).label("w2", ZONE, Some("b")).later(1_000);
    p.slots_of(&["w1", "w2"]).allowed();
    let mut p = zones(1);
    p.slots_of(&["w1"]).label("w2", ZONE, Some("b")).later(5_000);
    p.slots_of(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"]);
}
