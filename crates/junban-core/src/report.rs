//! What the plan waits for, and why: the one value behind status, metrics and the log.

use std::collections::BTreeMap;

use crate::blocker::Blocker;
use crate::entry::DrainProgress;
use crate::ids::EntryName;
use crate::reason::Reason;

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// Unmet gates and waits of each entry, in the order in which they were found.
    pub blockers: BTreeMap<EntryName, Vec<Blocker>>,
    /// Pods that must still leave, for each entry in Draining.
    pub progress: BTreeMap<EntryName, u32>,
    /// What each entry that has not ended should show. Its status shows it a little later, because status is written at
    /// a limited rate.
    pub entries: BTreeMap<EntryName, EntryReport>,
    /// Problems of the input. An object that cannot be read does not keep others from being read.
    pub notes: Vec<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct EntryReport {
    pub reason: Option<Reason>,
    pub message: String,
    pub drain: Option<DrainProgress>,
}
