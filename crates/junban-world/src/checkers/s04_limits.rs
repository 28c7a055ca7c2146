//! S4, places: at each grant the node is unavailable already, or the unavailable nodes and the holders of a slot are
//! at most max(maxUnavailable, min(broken, failures.max) + 1), this node included. Nothing is cordoned without a
//! slot. If the stream has no notes about slots, a cordon counts as the grant.

use std::collections::BTreeSet;

use super::params::Params;
use super::view::{ClusterView, NodeView};
use crate::api::{IntOrPercent, Ms, Ready};
use crate::truth::{Truth, TruthEvent};

/// A node that is NotReady for this time without a turn is broken.
const BROKEN_AFTER_MS: Ms = 300_000;

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    match (&event.what, &view.slots) {
        (Truth::Slots { holders }, slots) => {
            let old = |n: &String| slots.as_ref().is_some_and(|s| s.contains_key(n));
            let fresh: Vec<&String> = holders.keys().filter(|n| !old(n)).collect();
            granted(event.at, view, params, &fresh, holders.keys())
        }
        (
            Truth::Cordon {
                node,
                cordoned: true,
                by,
            },
            slots,
        ) if params.is_controller(by) => match slots {
            None => granted(event.at, view, params, &[node], std::iter::once(node)),
            Some(slots) if slots.contains_key(node) => vec![],
            Some(_) => vec![format!("{node} was cordoned without a slot")],
        },
        _ => vec![],
    }
}

fn granted<'a>(
    at: Ms,
    view: &'a ClusterView,
    params: &Params,
    fresh: &[&String],
    holders: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let counted = |name: &&String| view.nodes.get(*name).is_some_and(|n| params.counts(n));
    // A node that is unavailable already takes no place.
    let takes_a_place = |name: &&String| counted(name) && !view.nodes[*name].unavailable();
    if !fresh.iter().any(takes_a_place) {
        return vec![];
    }
    let known = |n: &NodeView| {
        let since = if n.cordoned_by.is_some() {
            n.cordoned_at
        } else {
            n.ready_since
        };
        n.unavailable() && (params.cordoned(n) || since + params.lag_ms <= at)
    };
    let unavailable = view.nodes.iter().filter(|(_, n)| params.counts(n) && known(n));
    let mut taken: BTreeSet<&str> = unavailable.map(|(name, _)| name.as_str()).collect();
    taken.extend(holders.filter(counted).map(String::as_str));
    let limit = limit(at, view, params);
    if taken.len() as i64 <= limit {
        return vec![];
    }
    let names: Vec<&str> = taken.into_iter().collect();
    vec![format!(
        "{} nodes hold a slot or are unavailable, but at most {limit} may: {}",
        names.len(),
        names.join(" ")
    )]
}

fn limit(at: Ms, view: &ClusterView, params: &Params) -> i64 {
    let counted: Vec<_> = view.nodes.iter().filter(|(_, n)| params.counts(n)).collect();
    let total = counted.len() as i64;
    let broken = counted
        .iter()
        .filter(|(name, n)| match view.turn_of(name) {
            Some(turn) => turn.phase == "Failed",
            None if view.is_given_up(name) => n.ready != Ready::True,
            // A node with a slot has a turn, even if somebody deleted its entry.
            None if view.slots.as_ref().is_some_and(|slots| slots.contains_key(*name)) => false,
            None => n.ready != Ready::True && at >= n.ready_since + BROKEN_AFTER_MS - params.lag_ms,
        })
        .count() as i64;
    let written = params.max_unavailable.of(total).max(1);
    written.max(broken.min(failures_max(params, total)) + 1)
}

/// How many failures are tolerated. A percentage rounds up to at least 1. It is never more than half of the nodes.
pub(super) fn failures_max(params: &Params, total: i64) -> i64 {
    let max = match params.failures_max {
        IntOrPercent::Int(n) => n,
        p @ IntOrPercent::Percent(_) => p.of(total).max(1),
    };
    max.min(total / 2)
}
