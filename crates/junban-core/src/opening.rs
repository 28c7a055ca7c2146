//! Budgets that open only when their operator sees the cordon of the node, or the eviction of the pod. A policy names
//! them in `drain.budgets` (docs/design/drain.md#opening-budgets).

use std::time::Duration;

use crate::blocker::Blocker;
use crate::budget::Budget;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::duty::{Duty, duty};
use crate::ids::NodeName;
use crate::memory::Memory;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::pod::{Pod, PodPhase};
use crate::policy::{OpeningBudgets, OpensAt, Policy};
use crate::reason::Reason;
use crate::tokens::impossible;

/// The pod's budget and the rule that names it, if a rule of the policy does.
pub fn of<'a>(
    cluster: &'a Cluster,
    pod: &Pod,
    policy: &'a Policy,
) -> Option<(&'a OpeningBudgets, &'a Budget)> {
    if policy.drain.budgets.is_empty() {
        return None;
    }
    let mut budgets = cluster.budgets_of(pod);
    // The API server never evicts a pod that two budgets select.
    let (Some(budget), None) = (budgets.next(), budgets.next()) else {
        return None;
    };
    let rule = policy.drain.budgets.iter().find(|rule| rule.names(budget))?;
    Some((rule, budget))
}

/// As [`of`], if the pod waits for the budget under the cordon: the budget does not allow its eviction now, or an operator
/// answers the eviction itself, whatever the budget allows.
pub fn closed<'a>(
    cluster: &'a Cluster,
    pod: &Pod,
    policy: &'a Policy,
) -> Option<(&'a OpeningBudgets, &'a Budget)> {
    let (rule, budget) = of(cluster, pod, policy)?;
    let is_protected = pod.phase == PodPhase::Running && (pod.ready || !budget.always_allow_unhealthy);
    let is_open = impossible(cluster, budget).is_none() && budget.disruptions_allowed > 0;
    let waits = !is_open || rule.opens_at == OpensAt::Eviction;
    (is_protected && waits).then_some((rule, budget))
}

/// The budgets of the node's pods that are still to open, each with its rule and pod.
pub fn closed_on<'a>(
    cluster: &'a Cluster,
    memory: &'a Memory,
    node: &NodeName,
    policy: &'a Policy,
) -> impl Iterator<Item = (&'a OpeningBudgets, &'a Budget, &'a Pod)> {
    cluster.pods_of(node).filter_map(move |pod| {
        let (rule, budget) = closed(cluster, pod, policy)?;
        let waits = matches!(duty(cluster, Some(memory), pod, Some(policy)), Duty::Evict);
        waits.then_some((rule, budget, pod))
    })
}

/// Says that a pod waits for its budget to open. `said`: the last answer to its eviction.
pub fn waits(rule: &OpeningBudgets, budget: &Budget, pod: &Pod, said: Option<String>) -> Blocker {
    let detail = match rule.opens_at {
        OpensAt::Cordon => Detail::OpensAtCordon(pod.key.clone()),
        OpensAt::Eviction => Detail::OpensAtEviction {
            pod: pod.key.clone(),
            said: said.unwrap_or_default(),
        },
    };
    Blocker::new(Reason::BudgetOpening, ObjectRef::Pdb(budget.key.clone()), detail)
}

/// Whether a budget or a webhook has denied an eviction for this reason. An operator does so until it has moved the pod.
pub fn is_denial(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BudgetExhausted
            | Reason::BudgetImpossible
            | Reason::BudgetUnknown
            | Reason::ReplacementUnschedulable
            | Reason::UnhealthyPods
            | Reason::WebhookDenied
    )
}

/// How long the budgets of a node in Draining may take to open, and the budget and pod with the shortest time.
pub fn first_timeout<'a>(
    cluster: &'a Cluster,
    memory: &'a Memory,
    node: &NodeName,
    policy: &'a Policy,
) -> Option<(Duration, Blocker)> {
    let closed = closed_on(cluster, memory, node, policy);
    let (rule, budget, pod) = closed.min_by_key(|(rule, ..)| rule.timeout)?;
    let detail = Detail::NotOpened(pod.key.clone());
    let object = ObjectRef::Pdb(budget.key.clone());
    let timeout = policy.drain.load_balancer_wait + rule.timeout;
    Some((timeout, Blocker::new(Reason::DrainTimeout, object, detail)))
}

/// Whether the cordon of `node` would leave no pod that can take over from a pod that has to move. Such a pod is under
/// a budget that opens at the cordon, and its node is cordoned, or is `node` itself. Then the operator could move it
/// nowhere. `is_away`: whether a node does not take the pod over, beside its own state.
pub fn leaves_no_candidate(
    cluster: &Cluster,
    node: &Node,
    pod: &Pod,
    policy: &Policy,
    is_away: impl Fn(&NodeName) -> bool,
) -> Option<Blocker> {
    let owner = pod.owner.as_ref().filter(|_| !policy.drain.budgets.is_empty())?;
    let siblings = cluster.pods_by_owner.get(owner)?;
    if siblings.len() < 2 {
        // Nobody can take over from a single pod: its operator opens the budget without.
        return None;
    }
    let node_of = |pod: &Pod| cluster.nodes.get(pod.node.as_ref()?);
    let is_cordoned = |at: &Node| at.name == node.name || at.unschedulable;
    let must_move = |pod: &Pod| {
        let rule = closed(cluster, pod, policy).map(|(rule, _)| rule.opens_at);
        rule == Some(OpensAt::Cordon) && node_of(pod).is_some_and(is_cordoned)
    };
    let moving = siblings.values().find(|pod| must_move(pod))?;
    let takes_over = |pod: &Pod| {
        let takes = |at: &Node| at.ready && !is_cordoned(at) && !is_away(&at.name);
        pod.ready && !pod.terminating && node_of(pod).is_some_and(takes)
    };
    if siblings.values().any(|pod| takes_over(pod)) {
        return None;
    }
    let object = ObjectRef::Workload(owner.clone());
    let detail = Detail::NoCandidate(moving.key.clone());
    Some(Blocker::new(Reason::LastCandidate, object, detail))
}

#[cfg(test)]
mod tests;
