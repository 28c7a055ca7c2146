//! When statuses and taints were last written, so that they are written at a bounded rate
//! (docs/design/ledger.md#status-writes).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::effect::Announcement;
use crate::ids::{EntryName, EntryUid, PolicyName};
use crate::time::Mono;

/// The numbers of the queue's status are compared at most this often, and not sooner than this after a write. A change
/// of the ledger writes them as well, and would have to wait for a write of the numbers alone.
const NUMBERS_EVERY: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default)]
pub struct Pacing {
    /// The last status write of each entry.
    pub written_at: BTreeMap<EntryName, Mono>,
    /// Status writes of Queued entries within the last second.
    pub queued_writes: Vec<Mono>,
    pub summary_written_at: Option<Mono>,
    /// The last step that compared the numbers of the queue's status with what is written. The lower bound among them
    /// needs all pods, so it is not worked out in every step.
    pub numbers_compared_at: Option<Mono>,
    pub policies_written_at: BTreeMap<PolicyName, Mono>,
    /// Writes of the steering taint within the last second.
    pub taint_writes: Vec<Mono>,
    /// The Event of each record under way. It is sent when the record is written.
    pub(super) after_write: BTreeMap<EntryUid, Announcement>,
    /// Events to send now.
    pub announcements: Vec<Announcement>,
}

impl Pacing {
    pub(super) fn observe(&mut self, now: Mono) {
        if self.numbers_due_at().is_none_or(|due| due <= now) {
            self.numbers_compared_at = Some(now);
        }
    }

    /// When the numbers of the queue's status are compared next.
    pub fn numbers_due_at(&self) -> Option<Mono> {
        let last = self.numbers_compared_at.max(self.summary_written_at);
        last.map(|last| last + NUMBERS_EVERY)
    }
}
