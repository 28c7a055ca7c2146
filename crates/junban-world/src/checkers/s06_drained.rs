//! S6: no power action while a pod that must leave is still on the node. If the policy says so, pods that terminate beyond
//! their grace period and two minutes need not leave.

use super::params::Params;
use super::view::{ClusterView, PodView};
use crate::api::Ms;
use crate::api::meta::contains;
use crate::truth::{PowerOutcome, Truth, TruthEvent};

/// A pod that has been terminating for this time after its grace period does not end by itself.
const STUCK_AFTER_MS: Ms = 120_000;

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    let Truth::PowerCalled { node, outcome, .. } = &event.what else {
        return vec![];
    };
    if *outcome == PowerOutcome::NothingStarted {
        return vec![];
    }
    let cordoned = view
        .nodes
        .get(node)
        .and_then(|n| n.cordoned_by.as_ref().map(|_| n.cordoned_at));
    let is_stuck = |p: &PodView| p.facts.gone_by.is_some_and(|by| by + STUCK_AFTER_MS <= event.at);
    let exempt = |p: &PodView| params.reboot_beside_stuck && is_stuck(p);
    let left = view
        .pods_on(node)
        .filter(|p| must_leave(p, params, cordoned) && !exempt(p));
    left.map(|p| format!("power action on {node} while pod {} is still on it", p.facts.pod))
        .collect()
}

/// Whether the pod must leave before the power action. A pod that tolerates the cordon and came after it may stay.
fn must_leave(pod: &PodView, params: &Params, cordoned: Option<Ms>) -> bool {
    let f = &pod.facts;
    let own = params
        .own_pods
        .as_ref()
        .is_some_and(|own| contains(&f.labels, own));
    let may_stay = params.may_stay.iter().any(|(k, v)| f.labels.get(k) == Some(v));
    let came_back = f.tolerates_cordon && cordoned.is_some_and(|at| pod.bound_at >= at);
    f.drained() && !own && !may_stay && !came_back
}
