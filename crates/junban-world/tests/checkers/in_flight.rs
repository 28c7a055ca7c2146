//! S4: maxConcurrent and groups.

use super::*;
use junban_world::{Groups, PolicyLimits};

const EXCLUDE: &str = "junban.dev/exclude";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Ten workers with an entry of the policy `p` each, and places for nine.
fn workers(max_concurrent: IntOrPercent, policy: PolicyLimits) -> Play {
    let params = Params {
        max_unavailable: IntOrPercent::Int(9),
        max_concurrent,
        policies: BTreeMap::from([("p".to_owned(), policy)]),
        ..Params::default()
    };
    let mut play = Play::with(10, 0, params);
    for i in 1..=10 {
        play.made(&format!("w{i}"), "p");
    }
    play.slots(&[]);
    play
}

fn queue(max_concurrent: IntOrPercent) -> Play {
    workers(max_concurrent, PolicyLimits::default())
}

fn policy(max_concurrent: i64) -> Play {
    let limits = PolicyLimits {
        max_concurrent: Some(max_concurrent),
        groups: None,
    };
    workers(IntOrPercent::Percent(100), limits)
}

/// w1 and w2 in zone a, w3 and w4 in b, w5 and w6 in c, the others in none.
fn zones(at_once: i64) -> Play {
    let groups = Groups {
        by: ZONE.into(),
        at_once,
    };
    let limits = PolicyLimits {
        max_concurrent: None,
        groups: Some(groups),
    };
    let mut play = workers(IntOrPercent::Percent(100), limits);
    for (i, zone) in (1..).zip(["a", "a", "b", "b", "c", "c"]) {
        play.label(&format!("w{i}"), ZONE, Some(zone));
    }
    play.later(10_000);
    play
}

