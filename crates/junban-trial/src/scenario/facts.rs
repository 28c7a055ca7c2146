//! What can be seen of a cluster at one moment. Both runners collect the same facts, and conditions are judged by them
//! alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::json::text;

/// A cluster at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts {
    pub nodes: BTreeMap<String, NodeFacts>,
    pub entries: Vec<EntryFacts>,
    /// By `namespace/name`.
    pub pods: BTreeMap<String, PodFacts>,
    /// Wanted replicas, by `namespace/name` of the workload.
    pub replicas: BTreeMap<String, u32>,
    /// Nodes with a slot in the ledger.
    pub slots: BTreeSet<String>,
    /// Without a queue the cluster counts as paused.
    pub paused: bool,
    /// For each node how many power actions took effect since the run began.
    pub power: BTreeMap<String, u32>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeFacts {
    pub ready: bool,
    pub cordoned: bool,
    pub marked: bool,
    /// It has the steering taint.
    pub steered: bool,
    pub off_load_balancers: bool,
    pub control_plane: bool,
    /// A network volume is attached to it.
    pub with_volume: bool,
    pub rack: String,
    /// How often it booted since the run began.
    pub boots: u32,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntryFacts {
    pub name: String,
    pub uid: String,
    pub node: String,
    pub policy: String,
    pub phase: String,
    pub reason: String,
    pub message: String,
    /// A newer entry has a higher number.
    pub order: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodFacts {
    pub uid: String,
    pub node: String,
    /// `namespace/name` of the topmost controller, or of the pod itself if it has no controller.
    pub workload: String,
    pub ready: bool,
    pub terminating: bool,
}

impl NodeFacts {
    /// Cordoned or NotReady, whoever caused it (docs/design/life-cycle.md#limits).
    pub fn unavailable(&self) -> bool {
        self.cordoned || !self.ready
    }
}

impl EntryFacts {
    /// What the spec and the status of an entry say.
    pub fn read(spec: &Value, status: &Value) -> Self {
        Self {
            node: text(&spec["nodeName"]).to_owned(),
            policy: text(&spec["policy"]).to_owned(),
            phase: status["phase"].as_str().unwrap_or("Queued").to_owned(),
            reason: text(&status["reason"]).to_owned(),
            message: text(&status["message"]).to_owned(),
            ..Self::default()
        }
    }

    /// The entry in words.
    pub fn describe(&self) -> String {
        format!(
            "{} is {} {}: {}",
            self.node, self.phase, self.reason, self.message
        )
    }

    pub fn is_failed(&self) -> bool {
        self.phase == "Failed"
    }
}

impl Facts {
    /// The nodes of which this is true.
    pub fn nodes_that(&self, is_so: fn(&NodeFacts) -> bool) -> BTreeSet<String> {
        let those = self.nodes.iter().filter(|(_, node)| is_so(node));
        those.map(|(name, _)| name.clone()).collect()
    }

    /// What the spec and the status of the queue say.
    pub fn of_queue(queue: Option<(&Value, &Value)>) -> Self {
        let slots = queue.and_then(|(_, status)| status["ledger"]["slots"].as_object());
        Self {
            slots: slots
                .into_iter()
                .flatten()
                .map(|(node, _)| node.clone())
                .collect(),
            paused: queue.is_none_or(|(spec, _)| spec["paused"].as_bool().unwrap_or_default()),
            ..Self::default()
        }
    }

    /// The nodes whose power action is in doubt after a crash.
    pub fn in_doubt(&self) -> impl Iterator<Item = &String> {
        let entries = self.entries.iter();
        let doubtful = entries.filter(|entry| entry.is_failed() && entry.reason == "PowerUnknown");
        doubtful.map(|entry| &entry.node)
    }

    /// The node's newest entry.
    pub fn entry_of(&self, node: &str) -> Option<&EntryFacts> {
        self.entries
            .iter()
            .filter(|entry| entry.node == node)
            .max_by_key(|entry| entry.order)
    }

    /// Pods of a workload in any state, on one node or on all nodes.
    pub fn pods_of(&self, workload: &str, node: Option<&str>) -> u32 {
        let is_one = |pod: &&PodFacts| pod.workload == workload && node.is_none_or(|node| pod.node == node);
        u32::try_from(self.pods.values().filter(is_one).count()).unwrap_or(u32::MAX)
    }

    /// Pods of a workload that are Ready and not terminating.
    pub fn ready_pods(&self, workload: &str) -> u32 {
        let ready = |pod: &&PodFacts| pod.workload == workload && pod.ready && !pod.terminating;
        u32::try_from(self.pods.values().filter(ready).count()).unwrap_or(u32::MAX)
    }
}

/// The state that a run with a crash and a run without one must share.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndState {
    /// The phase of each node's newest entry.
    pub phases: BTreeMap<String, String>,
    pub cordoned: BTreeSet<String>,
    pub marked: BTreeSet<String>,
    /// The nodes with the steering taint.
    pub steered: BTreeSet<String>,
    pub off_load_balancers: BTreeSet<String>,
    pub slots: BTreeSet<String>,
    /// For each node how many power actions took effect.
    pub power: BTreeMap<String, u32>,
}

impl EndState {
    pub fn of(facts: &Facts) -> Self {
        let newest = |node: &String| {
            facts
                .entry_of(node)
                .map(|entry| (node.clone(), entry.phase.clone()))
        };
        Self {
            phases: facts.nodes.keys().filter_map(newest).collect(),
            cordoned: facts.nodes_that(|node| node.cordoned),
            marked: facts.nodes_that(|node| node.marked),
            steered: facts.nodes_that(|node| node.steered),
            off_load_balancers: facts.nodes_that(|node| node.off_load_balancers),
            slots: facts.slots.clone(),
            power: facts.power.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_that_a_crash_leaves_on_a_node_changes_the_end_state() {
        let end = |change: fn(&mut NodeFacts)| {
            let mut node = NodeFacts::default();
            change(&mut node);
            let mut facts = Facts::default();
            facts.nodes.insert("node-1".to_owned(), node);
            EndState::of(&facts)
        };
        let without = end(|_| ());
        let changes: [fn(&mut NodeFacts); 4] = [
            |node| node.cordoned = true,
            |node| node.marked = true,
            |node| node.steered = true,
            |node| node.off_load_balancers = true,
        ];
        for change in changes {
            assert_ne!(end(change), without);
        }
    }
}
