//! Which pods of a node in Draining are evicted now, in which order, and under which budgets
//! (docs/design/drain.md#order-around-the-drain).

use std::time::Duration;

use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::duty::{Duty, duty, why_spared};
use crate::effect::{BudgetKey, Effect, Lane, PodLeave};
use crate::gates::budgets::jobs_are_over;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::opening;
use crate::placement::Placement;
use crate::pod::Pod;
use crate::policy::{OpensAt, Policy};
use crate::reason::Reason;
use crate::start;
use crate::tokens::budget_of;

/// A pod that has been terminating for this long after its grace period is reported.
const STUCK_MARGIN: Duration = Duration::from_secs(30);
/// Pods with this priority or a higher one are the system's and leave later.
const CRITICAL: i32 = 1_000_000_000;

/// The order in which pods leave their node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LeaveOrder {
    Movable,
    Critical,
    Pinned,
}

/// Evicts the pods that may leave now. Returns how many pods must still leave.
pub(super) fn evict_next(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, policy: &Policy) -> u32 {
    let mut left = 0;
    let mut volume_leaves = false;
    let mut order = LeaveOrder::Pinned;
    let mut candidates = Vec::new();
    let cluster = plan.cluster;
    for pod in cluster.pods_of(&node.name) {
        let of_pod = order_of(&plan.placement, node, pod);
        match duty(cluster, Some(plan.memory), pod, turn.policy) {
            Duty::Skip => continue,
            Duty::Returns(blocker) | Duty::Stuck(blocker) => {
                plan.wait(turn.entry, blocker);
                continue;
            }
            Duty::Leaving => {
                order = order.min(of_pod);
                volume_leaves |= !pod.claims.is_empty();
                report_if_stuck(plan, turn, pod);
            }
            Duty::Follows => {}
            Duty::Forbidden(blocker) => {
                order = order.min(of_pod);
                plan.wait(turn.entry, blocker);
            }
            Duty::Spared(blocker) => {
                order = order.min(of_pod);
                let blocker = why_spared(pod, blocker, jobs_are_over(plan, turn, policy));
                plan.wait(turn.entry, blocker);
            }
            Duty::Completes(blocker) => {
                if jobs_are_over(plan, turn, policy) {
                    candidates.push((of_pod, pod));
                } else {
                    order = order.min(of_pod);
                    plan.wait(turn.entry, blocker);
                }
            }
            Duty::Evict if plan.memory.tokens.was_accepted(&pod.key, &pod.uid) => {
                order = order.min(of_pod);
                volume_leaves |= !pod.claims.is_empty();
            }
            Duty::Evict => candidates.push((of_pod, pod)),
        }
        left += 1;
    }
    order = candidates
        .iter()
        .map(|(of_pod, _)| *of_pod)
        .chain([order])
        .min()
        .unwrap_or(order);
    for (_, pod) in candidates.into_iter().filter(|(of_pod, _)| *of_pod == order) {
        // Pods with volumes leave one at a time. Pinned pods leave together, so they are down no longer than needed.
        let one_by_one = !pod.claims.is_empty() && order != LeaveOrder::Pinned;
        if one_by_one && volume_leaves {
            continue;
        }
        volume_leaves |= evict(plan, turn, node, policy, pod) && one_by_one;
    }
    left
}

fn order_of(placement: &Placement<'_>, node: &Node, pod: &Pod) -> LeaveOrder {
    if placement.stays(node, pod) {
        LeaveOrder::Pinned
    } else if pod.priority >= CRITICAL {
        LeaveOrder::Critical
    } else {
        LeaveOrder::Movable
    }
}

/// Reports a terminating pod that does not end.
fn report_if_stuck(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, pod: &Pod) {
    let Some(since) = plan.memory.sightings.terminating_pods.get(&pod.uid).copied() else {
        return;
    };
    let told_at = since + pod.grace + STUCK_MARGIN;
    if plan.now.mono < told_at {
        plan.wake_at_mono(told_at);
        return;
    }
    if let Some(stuck_at) = plan
        .memory
        .sightings
        .stuck_at(pod)
        .filter(|at| *at > plan.now.mono)
    {
        plan.wake_at_mono(stuck_at);
    }
    let detail = Detail::Stuck {
        finalizer: pod.has_finalizers,
    };
    let pod = ObjectRef::Pod(pod.key.clone());
    plan.wait_for(turn.entry, Reason::PodStuck, pod, detail);
}

