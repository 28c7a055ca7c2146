//! What can be seen of a cluster at one moment, the same in every world. Conditions are judged on this alone.

use std::collections::{BTreeMap, BTreeSet};

/// One moment.
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
    /// No queue counts as paused.
    pub paused: bool,
    /// Power actions that took effect since the run began, by node.
    pub power: BTreeMap<String, u32>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeFacts {
    pub ready: bool,
    pub cordoned: bool,
    pub marked: bool,
    /// The steering taint.
    pub steered: bool,
    pub off_load_balancers: bool,
    pub control_plane: bool,
    /// A volume of the network is attached to it.
    pub with_volume: bool,
    pub rack: String,
    /// Boots since the run began.
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
    /// Increases from one entry to the next.
    pub order: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodFacts {
    pub uid: String,
    pub node: String,
    /// `namespace/name` of the topmost controller; of the pod itself where it has none.
    pub workload: String,
    pub ready: bool,
    pub terminating: bool,
}

impl NodeFacts {
    /// lifecycle.md 4: cordoned or NotReady, whoever caused it.
    pub fn unavailable(&self) -> bool {
        self.cordoned || !self.ready
    }
}

impl Facts {
    /// The node's newest entry.
    pub fn entry_of(&self, node: &str) -> Option<&EntryFacts> {
        self.entries
            .iter()
            .filter(|entry| entry.node == node)
            .max_by_key(|entry| entry.order)
    }

    /// Pods of a workload in whatever state, on one node or anywhere.
    pub fn pods_of(&self, workload: &str, node: Option<&str>) -> u32 {
        let is_one = |pod: &&PodFacts| pod.workload == workload && node.is_none_or(|node| pod.node == node);
        u32::try_from(self.pods.values().filter(is_one).count()).unwrap_or(u32::MAX)
    }

    /// Pods of a workload that are Ready and not on their way out.
    pub fn ready_pods(&self, workload: &str) -> u32 {
        let ready = |pod: &&PodFacts| pod.workload == workload && pod.ready && !pod.terminating;
        u32::try_from(self.pods.values().filter(ready).count()).unwrap_or(u32::MAX)
    }
}

/// What two runs of one scenario must have in common.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndState {
    /// Phase of each node's newest entry.
    pub phases: BTreeMap<String, String>,
    pub cordoned: BTreeSet<String>,
    pub marked: BTreeSet<String>,
    /// Nodes with the steering taint.
    pub steered: BTreeSet<String>,
    pub off_load_balancers: BTreeSet<String>,
    pub slots: BTreeSet<String>,
    /// Power actions that took effect, per node.
    pub power: BTreeMap<String, u32>,
}

impl EndState {
    pub fn of(facts: &Facts) -> Self {
        let nodes = |has: fn(&NodeFacts) -> bool| {
            let those = facts.nodes.iter().filter(|(_, node)| has(node));
            those.map(|(name, _)| name.clone()).collect()
        };
        let newest = |node: &String| {
            facts
                .entry_of(node)
                .map(|entry| (node.clone(), entry.phase.clone()))
        };
        Self {
            phases: facts.nodes.keys().filter_map(newest).collect(),
            cordoned: nodes(|node| node.cordoned),
            marked: nodes(|node| node.marked),
            steered: nodes(|node| node.steered),
            off_load_balancers: nodes(|node| node.off_load_balancers),
            slots: facts.slots.clone(),
            power: facts.power.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_crash_leaves_on_a_node_makes_another_end() {
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
