//! What the plan waits for, and why: the one value behind status, metrics, Events and the log.

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
    /// What people are told of each entry that has not ended. The entry's status says it a little later, for statuses are
    /// written at a bounded rate.
    pub told: BTreeMap<EntryName, Told>,
    /// Oddities in the input. An object that cannot be read does not keep the others from being read.
    pub notes: Vec<String>,
}

/// What people are told of an entry.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    pub reason: Option<Reason>,
    pub message: String,
    pub drain: Option<DrainProgress>,
}