impl Play {
    /// Slots of these nodes' entries.
    fn hold(&mut self, nodes: &[&str]) -> &mut Self {
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

    fn says(&self) -> Vec<&str> {
        let violations = self.checkers.violations().iter();
        violations.map(|violation| violation.text.as_str()).collect()
    }
}

#[test]
fn s4_no_start_above_max_concurrent_of_the_queue() {
    let mut p = queue(IntOrPercent::Int(2));
    p.hold(&["w1", "w2"]).fine();
    p.hold(&["w1", "w2", "w3"]);
    assert_eq!(
        p.says(),
        ["maxConcurrent of the queue is 2, in flight are w1 w2 w3"]
    );
}

#[test]
fn s4_max_concurrent_in_percent_rounds_up_and_is_at_least_one() {
    let mut p = queue(IntOrPercent::Percent(11));
    p.hold(&["w1", "w2"]).fine();
    p.hold(&["w1", "w2", "w3"]);
    assert_eq!(p.broken(), ["S4"]);
    let mut p = queue(IntOrPercent::Int(0));
    p.hold(&["w1"]).fine();
}

#[test]
fn s4_excluded_nodes_count_in_no_percentage_but_until_the_end_of_their_turn() {
    let mut p = queue(IntOrPercent::Percent(20));
    p.label("w9", EXCLUDE, Some("true")).hold(&["w1", "w2"]).fine();
    let mut p = queue(IntOrPercent::Percent(10));
    p.hold(&["w1"]).drains("w1").label("w1", EXCLUDE, Some("true"));
    p.hold(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_what_is_unavailable_already_is_in_flight_all_the_same() {
    let mut p = queue(IntOrPercent::Int(1));
    p.hold(&["w1"]).cordon("w2", true, "kubectl").later(10_000);
    p.hold(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_failed_and_ended_entries_are_not_in_flight() {
    let mut p = queue(IntOrPercent::Int(1));
    p.hold(&["w1"]).fails("w1");
    p.hold(&["w1", "w2"]).fine();
    let mut p = queue(IntOrPercent::Int(1));
    p.hold(&["w1"])
        .drains("w1")
        .entry("w1", "Draining", "Cancelled", 0);
    p.hold(&["w1", "w2"]);
    assert_eq!(p.says(), [""; 0]);
}

#[test]
fn s4_an_edit_below_what_is_in_flight_forbids_the_next_start_only() {
    let mut p = queue(IntOrPercent::Int(3));
    p.hold(&["w1", "w2", "w3"]);
    p.checkers.params().max_concurrent = IntOrPercent::Int(1);
    p.hold(&["w2", "w3"]).hold(&["w3"]);
    assert_eq!(p.says(), [""; 0]);
    p.hold(&["w3", "w4"]);
    assert_eq!(p.says(), ["maxConcurrent of the queue is 1, in flight are w3 w4"]);
}

#[test]
fn s4_a_retry_asks_for_nothing_and_counts_for_the_next_start() {
    let mut p = queue(IntOrPercent::Int(1));
    p.hold(&["w1"]).fails("w1").hold(&["w1", "w2"]);
    p.entry("w1", "Failed", "Queued", 1).fine();
    p.hold(&["w1"]).hold(&["w1", "w3"]);
    assert_eq!(p.says(), ["maxConcurrent of the queue is 1, in flight are w1 w3"]);
}

#[test]
fn s4_a_slot_that_is_put_back_starts_nothing() {
    let mut p = policy(1);
    p.hold(&["w1"]).drains("w1").slots(&[]).hold(&["w1"]).fine();
    let mut p = policy(1);
    p.cordon("w2", true, "junban");
    p.entry("w1", "Queued", "Draining", 0);
    p.hold(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"], "the cordon without a slot, and nothing else");
}

#[test]
fn s4_a_deleted_entry_is_in_flight_while_our_cordon_stands() {
    let gone = || Truth::EntryGone { entry: "e-w1".into() };
    let mut p = policy(1);
    p.hold(&["w1"]).drains("w1").tell(gone());
    p.hold(&["w1", "w2"]);
    assert_eq!(p.says(), ["maxConcurrent of policy p is 1, in flight are w1 w2"]);
    let mut p = policy(1);
    p.hold(&["w1"]).drains("w1").tell(gone());
    p.cordon("w1", false, "junban").hold(&["w1", "w2"]);
    assert!(!p.broken().contains(&"S4"));
}

#[test]
fn s4_what_has_lost_its_slot_is_in_flight_all_the_same() {
    let mut p = policy(1);
    p.hold(&["w1"]).drains("w1").slots(&[]);
    p.hold(&["w2"]);
    assert_eq!(p.says(), ["maxConcurrent of policy p is 1, in flight are w2 w1"]);
}

#[test]
fn s4_policies_have_limits_of_their_own() {
    let mut p = policy(1);
    p.made("w5", "q").hold(&["w1", "w5"]).fine();
    p.hold(&["w1", "w2", "w5"]);
    assert_eq!(p.says(), ["maxConcurrent of policy p is 1, in flight are w1 w2"]);
}

#[test]
fn s4_at_most_so_many_groups_are_open() {
    let mut p = zones(1);
    p.hold(&["w1", "w2"]).fine();
    p.hold(&["w1", "w2", "w3"]);
    assert_eq!(p.says(), ["groups of policy p: a, b are open, atOnce is 1"]);
    let mut p = zones(2);
    p.hold(&["w1", "w3", "w4"]).fine();
    p.hold(&["w1", "w3", "w4", "w5"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_node_without_the_label_is_a_group_of_its_own() {
    let mut p = zones(1);
    p.hold(&["w9"]).fine();
    p.hold(&["w9", "w10"]);
    assert_eq!(
        p.says(),
        ["groups of policy p: node w10, node w9 are open, atOnce is 1"]
    );
}

#[test]
fn s4_failed_keeps_no_group_open() {
    let mut p = zones(1);
    p.hold(&["w1"]).fails("w1").hold(&["w1", "w3"]).fine();
}

#[test]
fn s4_a_start_in_an_open_group_opens_none() {
    let mut p = zones(2);
    p.hold(&["w1", "w3"]);
    if let Some(policy) = p.checkers.params().policies.get_mut("p")
        && let Some(groups) = &mut policy.groups
    {
        groups.at_once = 1;
    }
    p.hold(&["w1", "w2", "w3"]).fine();
    p.hold(&["w1", "w2", "w3", "w5"]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_a_label_that_changed_a_moment_ago_could_not_be_known() {
    let mut p = zones(1);
    p.hold(&["w1"]).label("w2", ZONE, Some("b")).later(1_000);
    p.hold(&["w1", "w2"]).fine();
    let mut p = zones(1);
    p.hold(&["w1"]).label("w2", ZONE, Some("b")).later(5_000);
    p.hold(&["w1", "w2"]);
    assert_eq!(p.broken(), ["S4"]);
}
