//! S3: when the driver is called, the entry records it: it is Rebooting with this attempt. An entry that somebody
//! deleted after the controller read it last counts as well.

use std::collections::BTreeMap;

use super::view::ClusterView;
use crate::api::Ms;
use crate::truth::{EntryFacts, Truth, TruthEvent};

/// The reads before a power action may be this old (docs/design/ledger.md#the-act).
const EVIDENCE_MS: Ms = 4_000;

/// It reports nothing if the stream has no notes about entries.
#[derive(Debug, Default)]
pub(super) struct RecordFirst {
    /// Deleted entries in their last state, and the time of the deletion.
    gone: BTreeMap<String, (EntryFacts, Ms)>,
}

impl RecordFirst {
    pub(super) fn judge(&mut self, event: &TruthEvent, view: &ClusterView) -> Vec<String> {
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
        let deleted_just_now =
            |(entry, at): &(EntryFacts, Ms)| (event.at < at + EVIDENCE_MS).then(|| entry.clone());
        let known = view.entries.get(&tag.entry).cloned();
        match known.or_else(|| self.gone.get(&tag.entry).and_then(deleted_just_now)) {
            Some(e) if e.node == *node && e.phase == "Rebooting" && e.attempt == tag.attempt => vec![],
            Some(e) => vec![format!(
                "power action on {node} for attempt {}, but its entry is of {}, {}, attempt {}",
                tag.attempt, e.node, e.phase, e.attempt
            )],
            None => vec![format!("power action on {node} without an entry")],
        }
    }
}
