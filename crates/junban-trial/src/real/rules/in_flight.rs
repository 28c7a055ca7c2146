//! At the moment at which a node is marked no more entries are in flight than `maxConcurrent` allows, and no group is
//! opened beside `atOnce` open ones. In flight is a marked node whose entry is neither Failed nor ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::limits::{EDIT_KNOWN_AFTER, share};
use crate::scenario::facts::Facts;

/// Specs of policies, by name.
pub(in crate::real) type Policies = BTreeMap<String, Value>;

/// The only label by which facts know groups.
const ZONE: &str = "topology.kubernetes.io/zone";

#[derive(Default)]
pub(super) struct InFlight {
    /// `maxConcurrent` of the queue, and the policies.
    written: Option<(Value, Policies)>,
    /// After an edit a controller may go by either text until then.
    edit_known_at: Duration,
    marked: BTreeSet<String>,
    exceeded: BTreeSet<String>,
    /// What a start exceeded and still does.
    blamed: BTreeSet<String>,
}

impl InFlight {
    /// What a start has exceeded. An edit and a retry may exceed as well, and mark nothing.
    pub(super) fn look(
        &mut self,
        facts: &Facts,
        queue: Option<&Value>,
        policies: Policies,
        at: Duration,
    ) -> BTreeSet<String> {
        if let Some(queue) = queue {
            let now = (queue["maxConcurrent"].clone(), policies);
            if self.written.as_ref().is_some_and(|before| *before != now) {
                self.edit_known_at = at + EDIT_KNOWN_AFTER;
            }
            self.written = Some(now);
        }
        let Some((most, policies)) = &self.written else {
            return BTreeSet::new();
        };
        let exceeded = exceeded(facts, most, policies);
        let marks = facts.nodes.iter().filter(|(_, node)| node.marked);
        let marked: BTreeSet<String> = marks.map(|(name, _)| name.clone()).collect();
        if !marked.is_subset(&self.marked) && at >= self.edit_known_at {
            self.blamed.extend(exceeded.difference(&self.exceeded).cloned());
        }
        self.blamed.retain(|what| exceeded.contains(what));
        (self.marked, self.exceeded) = (marked, exceeded);
        self.blamed.clone()
    }
}

/// Each names who is in flight, or which groups are open: one more makes it another.
fn exceeded(facts: &Facts, most: &Value, policies: &Policies) -> BTreeSet<String> {
    let turns = in_flight(facts);
    let nodes = turns.iter().map(|(node, _)| *node).collect();
    let most = share(most, facts.nodes.len(), 100).max(1);
    let mut exceeded = BTreeSet::from_iter(too_many("the queue", most, &nodes));
    for (name, policy) in policies {
        let of_policy = turns.iter().filter(|(_, of)| of == name);
        let nodes: BTreeSet<&str> = of_policy.map(|(node, _)| *node).collect();
        if let Some(most) = number(&policy["maxConcurrent"]) {
            exceeded.extend(too_many(&format!("policy {name}"), most, &nodes));
        }
        if policy["groups"]["by"] == ZONE {
            let most = number(&policy["groups"]["atOnce"]).unwrap_or(1);
            let open: BTreeSet<&str> = nodes
                .iter()
                .map(|node| facts.nodes[*node].rack.as_str())
                .collect();
            let told = || format!("groups of policy {name}: {open:?} are open, {most} may be");
            exceeded.extend((open.len() > most).then(told));
        }
    }
    exceeded
}

fn too_many(whose: &str, most: usize, nodes: &BTreeSet<&str>) -> Option<String> {
    let told = || format!("maxConcurrent of {whose}: {nodes:?} are in flight, {most} may be");
    (nodes.len() > most).then(told)
}

/// Nodes and the policy of each one's newest entry.
fn in_flight(facts: &Facts) -> Vec<(&str, &str)> {
    let turn = |name: &String| {
        let failed = facts
            .entries
            .iter()
            .any(|entry| entry.node == *name && entry.phase == "Failed");
        let newest = facts.entry_of(name);
        let is_over = newest.is_some_and(|entry| matches!(entry.phase.as_str(), "Succeeded" | "Cancelled"));
        (!failed && !is_over).then(|| newest.map_or("", |entry| entry.policy.as_str()))
    };
    let marked = facts.nodes.iter().filter(|(_, node)| node.marked);
    marked
        .filter_map(|(name, _)| Some((name.as_str(), turn(name)?)))
        .collect()
}

