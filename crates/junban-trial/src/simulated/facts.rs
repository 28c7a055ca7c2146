//! The facts of the simulated world. They come from its store and its machines, not from the cache of a controller.

use std::collections::BTreeMap;

use junban_api::names;
use junban_world::api::node::ZONE;
use junban_world::{ObjKey, Truth, World};

use crate::scenario::facts::{EntryFacts, Facts, NodeFacts, PodFacts};
use junban_sim::objects::{ENTRY, QUEUE};

/// Collects facts.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// The last bootID of each Node, also of a Node that is gone.
    boot_ids: BTreeMap<String, String>,
    boots: BTreeMap<String, u32>,
    power: BTreeMap<String, u32>,
}

impl Collector {
    /// Starts counting boots and power actions.
    pub(super) fn begin(&mut self) {
        self.boots.clear();
        self.power.clear();
    }

    /// Counts power actions and boots. A boot counts when the Node shows another bootID.
    pub(super) fn observe(&mut self, truth: &Truth) {
        match truth {
            Truth::PowerEffect { node, .. } => *self.power.entry(node.clone()).or_default() += 1,
            Truth::NodeAdded { node, boot_id, .. } | Truth::BootIdShown { node, boot_id } => {
                let known = self.boot_ids.insert(node.clone(), boot_id.clone());
                if known.is_some_and(|known| known != *boot_id) {
                    *self.boots.entry(node.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    pub(super) fn collect(&self, world: &World) -> Facts {
        let queue = world.store().custom(QUEUE, names::QUEUE);
        let queue = queue.as_ref().map(|queue| (&queue.spec, &queue.status));
        Facts {
            nodes: self.nodes(world),
            entries: entries(world),
            pods: pods(world),
            replicas: replicas(world),
            power: self.power.clone(),
            ..Facts::of_queue(queue)
        }
    }

    fn nodes(&self, world: &World) -> BTreeMap<String, NodeFacts> {
        let node = |node: &std::sync::Arc<junban_world::Node>| {
            let name = node.meta.name.to_string();
            let facts = NodeFacts {
                ready: node.is_ready(),
                cordoned: node.unschedulable,
                marked: node.meta.annotations.contains_key(names::MARK),
                steered: node.taints.iter().any(|taint| taint.key == names::PENDING),
                off_load_balancers: node.meta.labels.contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS),
                with_volume: world
                    .store()
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
        world.store().nodes().map(node).collect()
    }
}

fn entries(world: &World) -> Vec<EntryFacts> {
    let customs = world.store().customs().filter(|custom| custom.kind == ENTRY);
    let entry = |custom: &std::sync::Arc<junban_world::Custom>| EntryFacts {
        name: custom.meta.name.to_string(),
        uid: custom.meta.uid.to_string(),
        order: custom.meta.created,
        ..EntryFacts::read(&custom.spec, &custom.status)
    };
    customs.map(entry).collect()
}

fn pods(world: &World) -> BTreeMap<String, PodFacts> {
    let store = world.store();
    let pod = |pod: &std::sync::Arc<junban_world::Pod>| {
        let key = pod.meta.key().to_string();
        let topmost = store.topmost(pod).map(|owner| owner.meta.key().to_string());
        let facts = PodFacts {
            uid: pod.meta.uid.to_string(),
            node: pod.node.as_ref().map(ToString::to_string).unwrap_or_default(),
            workload: topmost.unwrap_or_else(|| key.clone()),
            ready: pod.status.ready,
            terminating: pod.terminating(),
        };
        (key, facts)
    };
    store.pods().map(pod).collect()
}

fn replicas(world: &World) -> BTreeMap<String, u32> {
    let owners = world.store().owners();
    let topmost = owners.filter(|owner| owner.meta.owner.is_none());
    topmost
        .map(|owner| {
            let key = ObjKey::new(&owner.meta.namespace, &owner.meta.name);
            (key.to_string(), u32::try_from(owner.replicas).unwrap_or_default())
        })
        .collect()
}
