//! S16: entries move along the edges of `lifecycle.md` 2 only; ended is ended; attempts only rise.

use super::params::Params;
use super::rule::Checker;
use super::view::ClusterView;
use crate::truth::{Truth, TruthEvent};

/// All edges but those to Cancelled because the Node is gone.
const EDGES: &[(&str, &[&str])] = &[
    // Made again as Failed: `EntryDeleted` (lifecycle.md 6).
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

/// The rule.
#[derive(Debug)]
pub struct Edges;

impl Checker for Edges {
    fn rule(&self) -> &'static str {
        "S16"
    }

    fn observe(&mut self, event: &TruthEvent, view: &ClusterView, _: &Params) -> Vec<String> {
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
            broken.push(format!("{name}: attempt {attempt} after {}", e.attempt));
        }
        if let Some(e) = known.filter(|e| !e.phase.is_empty() && e.phase != *from) {
            broken.push(format!("{name}: noted from {from}, but it was {}", e.phase));
        }
        let node_gone = view.nodes.get(node).is_none_or(|n| n.uid != *node_uid);
        let allowed = from == to
            || EDGES
                .iter()
                .any(|(f, tos)| f == from && tos.contains(&to.as_str()))
            || (to == "Cancelled" && from != "Succeeded" && node_gone);
        if !allowed {
            broken.push(format!("{name}: {from:?} -> {to:?}"));
        }
        broken
    }
}