fn number(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::facts::{EntryFacts, NodeFacts};
    use serde_json::json;

    /// Four nodes in two zones, each with an entry of `workers`.
    fn cluster() -> Facts {
        let mut facts = Facts::default();
        for (name, rack) in [("n1", "a"), ("n2", "a"), ("n3", "b"), ("n4", "b")] {
            let node = NodeFacts {
                rack: rack.to_owned(),
                ..NodeFacts::default()
            };
            facts.nodes.insert(name.to_owned(), node);
            facts.entries.push(EntryFacts {
                node: name.to_owned(),
                policy: "workers".to_owned(),
                phase: "Queued".to_owned(),
                ..EntryFacts::default()
            });
        }
        facts
    }

    fn mark(facts: &mut Facts, node: &str) {
        facts.nodes.get_mut(node).unwrap().marked = true;
    }

    fn phase(facts: &mut Facts, node: &str, phase: &str) {
        let entry = facts.entries.iter_mut().find(|entry| entry.node == node);
        phase.clone_into(&mut entry.unwrap().phase);
    }

    struct Watcher {
        rules: InFlight,
        queue: Value,
        policy: Value,
        seconds: u64,
    }

    fn watcher(queue: Value, policy: Value) -> Watcher {
        Watcher {
            rules: InFlight::default(),
            queue,
            policy,
            seconds: 0,
        }
    }

    impl Watcher {
        fn blames(&mut self, facts: &Facts) -> bool {
            self.seconds += 1;
            let policies = BTreeMap::from([("workers".to_owned(), self.policy.clone())]);
            let at = Duration::from_secs(self.seconds);
            !self.rules.look(facts, Some(&self.queue), policies, at).is_empty()
        }
    }

    #[test]
    fn a_start_above_max_concurrent_is_blamed_and_a_failed_entry_is_not_in_flight() {
        for (queue, policy) in [
            (json!({"maxConcurrent": 1}), json!({})),
            (json!({"maxConcurrent": "25%"}), json!({})),
            (json!({}), json!({"maxConcurrent": 1})),
        ] {
            let (mut watcher, mut facts) = (watcher(queue, policy), cluster());
            mark(&mut facts, "n1");
            assert!(!watcher.blames(&facts));
            phase(&mut facts, "n1", "Failed");
            mark(&mut facts, "n2");
            assert!(!watcher.blames(&facts));
            mark(&mut facts, "n3");
            assert!(watcher.blames(&facts));
            // It stays so until it is over.
            assert!(watcher.blames(&facts));
            phase(&mut facts, "n2", "Succeeded");
            assert!(!watcher.blames(&facts));
        }
    }

    #[test]
    fn an_edit_and_a_retry_are_no_starts() {
        let (mut watcher, mut facts) = (watcher(json!({}), json!({})), cluster());
        for node in ["n1", "n2", "n3"] {
            mark(&mut facts, node);
        }
        phase(&mut facts, "n1", "Failed");
        assert!(!watcher.blames(&facts));
        watcher.queue = json!({"maxConcurrent": 1});
        assert!(!watcher.blames(&facts));
        phase(&mut facts, "n1", "Queued");
        assert!(!watcher.blames(&facts));
        watcher.seconds += 10;
        mark(&mut facts, "n4");
        assert!(watcher.blames(&facts));
    }

    #[test]
    fn a_start_that_opens_a_group_too_many_is_blamed() {
        let policy = json!({"groups": {"by": ZONE, "atOnce": 1}});
        let (mut watcher, mut facts) = (watcher(json!({}), policy), cluster());
        mark(&mut facts, "n1");
        mark(&mut facts, "n2");
        assert!(!watcher.blames(&facts));
        mark(&mut facts, "n3");
        assert!(watcher.blames(&facts));
    }

    #[test]
    fn a_start_in_an_open_group_opens_none() {
        let policy = json!({"groups": {"by": ZONE, "atOnce": 2}});
        let (mut watcher, mut facts) = (watcher(json!({}), policy), cluster());
        mark(&mut facts, "n1");
        mark(&mut facts, "n3");
        assert!(!watcher.blames(&facts));
        watcher.policy = json!({"groups": {"by": ZONE, "atOnce": 1}});
        assert!(!watcher.blames(&facts));
        watcher.seconds += 10;
        mark(&mut facts, "n2");
        assert!(!watcher.blames(&facts));
    }
}
