//! The state of each lane: the effect under way, and how its last write failed.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::Lane;
use crate::reason::Reason;
use crate::time::Mono;

/// A write that the API server rejects.
#[derive(Clone, PartialEq, Debug)]
pub struct RejectedWrite {
    /// `Forbidden` or `WriteRefused`.
    pub reason: Reason,
    pub text: String,
    /// Whether it was a write of the record, not of the Node. Both share a lane, but the server may accept the one and
    /// reject the other.
    pub of_record: bool,
    /// Rejections in a row. The API server answers with the same code if a precondition failed and if a webhook never
    /// accepts the write.
    pub times: u32,
}

impl RejectedWrite {
    /// Three rejections in a row are not a lost race.
    const REJECTIONS: u32 = 3;

    /// Whether the rejection lasts until a person does something.
    pub fn is_lasting(&self) -> bool {
        self.reason == Reason::Forbidden || self.times >= Self::REJECTIONS
    }
}

#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// Effects without an answer, and when each was sent.
    pub busy: BTreeMap<Lane, Mono>,
    /// Lanes whose last write conflicted or has an unknown result. A live read goes before the next write.
    pub unknown_writes: BTreeSet<Lane>,
    /// Writes that the API server rejects. Status says so, and they are tried again.
    pub rejected_writes: BTreeMap<Lane, RejectedWrite>,
    /// Nothing is sent in the lane before this moment: the API server throttled, or a read or write failed.
    pub not_before: BTreeMap<Lane, Mono>,
}
