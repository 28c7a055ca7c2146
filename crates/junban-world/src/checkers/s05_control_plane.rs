//! S5: at most one control-plane node is down at a time, and no worker is down with it. If the control plane is too
//! small to keep a quorum, none goes down unless `allowQuorumLoss` is set.

use super::params::Params;
use super::view::ClusterView;
use crate::api::Ready;
use crate::truth::{EntryFacts, PowerOutcome, Truth, TruthEvent};

/// A control plane with fewer members loses its quorum as soon as one of them is down.
const QUORUM_NEEDS: usize = 3;

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    let (node, mixed) = match &event.what {
        Truth::Cordon {
            node,
            cordoned: true,
            by,
        } if params.is_controller(by) => {
            let other = node_of_the_other_kind(view, node, EntryFacts::in_flight);
            (
                node,
                other.map(|other| format!("{node} was cordoned while {other} is in flight")),
            )
        }
        Truth::PowerCalled { node, outcome, .. } if *outcome != PowerOutcome::NothingStarted => {
            let other = node_of_the_other_kind(view, node, |entry| entry.phase == "Rebooting");
            (
                node,
                other.map(|other| format!("power action on {node} while {other} is rebooting")),
            )
        }
        _ => return vec![],
    };
    let mut broken = Vec::from_iter(mixed.map(|what| format!("{what}: one is a worker, one is not")));
    if is_control_plane(view, node) {
        broken.extend(quorum_at_risk(event, view, params, node));
    }
    broken
}

fn is_control_plane(view: &ClusterView, node: &str) -> bool {
    view.nodes.get(node).is_some_and(|n| n.control_plane)
}

/// A node with such an entry: a worker if `node` is a control-plane node, else a control-plane node.
fn node_of_the_other_kind(
    view: &ClusterView,
    node: &str,
    is_away: impl Fn(&EntryFacts) -> bool,
) -> Option<String> {
    let control_plane = is_control_plane(view, node);
    let other = view.entries.values().find(|e| {
        is_away(e)
            && e.node != node
            && view
                .nodes
                .get(&e.node)
                .is_some_and(|n| n.control_plane != control_plane)
    });
    other.map(|e| e.node.clone())
}

fn quorum_at_risk(event: &TruthEvent, view: &ClusterView, params: &Params, node: &str) -> Vec<String> {
    let members: Vec<_> = view.nodes.iter().filter(|(_, n)| n.control_plane).collect();
    let mut broken = Vec::new();
    if members.len() < QUORUM_NEEDS && !params.allow_quorum_loss {
        broken.push(format!(
            "{node} was cordoned or powered, but the control plane has only {} members",
            members.len()
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
