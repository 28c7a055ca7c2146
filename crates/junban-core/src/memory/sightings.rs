//! What this process saw of nodes and pods, and since when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::effect::PodLeave;
use crate::entry::Phase;
use crate::ids::{BootId, MarkId, NodeName, NodeUid, PodUid, Version};
use crate::in_order::InOrder;
use crate::node::Node;
use crate::pod::Pod;
use crate::time::{Mono, Now, Timestamp};
use crate::workload::WorkloadKey;

/// What this process saw of a node.
#[derive(Clone, PartialEq, Debug)]
struct NodeSeen {
    /// Another one under the same name begins anew.
    uid: NodeUid,
    /// The version that was looked at last.
    version: Version,
    ready: ReadySeen,
    boot: Option<BootSeen>,
}

/// What this process saw of a node's boots.
#[derive(Clone, PartialEq, Debug)]
pub struct BootSeen {
    pub boot_id: BootId,
    /// The node's Lease when this bootID was first seen.
    pub lease_then: String,
    /// The version under which it was last seen, and when that arrived: a lower bound of the next boot.
    pub version: Version,
    pub last_seen: Timestamp,
    /// When the boot before this one was last seen by this process.
    pub old_seen: Option<Timestamp>,
}

impl BootSeen {
    /// `ours`: the version is of a write of our own, which says nothing of the machine.
    fn after(before: Option<Self>, node: &Node, ours: bool, now: Timestamp) -> Option<Self> {
        let Some(boot_id) = &node.boot_id else {
            return before;
        };
        let old_seen = match before {
            // Only what the API server says anew shows that the old boot still runs: a silent watch does not.
            Some(seen) if seen.boot_id == *boot_id && ours => return Some(seen),
            Some(seen) if seen.boot_id == *boot_id => {
                return Some(Self {
                    version: node.version,
                    last_seen: now,
                    ..seen
                });
            }
            Some(seen) => Some(seen.last_seen),
            None => None,
        };
        Some(Self {
            boot_id: boot_id.clone(),
            lease_then: node.lease.clone(),
            version: node.version,
            last_seen: now,
            old_seen,
        })
    }
}

/// Readiness as this process saw it: for "NotReady for 5 minutes" and for plausibility.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReadySeen {
    pub ready: bool,
    pub since: Mono,
    /// It was otherwise before, as this process saw.
    pub changed: bool,
}

impl ReadySeen {
    fn after(before: Option<Self>, ready: bool, now: Mono) -> Self {
        match before {
            Some(seen) if seen.ready == ready => seen,
            _ => Self {
                ready,
                since: now,
                changed: before.is_some(),
            },
        }
    }
}

/// A pod that comes back to its node so often is not waited for any more (docs/design/drain.md#which-pods).
const RETURNS_MAX: u32 = 3;

#[derive(Clone, Debug, Default)]
pub struct Sightings {
    /// When the caches were last looked at.
    pub at: Mono,
    /// The wall clock then.
    pub wall: Option<Timestamp>,
    nodes: BTreeMap<NodeName, NodeSeen>,
    /// The versions that this process's last writes gave to Nodes.
    pub own_writes: BTreeMap<NodeName, Version>,
    /// By mark: pods that tolerate the cordon and were on the node when this process first saw the mark.
    at_mark: BTreeMap<MarkId, BTreeSet<PodUid>>,
    /// By mark and owner: evictions of such pods that came after the mark.
    returns: BTreeMap<(MarkId, WorkloadKey), u32>,
    /// When a pod was first seen unready, by UID.
    pub unready_pods: BTreeMap<PodUid, Mono>,
    /// When a pod was first seen terminating, by UID.
    pub terminating_pods: BTreeMap<PodUid, Mono>,
    /// Node counts of the last 10 minutes, each with the moment at which it began to hold.
    pub node_counts: Vec<(Mono, usize)>,
    /// Since when no worker has been in flight or started.
    pub workers_idle: Option<Mono>,
}

impl Sightings {
    /// Takes in what the caches show now.
    pub(super) fn observe(&mut self, cluster: &Cluster, now: Now) {
        self.at = now.mono;
        self.wall = Some(now.wall);
        self.observe_nodes(cluster, now);
        let pods = || cluster.unsettled.values().map(AsRef::as_ref);
        since_when(&mut self.unready_pods, pods().filter(|pod| !pod.ready), now.mono);
        since_when(
            &mut self.terminating_pods,
            pods().filter(|pod| pod.terminating),
            now.mono,
        );
        self.observe_node_count(cluster.nodes.len(), now.mono);
        self.observe_workers(cluster, now.mono);
    }

    fn observe_nodes(&mut self, cluster: &Cluster, now: Now) {
        // Most have not changed since the last plan.
        let mut known = InOrder::new(&self.nodes);
        let is_news = |node: &&Node| {
            let seen = known.get(&node.name);
            seen.is_none_or(|seen| seen.version != node.version || seen.uid != node.uid)
        };
        let changed: Vec<_> = cluster.nodes.values().filter(is_news).collect();
        for node in changed {
            self.observe_node(cluster, node, now);
        }
        // Nodes hardly ever go: only then is there something to forget.
        if self.nodes.len() > cluster.nodes.len() {
            self.nodes.retain(|name, _| cluster.nodes.contains_key(name));
        }
    }

