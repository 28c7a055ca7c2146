//! S3: a power action has a record: its entry is Rebooting with this attempt when the driver is called, or was until
//! somebody deleted it after the last look.

use std::collections::BTreeMap;

use super::params::Params;
use super::rule::Checker;
use super::view::{ClusterView, EntryView};
use crate::api::Ms;
use crate::truth::{Truth, TruthEvent};

/// An act rests on reads begun less than this before (lifecycle.md 6).
const EVIDENCE_MS: Ms = 4_000;

/// The rule. Says nothing while no entries were ever noted.
#[derive(Debug, Default)]
pub struct RecordFirst {
    /// Entries that were deleted, as they were, and when.
    gone: BTreeMap<String, (EntryView, Ms)>,
}

impl Checker for RecordFirst {
    fn rule(&self) -> &'static str {
        "S3"
    }

    fn observe(&mut self, event: &TruthEvent, view: &ClusterView, _: &Params) -> Vec<String> {
        if let Truth::EntryGone { entry } = &event.what
            && let Some(last) = view.entries.get(entry)
        {
            self.gone.insert(entry.clone(), (last.clone(), event.at));
        }
        let Truth::PowerCalled { node, tag, .. } = &event.what else {
            return vec![];
        };
        if view.entries.is_empty() && view.slots.is_none() {
            return vec![];
        }
        let lately = |(entry, at): &(EntryView, Ms)| (event.at < at + EVIDENCE_MS).then(|| entry.clone());
        let known = view.entries.get(&tag.entry).cloned();
        match known.or_else(|| self.gone.get(&tag.entry).and_then(lately)) {
            Some(e) if e.node == *node && e.phase == "Rebooting" && e.attempt == tag.attempt => vec![],
            Some(e) => vec![format!(
                "power action on {node} for attempt {} while its entry says {} {}, attempt {}",
                tag.attempt, e.node, e.phase, e.attempt
            )],
            None => vec![format!("power action on {node} without an entry")],
        }
    }
}