/// Asks for the eviction of a pod if its budget has a token. Returns whether it did.
fn evict(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, policy: &Policy, pod: &Pod) -> bool {
    let budget = match budget_of(plan.cluster, pod) {
        Ok(budget) => budget,
        Err(blocker) => {
            plan.wait(turn.entry, blocker);
            return false;
        }
    };
    let lane = Lane::Budget(budget.clone());
    let now = plan.now.mono;
    let opening = opening::of(plan.cluster, pod, policy);
    let deletes = opening.is_none() && policy.drain.deletes_after_denial(&pod.key.namespace);
    if let Some(denial) = plan
        .memory
        .tokens
        .denial(&pod.key, &pod.uid, plan.cluster, &budget)
    {
        let delete = denial.may_delete && deletes;
        let (blocker, again_at) = (denial.blocker.clone(), denial.again_at);
        if delete {
            return may_leave_against_budget(plan, turn, node, policy, pod)
                && leave(plan, turn, node, pod, budget, Effect::DeletePod);
        }
        let opens = opening.filter(|_| opening::is_denial(blocker.reason));
        let opens = opens.map(|(rule, budget)| opening::waits(rule, budget, pod, Some(blocker.to_string())));
        plan.wait(turn.entry, opens.unwrap_or(blocker));
        if now < again_at {
            plan.wake_at_mono(again_at);
            return false;
        }
    }
    let taken = match &budget {
        BudgetKey::Implied(owner) => plan.take_implied(owner, pod, node, policy),
        _ => plan.tokens().take(&budget, pod, node, policy),
    };
    if let Err(blocker) = taken {
        if let Some(at) = plan.memory.tokens.next_change(now) {
            plan.wake_at_mono(at);
        }
        let opens = opening.filter(|_| opening::is_denial(blocker.reason));
        // An operator that waits for the request is asked, and again after each denial.
        let asks = opens.is_some_and(|(rule, _)| rule.opens_at == OpensAt::Eviction);
        let may_delete = deletes
            && matches!(
                blocker.reason,
                Reason::BudgetImpossible
                    | Reason::BudgetExhausted
                    | Reason::ReplacementUnschedulable
                    | Reason::UnhealthyPods
            );
        if !may_delete && !asks {
            let waits = opens.map(|(rule, budget)| opening::waits(rule, budget, pod, None));
            plan.wait(turn.entry, waits.unwrap_or(blocker));
            return false;
        }
        // A deletion needs a denial by the API server, so the eviction is asked for first.
        if may_delete && !may_leave_against_budget(plan, turn, node, policy, pod) {
            return false;
        }
    }
    if let Some(at) = plan.memory.tokens.held_back_until(now) {
        plan.wake_at_mono(at);
        return false;
    }
    let charges = matches!(budget, BudgetKey::Pdb(_));
    if charges
        && plan
            .memory
            .tokens
            .is_controller_behind(plan.cluster, plan.evictions_under_way(), now)
    {
        // A change of the budget wakes the plan. A dead watch does not.
        plan.wake_in(Duration::from_secs(1));
        let late = plan.memory.tokens.unconfirmed_for_long(plan.cluster, now);
        if let Some((left, pdb)) = late {
            plan.wait_for(
                turn.entry,
                Reason::Throttled,
                ObjectRef::Pdb(pdb),
                Detail::BudgetBehind(left),
            );
        }
        return false;
    }
    if !plan.is_free(&lane) {
        return false;
    }
    leave(plan, turn, node, pod, budget, Effect::Evict)
}

fn may_leave_against_budget(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    policy: &Policy,
    pod: &Pod,
) -> bool {
    let taken = plan.take_against_budget(pod, node, policy);
    let may = taken.is_ok();
    if let Err(blocker) = taken {
        plan.wait(turn.entry, blocker);
    }
    may
}

fn leave(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    pod: &Pod,
    budget: BudgetKey,
    effect: impl FnOnce(PodLeave) -> Effect,
) -> bool {
    if plan.placement.stays(node, pod)
        && let Some(blocker) = start::closed_before_power(plan, turn, node)
    {
        // The pod would be down until its node may be powered.
        plan.wait(turn.entry, blocker);
        return false;
    }
    let Some(not_after) = plan.not_paused() else {
        return false;
    };
    plan.emit(effect(PodLeave {
        node: node.name.clone(),
        pod: pod.key.clone(),
        uid: pod.uid.clone(),
        budget,
        not_after,
    }))
}