    fn observe_node(&mut self, cluster: &Cluster, node: &Node, now: Now) {
        if let Some(Ok(mark)) = &node.mark {
            self.at_mark.entry(mark.id.clone()).or_insert_with(|| {
                let pods = cluster.pods_of(&node.name);
                let back = pods.filter(|pod| cluster.comes_in_spite_of_cordon(pod));
                back.map(|pod| pod.uid.clone()).collect()
            });
        }
        let ours = self.own_writes.get(&node.name) == Some(&node.version);
        let before = self.nodes.remove(&node.name).filter(|seen| seen.uid == node.uid);
        let (ready, boot) = before.map_or((None, None), |seen| (Some(seen.ready), seen.boot));
        let seen = NodeSeen {
            uid: node.uid.clone(),
            version: node.version,
            ready: ReadySeen::after(ready, node.ready, now.mono),
            boot: BootSeen::after(boot, node, ours, now.wall),
        };
        self.nodes.insert(node.name.clone(), seen);
    }

    /// The mark under which a pod came to its node although that is cordoned.
    fn came_under<'a>(&self, cluster: &'a Cluster, pod: &Pod) -> Option<&'a MarkId> {
        if !cluster.comes_in_spite_of_cordon(pod) {
            return None;
        }
        let node = cluster.nodes.get(pod.node.as_ref()?)?;
        let mark = node.mark.as_ref()?.as_ref().ok()?;
        let was_there = self.at_mark.get(&mark.id)?.contains(&pod.uid);
        (!was_there).then_some(&mark.id)
    }

    pub(super) fn count_return(&mut self, leave: &PodLeave, cluster: &Cluster) {
        let pod = cluster.pods.get(&leave.pod).filter(|pod| pod.uid == leave.uid);
        if let Some(pod) = pod
            && let Some(mark) = self.came_under(cluster, pod)
            && let Some(owner) = cluster.topmost_owner(pod)
        {
            *self.returns.entry((mark.clone(), owner.clone())).or_insert(0) += 1;
        }
    }

    /// Whether a pod has come back to its cordoned node again and again: it is not waited for any more, and reported.
    pub fn returns_for_ever(&self, cluster: &Cluster, pod: &Pod) -> bool {
        let owner = || cluster.topmost_owner(pod).cloned();
        self.came_under(cluster, pod)
            .and_then(|mark| self.returns.get(&(mark.clone(), owner()?)))
            .is_some_and(|count| *count >= RETURNS_MAX)
    }

    /// What this process saw of the node's boots.
    pub fn boot_of(&self, node: &Node) -> Option<&BootSeen> {
        self.seen(node)?.boot.as_ref()
    }

    /// What this process saw of the node's readiness.
    pub fn readiness_of(&self, node: &Node) -> Option<ReadySeen> {
        self.seen(node).map(|seen| seen.ready)
    }

    fn seen(&self, node: &Node) -> Option<&NodeSeen> {
        self.nodes.get(&node.name).filter(|seen| seen.uid == node.uid)
    }

    fn observe_workers(&mut self, cluster: &Cluster, now: Mono) {
        let is_worker = |name: &NodeName| cluster.nodes.get(name).is_some_and(|node| !node.control_plane);
        let ledger = cluster.queue.present().and_then(|queue| queue.ledger.as_ref());
        let slots = ledger.map(|ledger| &ledger.slots);
        let failed = |name: &NodeName| {
            let slot = slots.and_then(|slots| slots.get(name));
            slot.and_then(|slot| cluster.entries.get(&slot.entry))
                .is_some_and(|entry| entry.record.phase == Phase::Failed)
        };
        let active = slots
            .into_iter()
            .flat_map(BTreeMap::keys)
            .any(|name| is_worker(name) && !failed(name));
        self.workers_idle = if active {
            None
        } else {
            self.workers_idle.or(Some(now))
        };
    }

    fn observe_node_count(&mut self, count: usize, now: Mono) {
        const KEPT: Duration = Duration::from_secs(600);
        if self.node_counts.last().is_none_or(|(_, last)| *last != count) {
            self.node_counts.push((now, count));
        }
        // The last count from before the window still held at its beginning.
        while self
            .node_counts
            .get(1)
            .is_some_and(|(at, _)| now.since(*at) > KEPT)
        {
            self.node_counts.remove(0);
        }
    }
}

/// Keeps for each pod the moment at which it was first among `pods`.
fn since_when<'a>(known: &mut BTreeMap<PodUid, Mono>, pods: impl Iterator<Item = &'a Pod>, now: Mono) {
    let mut before = std::mem::take(known);
    *known = pods
        .map(|pod| (pod.uid.clone(), before.remove(&pod.uid).unwrap_or(now)))
        .collect();
}
