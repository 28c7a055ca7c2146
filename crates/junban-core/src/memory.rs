//! What one leader's process remembers between plans: effects in flight, fresh evidence, the token book. All of it
//! may be lost at any instruction: nothing here decides who is right after a crash (lifecycle.md 6).

mod book;
mod fold;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use book::{Accepted, Book, Denial};

use crate::blocker::Blocker;
use crate::cluster::{Cluster, QueueView};
use crate::effect::{ActEvidence, Announcement, Lane, MemberHealth, PodLeave, PowerAnswer};
use crate::entry::{Entry, Phase};
use crate::guard::{self, Guard};
use crate::ids::{BootId, EntryName, EntryUid, MarkId, NodeName, NodeUid, PodUid, Version};
use crate::in_order::InOrder;
use crate::node::Node;
use crate::pod::Pod;
use crate::reason::Reason;
use crate::time::{Mono, Now, Timestamp};
use crate::workload::WorkloadKey;

/// A Node and an entry, read live.
#[derive(Clone, PartialEq, Debug)]
pub struct LiveTurn {
    /// Which entry was asked for: that another one is gone says nothing.
    pub asked: Option<EntryName>,
    pub node: Option<Node>,
    pub entry: Option<Entry>,
}
/// A Node and its pods, read live.
pub type LivePods = (Option<Node>, Vec<Pod>);

/// A piece of evidence and when the read that brought it began.
#[derive(Clone, PartialEq, Debug)]
pub struct Fresh<T> {
    pub begun: Mono,
    pub value: T,
}

impl<T> Fresh<T> {
    /// Evidence for a destructive step: the read began less than 4 s ago (lifecycle.md 5 and 6).
    pub const EVIDENCE_AGE_MAX: Duration = Duration::from_secs(4);

    pub fn is_evidence_at(&self, now: Mono) -> bool {
        now.since(self.begun) < Self::EVIDENCE_AGE_MAX
    }

    /// The last moment at which it is evidence.
    pub fn good_until(&self) -> Mono {
        self.begun + Self::EVIDENCE_AGE_MAX
    }
}

/// One attempt that this process itself recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnAttempt {
    /// When the write-ahead record was sent.
    pub recorded: Mono,
    /// The mark as read live before the record: the attempt is written with a `test` on exactly this.
    pub mark_text: Option<String>,
    pub stage: Stage,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Stage {
    /// The record was sent.
    Recorded,
    /// The attempt stands in the mark, acknowledged at the time given.
    Marked(Mono),
    /// The power action was handed to the driver.
    Acting,
    /// The driver answered.
    Ended(PowerAnswer),
    /// A guard between record and act failed: nothing was started, and this process will start nothing.
    Abandoned(String),
}

/// What the API server says to a write.
#[derive(Clone, PartialEq, Debug)]
pub struct TurnedDown {
    /// Forbidden, or WriteRefused.
    pub reason: Reason,
    pub text: String,
    /// A record, and not the Node: that the one gets through says nothing of the other.
    pub of_record: bool,
    /// How often in a row. A precondition that fails once is refused with the same code as a write that a webhook
    /// never lets through.
    pub times: u32,
}

impl TurnedDown {
    /// So often in a row is no lost race.
    const REFUSALS: u32 = 3;

    /// Whether only somebody else can help.
    pub fn is_lasting(&self) -> bool {
        self.reason == Reason::Forbidden || self.times >= Self::REFUSALS
    }
}

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

/// A pod that comes back to its node so often is not waited for any more (drain.md, which pods).
const RETURNS_MAX: u32 = 3;

