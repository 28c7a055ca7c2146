//! When a node is marked, no more entries are in flight than `maxConcurrent` allows, and no more groups are open than
//! `atOnce` allows. A node is in flight if it has a mark and its entry is neither Failed nor ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::real::facts::ZONE;

use super::limits::{EDIT_KNOWN_AFTER, share};
use crate::scenario::facts::{EntryFacts, Facts};

/// The specs of policies, by name.
pub(in crate::real) type Policies = BTreeMap<String, Value>;

#[derive(Default)]
pub(super) struct InFlight {
    /// `maxConcurrent` of the queue, and the policies.
    limits: Option<(Value, Policies)>,
    /// Until then a controller may use the text from before the last edit.
    edit_known_at: Duration,
    marked: BTreeSet<String>,
    exceeded: BTreeSet<String>,
    /// What a start has exceeded and what is still exceeded.
    found: BTreeSet<String>,
}

impl InFlight {
    /// Returns what a start has exceeded. An edit or a retry may exceed a limit too, but it marks no node.
    pub(super) fn look(
        &mut self,
        facts: &Facts,
        queue: Option<&Value>,
        policies: Policies,
        at: Duration,
    ) -> BTreeSet<String> {
        if let Some(queue) = queue {
            let now = (queue["maxConcurrent"].clone(), policies);
            if self.limits.as_ref().is_some_and(|before| *before != now) {
                self.edit_known_at = at + EDIT_KNOWN_AFTER;
            }
            self.limits = Some(now);
        }
        let Some((most, policies)) = &self.limits else {
            return BTreeSet::new();
        };
        let exceeded = exceeded(facts, most, policies);
        let marked = facts.nodes_that(|node| node.marked);
        if !marked.is_subset(&self.marked) && at >= self.edit_known_at {
            self.found.extend(exceeded.difference(&self.exceeded).cloned());
        }
        self.found.retain(|what| exceeded.contains(what));
        (self.marked, self.exceeded) = (marked, exceeded);
        self.found.clone()
    }
}

/// Every exceeded limit in words. The words name the nodes or groups, so one more node or group gives another text.
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
        // Facts know no other label of a node's group.
        if policy["groups"]["by"] == ZONE {
            let most = number(&policy["groups"]["atOnce"]).unwrap_or(1);
            let open: BTreeSet<&str> = nodes
                .iter()
                .map(|node| facts.nodes[*node].rack.as_str())
                .collect();
            let text = || format!("groups of policy {name}: {open:?} are open, {most} may be");
            exceeded.extend((open.len() > most).then(text));
        }
    }
    exceeded
}

fn too_many(whose: &str, most: usize, nodes: &BTreeSet<&str>) -> Option<String> {
    let text = || format!("maxConcurrent of {whose}: {nodes:?} are in flight, {most} may be");
    (nodes.len() > most).then(text)
}

/// The nodes in flight, each with the policy of its newest entry.
fn in_flight(facts: &Facts) -> Vec<(&str, &str)> {
    let turn = |name: &String| {
        let mut entries = facts.entries.iter().filter(|entry| entry.node == *name);
        let failed = entries.any(EntryFacts::is_failed);
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
    use crate::scenario::facts::NodeFacts;
    use serde_json::json;

    /// Four nodes in two zones. Each has an entry of the policy `workers`.
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
        fn finds(&mut self, facts: &Facts) -> bool {
            self.seconds += 1;
            let policies = BTreeMap::from([("workers".to_owned(), self.policy.clone())]);
            let at = Duration::from_secs(self.seconds);
            !self.rules.look(facts, Some(&self.queue), policies, at).is_empty()
        }
    }

    #[test]
    fn a_start_above_max_concurrent_is_found_and_a_failed_entry_is_not_in_flight() {
        for (queue, policy) in [
            (json!({"maxConcurrent": 1}), json!({})),
            (json!({"maxConcurrent": "25%"}), json!({})),
            (json!({}), json!({"maxConcurrent": 1})),
        ] {
            let (mut watcher, mut facts) = (watcher(queue, policy), cluster());
            mark(&mut facts, "n1");
            assert!(!watcher.finds(&facts));
            phase(&mut facts, "n1", "Failed");
            mark(&mut facts, "n2");
            assert!(!watcher.finds(&facts));
            mark(&mut facts, "n3");
            assert!(watcher.finds(&facts));
            // It is found until the limit is no longer exceeded.
            assert!(watcher.finds(&facts));
            phase(&mut facts, "n2", "Succeeded");
            assert!(!watcher.finds(&facts));
        }
    }

    #[test]
    fn an_edit_or_a_retry_is_not_a_start() {
        let (mut watcher, mut facts) = (watcher(json!({}), json!({})), cluster());
        for node in ["n1", "n2", "n3"] {
            mark(&mut facts, node);
        }
        phase(&mut facts, "n1", "Failed");
        assert!(!watcher.finds(&facts));
        watcher.queue = json!({"maxConcurrent": 1});
        assert!(!watcher.finds(&facts));
        phase(&mut facts, "n1", "Queued");
        assert!(!watcher.finds(&facts));
        watcher.seconds += 10;
        mark(&mut facts, "n4");
        assert!(watcher.finds(&facts));
    }

    #[test]
    fn a_start_that_opens_one_group_too_many_is_found() {
        let policy = json!({"groups": {"by": ZONE, "atOnce": 1}});
        let (mut watcher, mut facts) = (watcher(json!({}), policy), cluster());
        mark(&mut facts, "n1");
        mark(&mut facts, "n2");
        assert!(!watcher.finds(&facts));
        mark(&mut facts, "n3");
        assert!(watcher.finds(&facts));
    }

    #[test]
    fn a_start_in_an_open_group_opens_no_group() {
        let policy = json!({"groups": {"by": ZONE, "atOnce": 2}});
        let (mut watcher, mut facts) = (watcher(json!({}), policy), cluster());
        mark(&mut facts, "n1");
        mark(&mut facts, "n3");
        assert!(!watcher.finds(&facts));
        watcher.policy = json!({"groups": {"by": ZONE, "atOnce": 1}});
        assert!(!watcher.finds(&facts));
        watcher.seconds += 10;
        mark(&mut facts, "n2");
        assert!(!watcher.finds(&facts));
    }
}
