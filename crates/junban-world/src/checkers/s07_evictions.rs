//! S7: the controller removes pods only through the Eviction API, except in namespaces that allow deletion. No
//! eviction takes a budget below its need. Of an owner without a budget, at most `unbudgeted` pods are disrupted at a
//! time.

use super::params::Params;
use super::view::ClusterView;
use crate::api::{IntOrPercent, Ms};
use crate::truth::{EvictionAnswer, Removal, Truth, TruthEvent};

/// A pod that has been unready for this time no longer counts as disrupted.
const FORGOTTEN_AFTER_MS: Ms = 300_000;

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    match &event.what {
        Truth::PodRemoval {
            pod,
            why: Removal::Deleted { by, grace_s, .. },
            ..
        } if params.is_controller(by) => {
            let namespace = pod.split('/').next().unwrap_or_default();
            let mut broken = Vec::new();
            if !params.delete_allowed.contains(namespace) {
                broken.push(format!(
                    "{by} deleted pod {pod} in a namespace that does not allow it"
                ));
            }
            if *grace_s == Some(0) {
                broken.push(format!("{by} deleted pod {pod} with a grace period of 0 s"));
            }
            broken
        }
        Truth::Eviction {
            by,
            pod,
            uid,
            dry_run: false,
            ready: true,
            answer: EvictionAnswer::Accepted,
            ..
        } if params.is_controller(by) => evicted(event.at, view, params, pod, uid),
        _ => vec![],
    }
}

fn evicted(at: Ms, view: &ClusterView, params: &Params, pod: &str, uid: &str) -> Vec<String> {
    // The controller may not know yet what failed just now.
    let failed_just_now = |whose: &str| {
        view.last_failure
            .get(whose)
            .is_some_and(|t| t + params.lag_ms > at)
    };
    let budgets = view.budgets_by_pod.get(pod);
    let mut broken = Vec::new();
    for name in budgets.into_iter().flatten() {
        let Some(budget) = view.budgets.get(name) else {
            continue;
        };
        let members = budget
            .members
            .iter()
            .filter_map(|m| view.pods.get(view.pod_uids.get(m)?));
        let after = members.filter(|p| p.healthy() && p.facts.uid != uid).count() as i64;
        if after < budget.needed && !failed_just_now(name) {
            broken.push(format!(
                "eviction of {pod} leaves budget {name} with {after} healthy pods, but it needs {}",
                budget.needed
            ));
        }
    }
    let node_of = |uid: &str| view.pods.get(uid).map(|pod| pod.facts.node.clone());
    let owner_pod = view.pods.get(uid).and_then(|pod| pod.facts.owner_pod.as_deref());
    if owner_pod.is_some_and(|owner| node_of(owner) == node_of(uid)) {
        broken.push(format!(
            "eviction of {pod} while the pod that controls it is still on its node"
        ));
    }
    if budgets.is_none_or(std::collections::BTreeSet::is_empty) {
        broken.extend(implied(at, view, params, pod, uid, failed_just_now));
    }
    broken
}

fn implied(
    at: Ms,
    view: &ClusterView,
    params: &Params,
    pod: &str,
    uid: &str,
    failed_just_now: impl Fn(&str) -> bool,
) -> Option<String> {
    let evicted = view.pods.get(uid).filter(|pod| !pod.facts.work)?;
    let owner = evicted.facts.topmost.clone();
    let kind = owner.split('/').next().unwrap_or_default();
    let (replicas, min_ready_s) = view.owners.get(&owner).copied().unwrap_or_default();
    let implied = matches!(
        kind,
        "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController" | "Foreign"
    );
    if !implied || replicas < 2 || failed_just_now(&owner) {
        return None;
    }
    let (mut healthy, mut forgotten) = (0, 0);
    for p in view.pods_of(&owner).filter(|p| p.facts.uid != uid) {
        healthy += i64::from(p.healthy() && p.ready_since + min_ready_s * 1000 <= at);
        let old = !p.facts.ready && p.ready_since + FORGOTTEN_AFTER_MS <= at + params.lag_ms;
        forgotten += i64::from(old && !p.facts.terminating);
    }
    let allowed = match params.unbudgeted {
        IntOrPercent::Int(n) => n,
        IntOrPercent::Percent(percent) => replicas * percent / 100,
    };
    let disrupted = replicas - healthy - forgotten;
    if healthy == 0 && params.unbudgeted != IntOrPercent::Percent(100) {
        return Some(format!(
            "eviction of {pod} takes the last available pod of {owner}"
        ));
    }
    (disrupted > allowed.max(1))
        .then(|| format!("eviction of {pod} disrupts {disrupted} of {replicas} pods of {owner}"))
}
