//! What this process has seen of nodes and pods, and since when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::effect::PodLeave;
use crate::entry::Phase;
use crate::ids::{BootId, MarkId, NodeName, NodeUid, PdbKey, PodUid, Version};
use crate::in_order::InOrder;
use crate::mark::Mark;
use crate::node::Node;
use crate::pod::Pod;
use crate::time::{Mono, Now, Timestamp};
use crate::workload::WorkloadKey;

#[derive(Clone, PartialEq, Debug)]
struct NodeSeen {
    /// A Node of the same name with another UID is another node.
    uid: NodeUid,
    /// The last version that was looked at.
    version: Version,
    ready: ReadySeen,
    boot: Option<BootSeen>,
}

/// The present boot of a node.
#[derive(Clone, PartialEq, Debug)]
pub struct BootSeen {
    pub boot_id: BootId,
    /// The node's Lease when this bootID was first seen.
    pub lease_then: String,
    /// The last version that showed this bootID, and when it arrived. The next boot is later.
    pub version: Version,
    pub last_seen: Timestamp,
    /// When this process last saw the boot before.
    pub old_seen: Option<Timestamp>,
}

impl BootSeen {
    /// `ours`: this version is of Junban's own write, which says nothing about the machine.
    fn after(before: Option<Self>, node: &Node, ours: bool, now: Timestamp) -> Option<Self> {
        let Some(boot_id) = &node.boot_id else {
            return before;
        };
        let old_seen = match before {
            // Only a new version shows that the boot still runs: the watch may be dead.
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

/// Whether a node is Ready, and since when.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReadySeen {
    pub ready: bool,
    pub since: Mono,
    /// Whether this process saw the change.
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

/// The pods of a node when this process first saw its mark.
#[derive(Clone, PartialEq, Debug)]
struct AtMark {
    mark: MarkId,
    /// Those that may come although the node is cordoned.
    tolerant: BTreeSet<PodUid>,
    /// The budget that selected each pod.
    budgets: BTreeMap<PodUid, PdbKey>,
}

impl AtMark {
    fn of(mark: &MarkId, cluster: &Cluster, node: &NodeName) -> Self {
        let tolerant = cluster
            .pods_of(node)
            .filter(|pod| cluster.comes_in_spite_of_cordon(pod));
        let budget = |pod: &Pod| Some((pod.uid.clone(), cluster.budgets_of(pod).next()?.key.clone()));
        Self {
            mark: mark.clone(),
            tolerant: tolerant.map(|pod| pod.uid.clone()).collect(),
            budgets: cluster.pods_of(node).filter_map(budget).collect(),
        }
    }
}

/// After so many evictions of an owner's pods that came back, its pods are not waited for any more
/// (docs/design/drain.md#which-pods).
const RETURNS_MAX: u32 = 3;

/// A pod that has been terminating for this long after its grace period does not end by itself.
pub const STUCK_AFTER: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, Default)]
pub struct Sightings {
    /// When the caches were last looked at.
    pub at: Mono,
    /// The wall clock at that moment.
    pub wall: Option<Timestamp>,
    nodes: BTreeMap<NodeName, NodeSeen>,
    /// The versions that the last writes of this process gave to Nodes.
    pub own_writes: BTreeMap<NodeName, Version>,
    /// The pods of each marked node when this process first saw its mark.
    at_mark: BTreeMap<NodeName, AtMark>,
    /// For each mark and owner the evictions of such pods that came later.
    returns: BTreeMap<(MarkId, WorkloadKey), u32>,
    /// When each unready pod was first seen unready.
    pub unready_pods: BTreeMap<PodUid, Mono>,
    /// When each terminating pod was first seen terminating.
    pub terminating_pods: BTreeMap<PodUid, Mono>,
    /// The numbers of nodes in the last 10 minutes, each with the moment at which it was first seen.
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
        keep_first_seen(&mut self.unready_pods, pods().filter(|pod| !pod.ready), now.mono);
        keep_first_seen(
            &mut self.terminating_pods,
            pods().filter(|pod| pod.terminating),
            now.mono,
        );
        self.observe_node_count(cluster.nodes.len(), now.mono);
        self.observe_workers(cluster, now.mono);
    }

    fn observe_nodes(&mut self, cluster: &Cluster, now: Now) {
        // Most Nodes have not changed since the last plan.
        let mut known = InOrder::new(&self.nodes);
        let has_changed = |node: &&Node| {
            let seen = known.get(&node.name);
            seen.is_none_or(|seen| seen.version != node.version || seen.uid != node.uid)
        };
        let changed: Vec<_> = cluster.nodes.values().filter(has_changed).collect();
        for node in changed {
            self.observe_node(cluster, node, now);
        }
        if self.nodes.len() > cluster.nodes.len() {
            self.nodes.retain(|name, _| cluster.nodes.contains_key(name));
            self.at_mark.retain(|name, _| cluster.nodes.contains_key(name));
        }
    }

