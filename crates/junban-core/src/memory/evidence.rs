//! Live reads, with the moment at which each began.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::QueueView;
use crate::effect::{ActEvidence, MemberHealth};
use crate::entry::Entry;
use crate::ids::{EntryName, MarkId, NodeName, Version};
use crate::node::Node;
use crate::pod::Pod;
use crate::time::Mono;

/// A Node and an entry, read live.
#[derive(Clone, PartialEq, Debug)]
pub struct LiveTurn {
    /// The entry that was asked for. Nothing is known of other entries.
    pub asked: Option<EntryName>,
    pub node: Option<Node>,
    pub entry: Option<Entry>,
}

/// A Node and its pods, read live.
pub type LivePods = (Option<Node>, Vec<Pod>);

/// What a live read shows, and when the read began.
#[derive(Clone, PartialEq, Debug)]
pub struct Fresh<T> {
    pub begun: Mono,
    pub value: T,
}

impl<T> Fresh<T> {
    /// A live read is evidence for this long after it began (docs/design/ledger.md#evidence).
    pub const EVIDENCE_AGE_MAX: Duration = Duration::from_secs(4);

    pub fn is_evidence_at(&self, now: Mono) -> bool {
        now.since(self.begun) < Self::EVIDENCE_AGE_MAX
    }

    /// Until when it is evidence.
    pub fn good_until(&self) -> Mono {
        self.begun + Self::EVIDENCE_AGE_MAX
    }
}

/// The newest live read of each kind, and the moments that reads are compared with.
#[derive(Clone, Debug, Default)]
pub struct LiveReads {
    pub queue: Option<Fresh<QueueView>>,
    pub lists: Option<Fresh<(Vec<Node>, Vec<Entry>)>>,
    pub turns: BTreeMap<NodeName, Fresh<LiveTurn>>,
    pub pods: BTreeMap<NodeName, Fresh<LivePods>>,
    pub acts: BTreeMap<NodeName, Fresh<ActEvidence>>,
    pub control_plane: Option<Fresh<Vec<MemberHealth>>>,
    /// The rights of a turn that the account lacks.
    pub rights: Option<Fresh<Vec<String>>>,
    /// When the API server last refused a request of a turn for want of a right.
    pub forbidden: Option<Mono>,
    /// The queue version that the cache shows, and when this process first saw it.
    pub queue_version: Option<(Version, Mono)>,
    /// When the queue was first seen without a ledger field.
    pub ledger_missing: Option<Mono>,
    /// When this process wrote a mark, or first saw it.
    pub marked: BTreeMap<MarkId, Mono>,
}

impl LiveReads {
    /// Until when a live read of the queue is evidence that it is not paused. `None`: there is no such evidence.
    pub fn not_paused_until(&self, now: Mono) -> Option<Mono> {
        let read = self.queue.as_ref()?;
        (read.is_evidence_at(now) && !read.value.is_paused()).then(|| read.good_until())
    }
}
