//! S10: a node is uncordoned only in one of three cases. Its reboot is proven, and it is as it was at its cordon. Or it was
//! not powered since the cordon. Or a person gave its entry up, and it is Ready or excluded
//! (docs/design/life-cycle.md#cancelling-and-giving-up).

use super::params::Params;
use super::view::{ClusterView, NodeView, PowerView};
use crate::api::{Ms, Ready};
use crate::truth::{Truth, TruthEvent};

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    let Truth::Cordon {
        node,
        cordoned: false,
        by,
    } = &event.what
    else {
        return vec![];
    };
    let Some(n) = view.nodes.get(node).filter(|_| params.is_controller(by)) else {
        return vec![];
    };
    let Some(power) = &n.power else { return vec![] };
    let given_up = view.entries.values().any(|e| e.node == *node && e.cancel_asked);
    if given_up && (n.ready == Ready::True || !params.counts(n)) {
        return vec![];
    }
    let missing = unproven(view, node, n, power)
        .or_else(|| differs(n, params))
        .or_else(|| unsettled(event.at, view, node, n, params));
    Vec::from_iter(missing.map(|what| format!("{node} was uncordoned, but {what}")))
}

/// A control-plane node is Ready for a while before the next one may go. Only an entry that is verified settles.
fn unsettled(at: Ms, view: &ClusterView, node: &str, n: &NodeView, params: &Params) -> Option<String> {
    let settles = n.control_plane
        && view
            .entries
            .values()
            .any(|e| e.node == node && e.phase == "Verifying");
    let ready_for = at.saturating_sub(n.ready_since);
    (settles && ready_for < params.control_plane_settle_ms)
        .then(|| format!("a control-plane node must settle, and it is Ready for {ready_for} ms"))
}

/// A taint that was not on the node at its cordon, or a resource of which it has less.
fn differs(n: &NodeView, params: &Params) -> Option<String> {
    let (taints, allocatable) = &n.at_cordon;
    let key = |taint: &str| taint.split(['=', ':']).next().unwrap_or_default().to_owned();
    let mut new = n.taints.difference(taints);
    if let Some(taint) = new.find(|taint| !params.may_differ(&key(taint))) {
        return Some(format!("it has a new taint {taint}"));
    }
    let lost = allocatable.iter().find(|(resource, before)| {
        let now = n.allocatable.get(*resource).copied().unwrap_or_default() as f64;
        let share = if *resource == "memory" { 0.97 } else { 1.0 };
        !matches!(resource.as_str(), "pods" | "ephemeral-storage")
            && now < **before as f64 * share
            && !params.may_differ(resource)
    });
    lost.map(|(resource, before)| format!("it has less {resource} than before ({before})"))
}

fn unproven(view: &ClusterView, node: &str, n: &NodeView, power: &PowerView) -> Option<String> {
    if n.boot_id == power.boot_id || n.boot_id.is_empty() {
        return Some(format!("its bootID is still {}", n.boot_id));
    }
    if n.ready != Ready::True {
        return Some("it is not Ready".into());
    }
    if n.lease_of_boot != n.boot_id {
        return Some("its Lease has not changed since the boot".into());
    }
    let back = |daemon: &str| {
        view.pods_on(node)
            .any(|p| p.facts.topmost == daemon && p.healthy() && p.ready_since > power.at)
    };
    // A DaemonSet that was deleted meanwhile has no pod to wait for.
    let missing = power
        .daemons
        .iter()
        .find(|d| view.owners.contains_key(*d) && !back(d))?;
    Some(format!("{missing} has no Ready pod on it since the boot"))
}
