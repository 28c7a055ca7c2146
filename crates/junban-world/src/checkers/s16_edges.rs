//! S16: entries move only along the edges of docs/design/life-cycle.md#edges. No edge leads out of Succeeded or
//! Cancelled. The attempt number never falls.

use super::params::Params;
use super::view::ClusterView;
use crate::truth::{Truth, TruthEvent};

/// All edges except those to Cancelled when the Node is gone.
const EDGES: &[(&str, &[&str])] = &[
    // An entry that somebody deleted is made again as Failed (docs/design/ledger.md#after-a-crash).
    ("", &["Queued", "Failed"]),
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
    let Truth::Entry {
        entry,
        name,
        node,
        node_uid,
        from,
        to,
        attempt,
        ..
    } = &event.what
    else {
        return vec![];
    };
    let known = view.entries.get(entry);
    let mut broken = Vec::new();
    if let Some(e) = known.filter(|e| e.attempt > *attempt) {
        broken.push(format!("{name}: attempt {attempt} follows attempt {}", e.attempt));
    }
    if let Some(e) = known.filter(|e| !e.phase.is_empty() && e.phase != *from) {
        broken.push(format!(
            "{name}: the note says that it left {from}, but it was {}",
            e.phase
        ));
    }
    let node_gone = view.nodes.get(node).is_none_or(|n| n.uid != *node_uid);
    let allowed = from == to
        || EDGES
            .iter()
            .any(|(f, tos)| f == from && tos.contains(&to.as_str()))
        || (to == "Cancelled" && from != "Succeeded" && node_gone);
    if !allowed {
        broken.push(format!("{name}: no edge leads from {from:?} to {to:?}"));
    }
    broken
}
