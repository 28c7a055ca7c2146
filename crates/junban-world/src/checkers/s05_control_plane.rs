//! S5: of the control plane at most one node is down at a time, never beside workers, and never where
//! a quorum would be lost, unless that is allowed.

use super::{Checker, Params, View};
use crate::api::Ready;
use crate::truth::{PowerOutcome, Truth, TruthEvent};

/// Fewer members than this have no quorum to lose one from.
const QUORUM_NEEDS: usize = 3;

/// The rule.
#[derive(Debug)]
pub struct ControlPlane;

impl Checker for ControlPlane {
    fn rule(&self) -> &'static str {
        "S5"
    }

    fn observe(&mut self, event: &TruthEvent, view: &View, params: &Params) -> Vec<String> {
        match &event.what {
            Truth::Cordon {
                node,
                cordoned: true,
                by,
            } if params.ours(by) => begins(event, view, params, node),
            Truth::PowerCalled { node, outcome, .. }
                if *outcome != PowerOutcome::NothingStarted && is_control_plane(view, node) =>
            {
                others_good(event, view, params, node)
            }
            _ => vec![],
        }
    }
}

fn is_control_plane(view: &View, node: &str) -> bool {
    view.nodes.get(node).is_some_and(|n| n.control_plane)
}

fn begins(event: &TruthEvent, view: &View, params: &Params, node: &str) -> Vec<String> {
    let control_plane = is_control_plane(view, node);
    let mut broken = Vec::new();
    let other_kind = view.entries.values().find(|e| {
        e.in_flight()
            && e.node != node
            && view
                .nodes
                .get(&e.node)
                .is_some_and(|n| n.control_plane != control_plane)
    });
    if let Some(e) = other_kind {
        broken.push(format!(
            "{node} begins beside {}: control plane and workers together",
            e.node
        ));
    }
    if control_plane {
        broken.extend(others_good(event, view, params, node));
    }
    broken
}

fn others_good(event: &TruthEvent, view: &View, params: &Params, node: &str) -> Vec<String> {
    let members: Vec<_> = view.nodes.iter().filter(|(_, n)| n.control_plane).collect();
    let mut broken = Vec::new();
    if members.len() < QUORUM_NEEDS && !params.allow_quorum_loss {
        broken.push(format!(
            "{node} goes though the control plane has {} members",
            members.len()
        ));
    }
    for (name, n) in members.into_iter().filter(|(name, _)| *name != node) {
        let down = view
            .machines
            .get(name)
            .and_then(|m| m.down)
            .is_some_and(|(at, _)| at + params.lag_ms <= event.at);
        let not_ready = n.ready != Ready::True && n.ready_since + params.lag_ms <= event.at;
        let cordoned = n.cordoned_by.as_ref().is_some_and(|by| params.ours(by));
        if down || not_ready || cordoned {
            broken.push(format!(
                "{node} goes while control plane {name} is down or cordoned"
            ));
        }
    }
    broken
}
