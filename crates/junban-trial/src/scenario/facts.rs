//! What can be seen of a cluster at one moment. Both runners collect the same facts, and conditions are judged by them
//! alone.

use std::collections::{BTreeMap, BTreeSet};

use junban_api::names;
use junban_sim::objects::{ENTRY, QUEUE};
use junban_world::api::node::ZONE;
use junban_world::{ObjKey, Store, Truth};

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
    pub uid: String,
    pub node: String,
    pub phase: String,
    pub reason: String,
    pub message: String,
    /// A newer entry has a higher number.
    pub order: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodFacts {
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

    /// Booted since the run began, and available.
    pub fn is_back(&self) -> bool {
        self.boots > 0 && !self.unavailable()
    }
}

impl EntryFacts {
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

/// Collects facts.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    /// The last bootID of each Node, also of a Node that is gone.
    boot_ids: BTreeMap<String, String>,
    boots: BTreeMap<String, u32>,
    power: BTreeMap<String, u32>,
}

impl Collector {
    /// Starts counting boots and power actions.
    pub(crate) fn begin(&mut self) {
        self.boots.clear();
        self.power.clear();
    }

    /// Counts power actions and boots. A boot counts when the Node shows another bootID. An empty bootID says nothing.
    pub(crate) fn observe(&mut self, truth: &Truth) {
        match truth {
            Truth::PowerEffect { node, .. } => *self.power.entry(node.clone()).or_default() += 1,
            Truth::NodeAdded { node, boot_id, .. } | Truth::BootIdShown { node, boot_id }
                if !boot_id.is_empty() =>
            {
                let known = self.boot_ids.insert(node.clone(), boot_id.clone());
                if known.is_some_and(|known| known != *boot_id) {
                    *self.boots.entry(node.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// The facts of this moment. `store` holds the objects of the world, or of a real cluster.
    pub(crate) fn collect(&self, store: &Store) -> Facts {
        let queue = store.custom(QUEUE, names::QUEUE);
        let slots = queue.and_then(|queue| queue.status["ledger"]["slots"].as_object());
        Facts {
            nodes: self.nodes(store),
            entries: entries(store),
            pods: pods(store),
            replicas: replicas(store),
            slots: slots
                .into_iter()
                .flatten()
                .map(|(node, _)| node.clone())
                .collect(),
            paused: queue.is_none_or(|queue| queue.spec["paused"].as_bool().unwrap_or_default()),
            power: self.power.clone(),
        }
    }

    fn nodes(&self, store: &Store) -> BTreeMap<String, NodeFacts> {
        let node = |node: &std::sync::Arc<junban_world::Node>| {
            let name = node.meta.name.to_string();
            let facts = NodeFacts {
                ready: node.is_ready(),
                cordoned: node.unschedulable,
                marked: node.meta.annotations.contains_key(names::MARK),
                steered: node.taints.iter().any(|taint| taint.key == names::PENDING),
                off_load_balancers: node.meta.labels.contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS),
                with_volume: store
                    .attachments()
                    .any(|attachment| attachment.node == node.meta.name),
                control_plane: node.is_control_plane(),
                rack: node
                    .meta
                    .labels
                    .get(ZONE)
                    .cloned()
                    .unwrap_or_else(|| name.clone()),
                boots: self.boots.get(&name).copied().unwrap_or_default(),
            };
            (name, facts)
        };
        store.nodes().map(node).collect()
    }
}

fn entries(store: &Store) -> Vec<EntryFacts> {
    let customs = store.customs().filter(|custom| custom.kind == ENTRY);
    let entry = |custom: &std::sync::Arc<junban_world::Custom>| EntryFacts {
        uid: custom.meta.uid.to_string(),
        node: text(&custom.spec["nodeName"]).to_owned(),
        phase: custom.status["phase"].as_str().unwrap_or("Queued").to_owned(),
        reason: text(&custom.status["reason"]).to_owned(),
        message: text(&custom.status["message"]).to_owned(),
        order: custom.meta.created,
    };
    customs.map(entry).collect()
}

fn pods(store: &Store) -> BTreeMap<String, PodFacts> {
    let pod = |pod: &std::sync::Arc<junban_world::Pod>| {
        let key = pod.meta.key().to_string();
        let topmost = store.topmost(pod).map(|owner| owner.meta.key());
        // The store knows no objects of a foreign kind.
        let foreign = pod.meta.owner.as_ref();
        let foreign = foreign.map(|owner| ObjKey::new(&pod.meta.namespace, &owner.name));
        let facts = PodFacts {
            node: pod.node.as_ref().map(ToString::to_string).unwrap_or_default(),
            workload: topmost
                .or(foreign)
                .map_or_else(|| key.clone(), |owner| owner.to_string()),
            ready: pod.status.ready,
            terminating: pod.terminating(),
        };
        (key, facts)
    };
    store.pods().map(pod).collect()
}

fn replicas(store: &Store) -> BTreeMap<String, u32> {
    let owners = store.owners();
    let topmost = owners.filter(|owner| owner.meta.owner.is_none());
    topmost
        .map(|owner| {
            let key = ObjKey::new(&owner.meta.namespace, &owner.meta.name);
            (key.to_string(), u32::try_from(owner.replicas).unwrap_or_default())
        })
        .collect()
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
