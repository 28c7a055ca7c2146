//! When statuses and taints were last written, so that they are written at a bounded rate
//! (docs/design/ledger.md#status-writes).

use std::collections::BTreeMap;

use crate::effect::Announcement;
use crate::ids::{EntryName, EntryUid, PolicyName};
use crate::time::Mono;

#[derive(Clone, Debug, Default)]
pub struct Pacing {
    /// The last status write of each entry.
    pub written_at: BTreeMap<EntryName, Mono>,
    /// Status writes of Queued entries within the last second.
    pub queued_writes: Vec<Mono>,
    pub summary_written_at: Option<Mono>,
    pub policies_written_at: BTreeMap<PolicyName, Mono>,
    /// Writes of the steering taint within the last second.
    pub taint_writes: Vec<Mono>,
    /// The Event of each record under way. It is sent when the record is written.
    pub(super) after_write: BTreeMap<EntryUid, Announcement>,
    /// Events to send now.
    pub announcements: Vec<Announcement>,
}