#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Random per process: makes the ids of its marks its own.
    pub nonce: String,
    /// When the caches were last looked at.
    pub looked: Mono,
    /// The wall clock then.
    pub looked_wall: Option<Timestamp>,
    pub busy: BTreeMap<Lane, Mono>,
    /// Lanes whose last write conflicted or ended unknown: read live before the next write.
    pub doubts: BTreeSet<Lane>,
    pub queue_read: Option<Fresh<QueueView>>,
    /// The queue version that the cache shows, and when this process first saw it.
    pub queue_version: Option<(Version, Mono)>,
    /// When the queue was first seen without a ledger field.
    pub ledger_missing: Option<Mono>,
    pub lists: Option<Fresh<(Vec<Node>, Vec<Entry>)>>,
    pub turns: BTreeMap<NodeName, Fresh<LiveTurn>>,
    pub pods: BTreeMap<NodeName, Fresh<LivePods>>,
    pub acts: BTreeMap<NodeName, Fresh<ActEvidence>>,
    pub control_plane: Option<Fresh<Vec<MemberHealth>>>,
    /// When a mark was acknowledged, or first read by this process.
    pub marked: BTreeMap<MarkId, Mono>,
    /// Pods that may come in spite of the cordon and were on a node when this process first saw its mark.
    at_mark: BTreeMap<MarkId, BTreeSet<PodUid>>,
    /// How often such pods of one owner were evicted that came under that mark.
    returns: BTreeMap<(MarkId, WorkloadKey), u32>,
    pub attempts: BTreeMap<(EntryUid, u32), OwnAttempt>,
    pub book: Book,
    nodes: BTreeMap<NodeName, NodeSeen>,
    /// The versions that this process's last writes gave to Nodes.
    own_writes: BTreeMap<NodeName, Version>,
    /// When a pod was first seen unready, by UID.
    pub unready_pods: BTreeMap<PodUid, Mono>,
    /// When a pod was first seen terminating, by UID.
    pub terminating_pods: BTreeMap<PodUid, Mono>,
    /// When the write that gave a node back was sent, until its entry's end is written.
    pub restored: BTreeMap<NodeName, Mono>,
    /// Why a node was given back, until the record says so.
    pub given_back: BTreeMap<NodeName, Blocker>,
    /// Slots that the write of the queue under way drops for another reason than their end.
    pub dropping: BTreeSet<NodeName>,
    /// When a slot was dropped for another reason than its end.
    pub dropped: BTreeMap<NodeName, Mono>,
    /// The last status write of each entry.
    pub told: BTreeMap<EntryName, Mono>,
    /// Status writes of Queued entries within the last second.
    pub told_queued: Vec<Mono>,
    pub summary_told: Option<Mono>,
    pub policy_told: BTreeMap<String, Mono>,
    pub tainted: Vec<Mono>,
    /// What records on their way tell people, once they are written.
    news: BTreeMap<EntryUid, Announcement>,
    /// Events to send.
    pub announcements: Vec<Announcement>,
    /// Writes that the API server turns down, by what was tried: reported, and tried again after a while.
    pub turned_down: BTreeMap<Lane, TurnedDown>,
    /// Do not send anything in this lane before (flow control, failed reads).
    pub not_before: BTreeMap<Lane, Mono>,
    /// The last node count seen to be stable, for plausibility (safety.md S27).
    pub node_counts: Vec<(Mono, usize)>,
    /// Since when no worker has been in flight or started.
    pub workers_idle: Option<Mono>,
    /// This process was asked to end: it starts nothing more, and sees its own attempts through to their answer.
    pub closing: bool,
}

impl Memory {
    pub fn new(nonce: impl Into<String>) -> Self {
        Self {
            nonce: nonce.into(),
            ..Self::default()
        }
    }

    /// Takes in what the caches show now. Called before each plan.
    pub fn observe(&mut self, cluster: &Cluster, now: Now) {
        self.looked = now.mono;
        self.looked_wall = Some(now.wall);
        match cluster.queue.present() {
            Some(queue) => {
                if self
                    .queue_version
                    .is_none_or(|(version, _)| version != queue.version)
                {
                    self.queue_version = Some((queue.version, now.mono));
                }
                match queue.ledger {
                    Some(_) => self.ledger_missing = None,
                    None => {
                        self.ledger_missing.get_or_insert(now.mono);
                    }
                }
            }
            None => self.queue_version = None,
        }
        self.observe_nodes(cluster, now);
        self.observe_pods(cluster, now);
        self.observe_node_count(cluster.nodes.len(), now.mono);
        self.observe_entries(cluster, now.mono);
        self.book.observe(cluster, now.mono);
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
            self.marked.entry(mark.id.clone()).or_insert(now.mono);
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

    fn count_return(&mut self, leave: &PodLeave, cluster: &Cluster) {
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

    fn observe_pods(&mut self, cluster: &Cluster, now: Now) {
        let pods = || cluster.unsettled.values().map(AsRef::as_ref);
        since_when(&mut self.unready_pods, pods().filter(|pod| !pod.ready), now.mono);
        since_when(
            &mut self.terminating_pods,
            pods().filter(|pod| pod.terminating),
            now.mono,
        );
    }

    fn observe_entries(&mut self, cluster: &Cluster, now: Mono) {
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

    /// The moment up to which observation reaches.
    pub fn seen_until(&self) -> Mono {
        self.looked
    }

    /// Whether an attempt that this process recorded is on its way to the driver's answer.
    pub fn is_acting(&self) -> bool {
        let on_its_way = |own: &OwnAttempt| !matches!(own.stage, Stage::Ended(_) | Stage::Abandoned(_));
        guard::stands(Guard::SeenThrough) && self.attempts.values().any(on_its_way)
    }

    /// Whether a fresh read of the queue says "not paused"; until when that is evidence.
    pub fn not_paused_until(&self, now: Mono) -> Option<Mono> {
        let read = self.queue_read.as_ref()?;
        (read.is_evidence_at(now) && !read.value.is_paused()).then(|| read.good_until())
    }
}

/// Keeps for each pod the moment at which it was first among `pods`.
fn since_when<'a>(known: &mut BTreeMap<PodUid, Mono>, pods: impl Iterator<Item = &'a Pod>, now: Mono) {
    let mut before = std::mem::take(known);
    *known = pods
        .map(|pod| (pod.uid.clone(), before.remove(&pod.uid).unwrap_or(now)))
        .collect();
}
