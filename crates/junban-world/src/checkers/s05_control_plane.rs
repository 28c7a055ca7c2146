//! S5: at most one node of the control plane is down at a time, and no worker is down with it. If too few nodes carry etcd
//! to keep a quorum, none of them goes down unless `allowQuorumLoss` is set.

use super::params::Params;
use super::view::{ClusterView, NodeView};
use crate::api::node::{CONTROL_PLANE, ETCD};
use crate::api::{Ms, Ready};
use crate::truth::{EntryFacts, PowerOutcome, Truth, TruthEvent};

/// An etcd with fewer members loses its quorum as soon as one of them is down.
const QUORUM_NEEDS: usize = 3;

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    // The controller may not have seen a later label yet.
    let seen_until = event.at.saturating_sub(params.lag_ms);
    let (node, mixed) = match &event.what {
        Truth::Cordon {
            node,
            cordoned: true,
            by,
        } if params.is_controller(by) => {
            let other = node_of_the_other_kind(view, seen_until, node, EntryFacts::in_flight);
            (
                node,
                other.map(|other| format!("{node} was cordoned while {other} is in flight")),
            )
        }
        Truth::PowerCalled { node, outcome, .. } if *outcome != PowerOutcome::NothingStarted => {
            let other = node_of_the_other_kind(view, seen_until, node, |entry| entry.phase == "Rebooting");
            (
                node,
                other.map(|other| format!("power action on {node} while {other} is rebooting")),
            )
        }
        _ => return vec![],
    };
    let mut broken = Vec::from_iter(mixed.map(|what| format!("{what}: one is a worker, one is not")));
    if is_control_plane(view, node, seen_until) {
        broken.extend(quorum_at_risk(event, view, params, node));
    }
    broken
}

fn has_role(node: &NodeView, role: &str, seen_until: Ms) -> bool {
    let labelled_at = node.labelled_at.get(role).copied().unwrap_or_default();
    node.labels.contains_key(role) && labelled_at <= seen_until
}

/// Whether it runs an API server or an etcd member.
fn is_control_plane(view: &ClusterView, node: &str, seen_until: Ms) -> bool {
    let node = view.nodes.get(node);
    node.is_some_and(|n| {
        n.control_plane
            || [CONTROL_PLANE, ETCD]
                .iter()
                .any(|role| has_role(n, role, seen_until))
    })
}

/// A node with such an entry: a worker if `node` is one of the control plane, else one of the control plane.
fn node_of_the_other_kind(
    view: &ClusterView,
    seen_until: Ms,
    node: &str,
    is_away: impl Fn(&EntryFacts) -> bool,
) -> Option<String> {
    let control_plane = is_control_plane(view, node, seen_until);
    let other = view.entries.values().find(|e| {
        is_away(e)
            && e.node != node
            && view.nodes.contains_key(&e.node)
            && is_control_plane(view, &e.node, seen_until) != control_plane
    });
    other.map(|e| e.node.clone())
}

fn quorum_at_risk(event: &TruthEvent, view: &ClusterView, params: &Params, node: &str) -> Vec<String> {
    let seen_until = event.at.saturating_sub(params.lag_ms);
    let labelled = view
        .nodes
        .values()
        .filter(|n| has_role(n, ETCD, seen_until))
        .count();
    let members: Vec<_> = view
        .nodes
        .iter()
        .filter(|(name, _)| is_control_plane(view, name, seen_until))
        .collect();
    // Without the label the nodes with API servers carry etcd.
    let is_etcd = labelled == 0
        || view
            .nodes
            .get(node)
            .is_some_and(|n| has_role(n, ETCD, seen_until));
    let etcd = if labelled == 0 { members.len() } else { labelled };
    let mut broken = Vec::new();
    if is_etcd && etcd < QUORUM_NEEDS && !params.allow_quorum_loss {
        broken.push(format!(
            "{node} was cordoned or powered, but only {etcd} nodes carry etcd"
        ));
    }
    for (name, n) in members.into_iter().filter(|(name, _)| *name != node) {
        let down = view
            .machines_down
            .get(name)
            .is_some_and(|at| at + params.lag_ms <= event.at);
        let not_ready = n.ready != Ready::True && n.ready_since + params.lag_ms <= event.at;
        if down || not_ready || params.cordoned(n) {
            broken.push(format!(
                "{node} was cordoned or powered while control-plane node {name} is down or cordoned"
            ));
        }
    }
    broken
}
