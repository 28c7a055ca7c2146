//! S5: of the control plane at most one node is down at a time, never beside workers, and never where
//! a quorum would be lost, unless that is allowed.

use super::params::Params;
use super::rule::Checker;
use super::view::{ClusterView, in_flight};
use crate::api::Ready;
use crate::truth::{PowerOutcome, Truth, TruthEvent};

/// Fewer members than this have no quorum to lose.
const QUORUM_NEEDS: usize = 3;

/// The rule.
#[derive(Debug)]
pub struct ControlPlane;

impl Checker for ControlPlane {
    fn rule(&self) -> &'static str {
        "S5"
    }

    fn observe(&mut self, event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
        match &event.what {
            Truth::Cordon {
                node,
                cordoned: true,
                by,
            } if params.ours(by) => begins(event, view, params, node),
            Truth::PowerCalled { node, outcome, .. } if *outcome != PowerOutcome::NothingStarted => {
                let mut broken = Vec::new();
                broken.extend(
                    of_the_other_kind(view, node, |phase| phase == "Rebooting").map(|other| {
                        format!("{node} is powered beside {other}: control plane and workers together")
                    }),
                );
                if is_control_plane(view, node) {
                    broken.extend(others_good(event, view, params, node));
                }
                broken
            }
            _ => vec![],
        }
    }
}

fn is_control_plane(view: &ClusterView, node: &str) -> bool {
    view.nodes.get(node).is_some_and(|n| n.control_plane)
}

/// A node whose turn is in such a phase: a worker where `node` is of the control plane, and the other way round.
fn of_the_other_kind(view: &ClusterView, node: &str, phase: impl Fn(&str) -> bool) -> Option<String> {
    let control_plane = is_control_plane(view, node);
    let other = view.entries.values().find(|e| {
        phase(&e.phase)
            && e.node != node
            && view
                .nodes
                .get(&e.node)
                .is_some_and(|n| n.control_plane != control_plane)
    });
    other.map(|e| e.node.clone())
}

fn begins(event: &TruthEvent, view: &ClusterView, params: &Params, node: &str) -> Vec<String> {
    let control_plane = is_control_plane(view, node);
    let mut broken = Vec::new();
    broken.extend(
        of_the_other_kind(view, node, in_flight)
            .map(|other| format!("{node} begins beside {other}: control plane and workers together")),
    );
    if control_plane {
        broken.extend(others_good(event, view, params, node));
    }
    broken
}

fn others_good(event: &TruthEvent, view: &ClusterView, params: &Params, node: &str) -> Vec<String> {
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
