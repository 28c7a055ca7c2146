//! What is known of each lane: the effect under way, and the trouble that its last write had.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::Lane;
use crate::reason::Reason;
use crate::time::Mono;

/// A write that the API server rejects.
#[derive(Clone, PartialEq, Debug)]
pub struct RejectedWrite {
    /// Forbidden, or WriteRefused.
    pub reason: Reason,
    pub text: String,
    /// Whether the write was of a record and not of the Node. Both share a lane, but one may get through while the other
    /// does not.
    pub of_record: bool,
    /// Rejections in a row. The API server rejects a write with a failed precondition by the same code as a write that a
    /// webhook never lets through.
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
    /// Lanes whose last write conflicted, or has an unknown result. A live read goes before the next write.
    pub unknown_writes: BTreeSet<Lane>,
    /// Writes that the API server rejects. They are reported, and tried again after a while.
    pub rejected_writes: BTreeMap<Lane, RejectedWrite>,
    /// Nothing is sent in this lane before (flow control, failed reads).
    pub not_before: BTreeMap<Lane, Mono>,
}
