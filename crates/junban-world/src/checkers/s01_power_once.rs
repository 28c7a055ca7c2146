//! S1: at most one power action takes effect for each machine, bootID, entry and attempt. Each retry allows
//! `attempts` more power actions on the same machine and bootID. Without a retry, the next one waits for the last
//! one's deadline.

use std::collections::{BTreeMap, BTreeSet};

use super::params::Params;
use super::view::ClusterView;
use crate::api::Ms;
use crate::truth::{PowerTag, Truth, TruthEvent};

#[derive(Debug, Default)]
pub(super) struct PowerOnce {
    seen: BTreeSet<(String, String, PowerTag)>,
    /// By machine and bootID: the number of power actions, and the time of the last one.
    boots: BTreeMap<(String, String), (u64, Ms)>,
}

impl PowerOnce {
    pub(super) fn judge(&mut self, event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
        let Truth::PowerEffect {
            node,
            machine,
            boot_id,
            tag,
            again: false,
        } = &event.what
        else {
            return vec![];
        };
        let mut broken = Vec::new();
        let what = format!(
            "machine {machine}, bootID {boot_id}, entry {}, attempt {}",
            tag.entry, tag.attempt
        );
        if !self.seen.insert((machine.clone(), boot_id.clone(), tag.clone())) {
            broken.push(format!("another power action for {what}"));
        }
        let (count, last) = self
            .boots
            .entry((machine.clone(), boot_id.clone()))
            .or_insert((0, 0));
        *count += 1;
        let retries: u64 = view
            .entries
            .values()
            .filter(|e| e.node == *node)
            .map(|e| e.retries)
            .sum();
        if *count > params.attempts * (1 + retries) {
            broken.push(format!(
                "power action {count} on one bootID with {retries} retries: {what}"
            ));
        } else if *count > 1 && retries == 0 && event.at < *last + params.boot_timeout_ms {
            broken.push(format!(
                "another power action before the deadline of the last one: {what}"
            ));
        }
        *last = event.at;
        broken
    }
}
