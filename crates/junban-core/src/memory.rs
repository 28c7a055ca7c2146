//! What the process of one leader remembers between plans. A crash may lose all of it, so nothing here decides who is
//! right after a crash (docs/design/ledger.md#after-a-crash).

mod attempts;
mod evidence;
mod fold;
mod lanes;
mod pacing;
mod sightings;
mod token_book;
mod unreplaced;

use std::collections::{BTreeMap, BTreeSet};

pub use attempts::{AttemptStage, OwnAttempt};
pub use evidence::{Fresh, LivePods, LiveReads, LiveTurn};
pub use lanes::{Lanes, RejectedWrite};
pub use pacing::Pacing;
pub use sightings::{BootSeen, ReadySeen, STUCK_AFTER, Sightings};
pub use token_book::{Accepted, Denial, TokenBook};
pub use unreplaced::Unreplaced;

use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::guard::{self, Guard};
use crate::ids::{EntryUid, NodeName};
use crate::time::{Mono, Now};

#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Random for each process: the ids of its marks differ from those of other processes.
    pub nonce: String,
    /// This process was asked to end. It starts nothing more, and waits for the driver's answers to its own attempts.
    pub closing: bool,
    /// Whether the queue was paused when a leader last saw it with its ledger. It outlives the queue object.
    pub queue_was_paused: bool,
    pub lanes: Lanes,
    pub reads: LiveReads,
    pub sightings: Sightings,
    pub attempts: BTreeMap<(EntryUid, u32), OwnAttempt>,
    pub tokens: TokenBook,
    pub unreplaced: Unreplaced,
    pub give_backs: GiveBacks,
    pub pacing: Pacing,
}

/// The nodes that are given back, and the slots that are dropped.
#[derive(Clone, Debug, Default)]
pub struct GiveBacks {
    /// When the write that restored a Node was sent. Kept until the end of its entry is written.
    pub restored: BTreeMap<NodeName, Mono>,
    /// Why a node was given back. Kept until the record says so.
    pub why: BTreeMap<NodeName, Blocker>,
    /// Slots of entries that have not ended, which the queue's write under way drops.
    pub dropping: BTreeSet<NodeName>,
    /// When each such slot was dropped.
    pub dropped: BTreeMap<NodeName, Mono>,
}

impl Memory {
    pub fn new(nonce: impl Into<String>) -> Self {
        Self {
            nonce: nonce.into(),
            ..Self::default()
        }
    }

    /// Takes in what the caches show now. It is called before each plan.
    pub fn observe(&mut self, cluster: &Cluster, now: Now) {
        self.observe_queue(cluster, now.mono);
        for node in cluster.nodes.values() {
            if let Some(Ok(mark)) = &node.mark {
                self.reads.marked.entry(mark.id.clone()).or_insert(now.mono);
            }
        }
        self.sightings.observe(cluster, now);
        self.tokens.observe(cluster, now.mono);
        self.unreplaced.observe(cluster);
        self.pacing.observe(now.mono);
    }

    fn observe_queue(&mut self, cluster: &Cluster, now: Mono) {
        let Some(queue) = cluster.queue.present() else {
            self.reads.queue_version = None;
            return;
        };
        let known = self.reads.queue_version;
        if known.is_none_or(|(version, _)| version != queue.version) {
            self.reads.queue_version = Some((queue.version, now));
        }
        match queue.ledger {
            Some(_) => self.reads.ledger_missing = None,
            None => {
                self.reads.ledger_missing.get_or_insert(now);
            }
        }
    }

    /// Whether an attempt that this process recorded has no answer of the driver yet.
    pub fn is_acting(&self) -> bool {
        let has_no_answer =
            |own: &OwnAttempt| !matches!(own.stage, AttemptStage::Ended(_) | AttemptStage::Abandoned(_));
        guard::stands(Guard::SeenThrough) && self.attempts.values().any(has_no_answer)
    }
}
