//! What a demo shows at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use junban_world::api::node::ZONE;
use junban_world::{Custom, Ms, World};

use crate::objects::{ENTRY, QUEUE};

/// A node on the map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    pub name: String,
    /// The phase of its entry; `Queued` until it has one.
    pub phase: String,
}

/// Nodes that share power and network, or the control plane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rack {
    pub name: String,
    pub nodes: Vec<NodeView>,
}

/// One moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    pub elapsed_ms: Ms,
    pub racks: Vec<Rack>,
    /// How many nodes are in each phase.
    pub phases: BTreeMap<String, usize>,
    pub nodes: usize,
    pub done: usize,
    /// From the queue's status: the least time that the rest takes, and what limits it.
    pub at_least_seconds: Option<u64>,
    pub bound_by: String,
    /// For each reason of waiting nodes: the reason, how many nodes wait for it, and one message.
    pub blockers: Vec<(String, usize, String)>,
}

impl Frame {
    /// Estimated seconds until the end; `None` until the first node has succeeded.
    pub fn eta_seconds(&self) -> Option<u64> {
        let left = self.nodes.saturating_sub(self.done) as u64;
        let pace = (self.done > 0).then(|| self.elapsed_ms * left / self.done as u64 / 1_000)?;
        Some(pace.max(self.at_least_seconds.unwrap_or_default()))
    }
}

pub(super) fn frame(world: &World, phases: &BTreeMap<String, String>, elapsed_ms: Ms) -> Frame {
    let mut racks: BTreeMap<(usize, String), Vec<NodeView>> = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in world.store().nodes() {
        let name = node.meta.name.to_string();
        let phase = phases.get(&name).cloned().unwrap_or_else(|| "Queued".into());
        *counts.entry(phase.clone()).or_default() += 1;
        let rack = if node.is_control_plane() {
            (usize::MAX, "control plane".to_owned())
        } else {
            let rack = node.meta.labels.get(ZONE).cloned().unwrap_or_default();
            (number(&rack), rack)
        };
        racks.entry(rack).or_default().push(NodeView { name, phase });
    }
    for nodes in racks.values_mut() {
        nodes.sort_by_key(|node| number(&node.name));
    }
    let queue = world.store().custom(QUEUE, junban_api::names::QUEUE);
    let status = queue.map(|queue| queue.status.clone()).unwrap_or_default();
    Frame {
        elapsed_ms,
        nodes: counts.values().sum(),
        done: counts.get("Succeeded").copied().unwrap_or_default(),
        racks: racks
            .into_iter()
            .map(|((_, name), nodes)| Rack { name, nodes })
            .collect(),
        phases: counts,
        at_least_seconds: status["lowerBoundSeconds"].as_u64(),
        bound_by: status["boundBy"].as_str().unwrap_or_default().to_owned(),
        blockers: blockers(world),
    }
}

/// The number at the end of a name, so that rack-10 comes after rack-9.
fn number(name: &str) -> usize {
    let digits = name.rsplit('-').next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

fn blockers(world: &World) -> Vec<(String, usize, String)> {
    let mut found: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for entry in newest_entries(world).values() {
        let waits = matches!(
            entry.status["phase"].as_str(),
            None | Some("Queued" | "Draining" | "Failed")
        );
        let Some(reason) = entry.status["reason"].as_str().filter(|_| waits) else {
            continue;
        };
        let node = entry.spec["nodeName"].as_str().unwrap_or_default();
        let message = entry.status["message"].as_str().unwrap_or_default();
        let one = found
            .entry(reason.to_owned())
            .or_insert((0, format!("{node}: {message}")));
        one.0 += 1;
    }
    let mut blockers: Vec<_> = found
        .into_iter()
        .map(|(reason, (count, text))| (reason, count, text))
        .collect();
    blockers.sort_by_key(|blocker| std::cmp::Reverse(blocker.1));
    blockers
}

/// The newest entry of each node.
pub(super) fn newest_entries(world: &World) -> BTreeMap<String, Arc<Custom>> {
    let mut newest: BTreeMap<String, Arc<Custom>> = BTreeMap::new();
    for custom in world.store().customs().filter(|custom| custom.kind == ENTRY) {
        let node = custom.spec["nodeName"].as_str().unwrap_or_default().to_owned();
        let is_newer = newest
            .get(&node)
            .is_none_or(|known| known.meta.created <= custom.meta.created);
        if is_newer {
            newest.insert(node, custom.clone());
        }
    }
    newest
}
