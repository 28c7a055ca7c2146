//! S17: while more than `failures.max` entries are Failed, nothing new starts.

use super::params::Params;
use super::s04_limits::failures_max;
use super::view::ClusterView;
use crate::truth::{Truth, TruthEvent};

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    let Truth::Slots { holders } = &event.what else {
        return vec![];
    };
    let Some(old) = &view.slots else { return vec![] };
    // A slot that is put back for a node with a mark starts nothing. Such a node is cordoned.
    let starts = holders
        .keys()
        .filter(|n| !old.contains_key(*n))
        .find(|n| view.nodes.get(*n).is_some_and(|v| v.cordoned_by.is_none()));
    let total = view.nodes.values().filter(|n| params.counts(n)).count() as i64;
    let counts = |node: &str| view.nodes.get(node).is_some_and(|n| params.counts(n));
    let failed = view
        .entries
        .values()
        .filter(|e| e.phase == "Failed" && !e.cancel_asked && counts(&e.node))
        .count() as i64;
    let max = failures_max(params, total);
    match starts {
        Some(node) if failed > max => vec![format!(
            "{node} starts while {failed} entries are Failed, but failures.max is {max}"
        )],
        _ => vec![],
    }
}