    fn observe_node(&mut self, cluster: &Cluster, node: &Node, now: Now) {
        match &node.mark {
            Some(Ok(mark)) => {
                let known = self.at_mark.get(&node.name);
                if known.is_none_or(|known| known.mark != mark.id) {
                    let at_mark = AtMark::of(&mark.id, cluster, &node.name);
                    self.at_mark.insert(node.name.clone(), at_mark);
                }
            }
            _ => drop(self.at_mark.remove(&node.name)),
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

    /// When a terminating pod has been terminating for two minutes more than its grace period. It counts from the moment
    /// when this process first saw it, so it is never too early.
    pub fn stuck_at(&self, pod: &Pod) -> Option<Mono> {
        let since = self.terminating_pods.get(&pod.uid).filter(|_| pod.terminating)?;
        Some(*since + pod.grace + STUCK_AFTER)
    }

    pub fn is_stuck(&self, pod: &Pod) -> bool {
        self.stuck_at(pod).is_some_and(|at| at <= self.at)
    }

    /// The mark of the pod's node, if the pod came after this mark although the node was cordoned.
    fn mark_before<'a>(&self, cluster: &'a Cluster, pod: &Pod) -> Option<&'a MarkId> {
        if !cluster.comes_in_spite_of_cordon(pod) {
            return None;
        }
        let node = cluster.nodes.get(pod.node.as_ref()?)?;
        let mark = node.mark.as_ref()?.as_ref().ok()?;
        let was_there = self.at_mark_of(&node.name, mark)?.tolerant.contains(&pod.uid);
        (!was_there).then_some(&mark.id)
    }

    fn at_mark_of(&self, node: &NodeName, mark: &Mark) -> Option<&AtMark> {
        self.at_mark.get(node).filter(|at_mark| at_mark.mark == mark.id)
    }

    /// The budget that selected a pod when the turn of its node began.
    pub fn budget_at_mark(&self, cluster: &Cluster, pod: &Pod) -> Option<&PdbKey> {
        let node = cluster.nodes.get(pod.node.as_ref()?)?;
        let mark = node.mark.as_ref()?.as_ref().ok()?;
        self.at_mark_of(&node.name, mark)?.budgets.get(&pod.uid)
    }

    /// Counts an eviction, if the pod came back to its cordoned node.
    pub(super) fn count_return(&mut self, leave: &PodLeave, cluster: &Cluster) {
        let pod = cluster.pods.get(&leave.pod).filter(|pod| pod.uid == leave.uid);
        if let Some(pod) = pod
            && let Some(mark) = self.mark_before(cluster, pod)
            && let Some(owner) = cluster.topmost_owner(pod)
        {
            *self.returns.entry((mark.clone(), owner.clone())).or_insert(0) += 1;
        }
    }

    /// Whether pods of this pod's owner come back to the cordoned node again and again.
    pub fn keeps_returning(&self, cluster: &Cluster, pod: &Pod) -> bool {
        let owner = || cluster.topmost_owner(pod).cloned();
        self.mark_before(cluster, pod)
            .and_then(|mark| self.returns.get(&(mark.clone(), owner()?)))
            .is_some_and(|count| *count >= RETURNS_MAX)
    }

    pub fn boot_of(&self, node: &Node) -> Option<&BootSeen> {
        self.seen(node)?.boot.as_ref()
    }

    pub fn readiness_of(&self, node: &Node) -> Option<ReadySeen> {
        self.seen(node).map(|seen| seen.ready)
    }

    fn seen(&self, node: &Node) -> Option<&NodeSeen> {
        self.nodes.get(&node.name).filter(|seen| seen.uid == node.uid)
    }

    fn observe_workers(&mut self, cluster: &Cluster, now: Mono) {
        let is_worker = |name: &NodeName| {
            cluster
                .nodes
                .get(name)
                .is_some_and(|node| !node.is_control_plane())
        };
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
        // The last number from before these 10 minutes was still true when they began.
        while self
            .node_counts
            .get(1)
            .is_some_and(|(at, _)| now.since(*at) > KEPT)
        {
            self.node_counts.remove(0);
        }
    }
}

/// Notes for each of these pods when it was first one of them.
fn keep_first_seen<'a>(known: &mut BTreeMap<PodUid, Mono>, pods: impl Iterator<Item = &'a Pod>, now: Mono) {
    let mut before = std::mem::take(known);
    *known = pods
        .map(|pod| (pod.uid.clone(), before.remove(&pod.uid).unwrap_or(now)))
        .collect();
}
