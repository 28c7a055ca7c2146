//! S3: a power action has a record: its entry is Rebooting with this attempt when the driver is called.

use super::{Checker, Params, View};
use crate::truth::{Truth, TruthEvent};

/// The rule. Says nothing while no entries were ever noted.
#[derive(Debug)]
pub struct RecordFirst;

impl Checker for RecordFirst {
    fn rule(&self) -> &'static str {
        "S3"
    }

    fn observe(&mut self, event: &TruthEvent, view: &View, _: &Params) -> Vec<String> {
        let Truth::PowerCalled { node, tag, .. } = &event.what else {
            return vec![];
        };
        if view.entries.is_empty() && view.slots.is_none() {
            return vec![];
        }
        match view.entries.get(&tag.entry) {
            Some(e) if e.node == *node && e.phase == "Rebooting" && e.attempt == tag.attempt => vec![],
            Some(e) => vec![format!(
                "power action on {node} for attempt {} while its entry says {} {}, attempt {}",
                tag.attempt, e.node, e.phase, e.attempt
            )],
            None => vec![format!("power action on {node} without an entry")],
        }
    }
}
