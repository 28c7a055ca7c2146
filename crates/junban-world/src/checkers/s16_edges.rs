//! S16: entries move only along the edges of docs/design/life-cycle.md#edges. No edge leads out of Succeeded or
//! Cancelled. The attempt number never falls.

use super::params::Params;
use super::view::ClusterView;
use crate::truth::{Truth, TruthEvent};

/// All edges except those to Cancelled when the Node is gone.
const EDGES: &[(&str, &[&str])] = &[
    // An entry that somebody deleted is made again as Failed (docs/design/ledger.md#after-a-crash).
    ("", &["Failed"]),
    ("Queued", &["Draining", "Succeeded", "Verifying", "Cancelled"]),
    (
        "Draining",
        &["Rebooting", "Queued", "Failed", "Verifying", "Cancelled"],
    ),
    ("Rebooting", &["Verifying", "Draining", "Failed"]),
    ("Verifying", &["Succeeded", "Failed"]),
    ("Failed", &["Verifying", "Queued", "Cancelled"]),
];

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, _: &Params) -> Vec<String> {
    let Truth::Entry(entry) = &event.what else {
        return vec![];
    };
    let (name, to, attempt) = (&entry.name, entry.phase.as_str(), entry.attempt);
    let known = view.entries.get(&entry.uid);
    let mut broken = Vec::new();
    if let Some(e) = known.filter(|e| e.attempt > attempt) {
        broken.push(format!("{name}: attempt {attempt} follows attempt {}", e.attempt));
    }
    let mut from = known.map_or("", |e| &e.phase);
    // An entry without a status is Queued. But an entry that is made again as Failed never was Queued.
    if from.is_empty() && to != "Failed" {
        from = "Queued";
    }
    let node_gone = view
        .nodes
        .get(&entry.node)
        .is_none_or(|n| n.uid != entry.node_uid);
    let allowed = from == to
        || to.is_empty()
        || EDGES.iter().any(|(f, tos)| *f == from && tos.contains(&to))
        || (to == "Cancelled" && from != "Succeeded" && node_gone);
    if !allowed {
        broken.push(format!("{name}: no edge leads from {from:?} to {to:?}"));
    }
    broken
}
