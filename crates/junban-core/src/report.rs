//! What the plan waits on, and why: the one value behind status, `explain`, metrics and pages.

use std::collections::BTreeMap;

use crate::blocker::Blocker;
use crate::ids::EntryName;

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// Unmet gates and waits per entry, in the order in which they were asked.
    pub blockers: BTreeMap<EntryName, Vec<Blocker>>,
    /// Pods that must leave and are still there, per entry in Draining.
    pub progress: BTreeMap<EntryName, u32>,
    /// Oddities in the input: each blinds nobody.
    pub notes: Vec<String>,
}
