//! Can the node's pods leave? A node is not cordoned for a pod that can never be evicted, or for a budget that allows
//! nothing now, unless Junban's own turns are the cause (docs/design/drain.md#budgets).

use std::time::Duration;

use crate::back_off::has_changed;
use crate::blocker::Blocker;
use crate::budget::Budget;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::{Barrier, Detail};
use crate::duty::{Duty, duty, why_spared};
use crate::effect::BudgetKey;
use crate::entry::{Phase, Record};
use crate::gates::{Candidate, Tally};
use crate::ids::{NodeName, PodKey};
use crate::node::Node;
use crate::object::ObjectRef;
use crate::opening;
use crate::pod::{Pod, PodWish};
use crate::policy::{OpeningBudgets, Policy};
use crate::reason::{Class, Reason};
use crate::tokens::{budget_of, expected, impossible, pinned_needs};

/// Every pod and every budget that prevents the start.
pub fn check(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Vec<Blocker> {
    let Candidate {
        turn, node, tally, ..
    } = candidate;
    let Ok(policy) = candidate.policy else {
        return Vec::new();
    };
    let cluster = plan.cluster;
    let mut unmet = Vec::new();
    for pod in cluster.pods_of(&node.name) {
        match duty(cluster, Some(plan.memory), pod, Some(policy)) {
            Duty::Skip | Duty::Returns(_) | Duty::Leaving | Duty::Stuck(_) | Duty::Follows => {}
            Duty::Forbidden(blocker) => unmet.push(blocker),
            Duty::Completes(blocker) => {
                if work_prevents_start(plan, turn, pod, policy, &blocker) {
                    unmet.push(blocker);
                }
            }
            Duty::Spared(blocker) => {
                if let Some(PodWish::NotBefore { until, .. }) = &pod.wish
                    && let Ok(left) = Duration::try_from(until.duration_since(plan.now.wall))
                {
                    plan.wake_in(left);
                }
                let waited_for = why_spared(pod, blocker.clone(), false);
                if work_prevents_start(plan, turn, pod, policy, &waited_for) {
                    unmet.push(waited_for);
                } else if was_drained_in_vain(plan, turn, pod) {
                    unmet.push(blocker);
                }
            }
            Duty::Evict => match opening::closed(cluster, pod, policy) {
                Some((rule, _)) => unmet.extend(opening_elsewhere(plan, candidate, rule, policy)),
                None => unmet.extend(blocked_budget(plan, pod, node, policy)),
            },
        }
        let starts = |name: &NodeName| tally.places.contains(name);
        unmet.extend(opening::leaves_no_candidate(cluster, node, pod, policy, starts));
    }
    unmet.extend(pinned_tokens(plan, tally, node, policy));
    unmet.dedup();
    unmet
}

/// The first of the node's pods that cannot leave until a person helps. It writes nothing, so it can be asked long
/// before the node's turn comes.
pub fn needs_person(plan: &mut PlanBuilder<'_>, node: &Node, policy: &Policy) -> Option<Blocker> {
    let cluster = plan.cluster;
    let blocker_of = |pod| match duty(cluster, Some(plan.memory), pod, Some(policy)) {
        Duty::Forbidden(blocker) => Some(blocker),
        Duty::Spared(blocker) => Some(why_spared(pod, blocker, false)),
        Duty::Evict if opening::closed(cluster, pod, policy).is_none() => {
            blocked_budget(plan, pod, node, policy)
        }
        _ => None,
    };
    let blockers = cluster.pods_of(&node.name).filter_map(blocker_of);
    blockers
        .filter(|blocker| blocker.reason.class() == Class::NeedsSomebody)
        .min()
}

/// Whether a pod that is waited for prevents the start. Only pods that were there when the node's turn came are waited
/// for before the cordon (docs/design/drain.md#jobs).
fn work_prevents_start(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    pod: &Pod,
    policy: &Policy,
    blocker: &Blocker,
) -> bool {
    let record = &turn.entry.record;
    let Some(since) = record.jobs_since else {
        let record = Record {
            jobs_at: Some(plan.now.clock),
            jobs_since: Some(plan.now.wall),
            reason: Some(blocker.reason),
            message: blocker.to_string(),
            ..record.clone()
        };
        plan.record(turn.entry, record);
        return true;
    };
    pod.bound <= since && !jobs_are_over(plan, turn, policy)
}

/// Whether this pod, which is never evicted, blocked the last drain and is still there. To drain the node again would be
/// in vain, so it needs a person's retry.
fn was_drained_in_vain(plan: &PlanBuilder<'_>, turn: &Turn<'_>, pod: &Pod) -> bool {
    let record = &turn.entry.record;
    let blocked = record.back_off.as_ref().filter(|back_off| {
        let by = back_off.blocked_by.as_ref().map(|blocked| &blocked.object);
        by == Some(&ObjectRef::Pod(pod.key.clone())) && !has_changed(plan.cluster, back_off)
    });
    blocked.is_some() && turn.entry.spec.retries <= record.retries_done
}

/// Whether `jobs.deadline` has passed. It bounds the waits for work over all rounds; after it work is evicted.
pub fn jobs_are_over(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, policy: &Policy) -> bool {
    let record = &turn.entry.record;
    let Some(from) = record.jobs_at.or(record.phase_at) else {
        return false;
    };
    let waited = plan.now.clock.running_since(from);
    if waited < policy.drain.jobs_deadline {
        plan.wake_in((policy.drain.jobs_deadline - waited).min(Duration::from_secs(60)));
    }
    waited >= policy.drain.jobs_deadline
}

/// A budget that opens under the cordon prevents the start only while as many other nodes wait so as the rule allows.
fn opening_elsewhere(
    plan: &PlanBuilder<'_>,
    candidate: &Candidate<'_>,
    rule: &OpeningBudgets,
    policy: &Policy,
) -> Option<Blocker> {
    let Candidate { turn, tally, .. } = candidate;
    let begins = |other: &&Turn<'_>| {
        other.phase() == Phase::Draining || other.slot.is_some() || tally.granted.contains(&other.entry.uid)
    };
    let waits = |name: &NodeName| {
        let mut closed = opening::closed_on(plan.cluster, plan.memory, name, policy);
        closed.any(|(other, ..)| std::ptr::eq(other, rule))
    };
    let others = plan.derived.turns.values().filter(begins);
    let others = others.filter(|other| other.entry.uid != turn.entry.uid && !other.phase().is_ended());
    let names = others
        .map(|other| &other.entry.spec.node)
        .filter(|name| waits(name));
    let waiting: Vec<&NodeName> = names.collect();
    let first = waiting
        .first()
        .filter(|_| waiting.len() >= rule.at_once.max(1) as usize)?;
    let at_once = rule.at_once.max(1);
    let (node, detail) = (
        ObjectRef::Node((*first).clone()),
        Detail::OpeningElsewhere { at_once },
    );
    Some(Blocker::new(Reason::OpeningTurn, node, detail))
}

fn blocked_budget(plan: &mut PlanBuilder<'_>, pod: &Pod, node: &Node, policy: &Policy) -> Option<Blocker> {
    let key = match budget_of(plan.cluster, pod) {
        Ok(key) => key,
        Err(blocker) => return Some(blocker),
    };
    let deletes = policy.drain.deletes_after_denial(&pod.key.namespace);
    match &key {
        BudgetKey::Pdb(pdb) => {
            let budget = plan.cluster.budgets.get(pdb)?;
            let unprotected = !pod.ready && budget.always_allow_unhealthy;
            if unprotected {
                return None;
            }
            if let Some(blocker) = impossible(plan.cluster, budget)
                // A deletion needs a denial, and a budget that cannot be computed denies nothing.
                && (!deletes || blocker.reason == Reason::BudgetUnknown)
            {
                return Some(blocker);
            }
            if deletes {
                let denied = plan.take_against_budget(pod, node, policy).err()?;
                return (!is_held_by_junban(plan, &key, node)).then_some(denied);
            }
            if budget.disruptions_allowed > 0 || is_held_by_junban(plan, &key, node) {
                return None;
            }
            plan.tokens().take(&key, pod, node, policy).err()
        }
        BudgetKey::Implied(owner) => {
            let denied = plan.take_implied(owner, pod, node, policy).err()?;
            (!is_held_by_junban(plan, &key, node)).then_some(denied)
        }
        BudgetKey::Pod(_) => None,
    }
}

/// Whether Junban's own turns use the budget: an eviction that was asked for, or a terminating pod on a node in
/// Draining. The pods of a Failed node do not count: their tokens do not come back by themselves.
fn is_held_by_junban(plan: &PlanBuilder<'_>, key: &BudgetKey, node: &Node) -> bool {
    if plan.memory.tokens.unseen(key) > 0 {
        return true;
    }
    plan.derived.in_flight().any(|turn| {
        turn.phase() == Phase::Draining
            && turn.entry.spec.node != node.name
            && plan
                .cluster
                .pods_of(&turn.entry.spec.node)
                .any(|pod| pod.terminating && budget_of(plan.cluster, pod).is_ok_and(|of_pod| of_pod == *key))
    })
}

/// Whether the tokens that all of the node's pinned pods need are free: they are reserved with the slot
/// (docs/design/drain.md#pinned-pods).
fn pinned_tokens(plan: &PlanBuilder<'_>, tally: &Tally, node: &Node, policy: &Policy) -> Vec<Blocker> {
    let tokens = plan.tokens();
    let mut unmet = Vec::new();
    for (key, need) in pinned_needs(plan.cluster, plan.memory, &plan.placement, node) {
        let taken = tally.reservations.of_others(&key, &node.name);
        let pdb = match &key {
            BudgetKey::Pdb(pdb) => pdb,
            BudgetKey::Implied(owner) => {
                let refused = tokens.refuse_pinned(owner, need, taken, node, policy);
                unmet.extend(refused.map(|blocker| name_constraint(plan, node, &key, blocker)));
                continue;
            }
            BudgetKey::Pod(_) => continue,
        };
        // A budget that can never allow an eviction is reported for each of its pods already.
        let budget = plan.cluster.budgets.get(pdb);
        // One that opens under the cordon is waited for there.
        let opens = |budget: &Budget| policy.drain.budgets.iter().any(|rule| rule.names(budget));
        let Some(budget) =
            budget.filter(|budget| impossible(plan.cluster, budget).is_none() && !opens(budget))
        else {
            continue;
        };
        let reserved = plan.reservations.of_others(&key, &node.name) + taken;
        let free = budget
            .disruptions_allowed
            .saturating_sub(reserved + plan.memory.tokens.unseen(&key));
        if free < need && !policy.drain.deletes_after_denial(&pdb.namespace) {
            let most = expected(plan.cluster, budget).saturating_sub(budget.desired_healthy);
            let never = need > most && budget.expected_pods > 0;
            let (reason, detail) = match constrained_pod(plan, node, &key).filter(|_| never) {
                Some((pod, barrier)) => (
                    Reason::ReplacementUnschedulable,
                    Detail::ConstrainedNeverAllowed {
                        pod,
                        barrier,
                        need,
                        most,
                    },
                ),
                None if never => (
                    Reason::BudgetImpossible,
                    Detail::PinnedNeverAllowed { need, most },
                ),
                None => (Reason::BudgetHeld, Detail::PinnedTokensHeld { need, free }),
            };
            unmet.push(Blocker::new(reason, ObjectRef::Pdb(pdb.clone()), detail));
        }
    }
    unmet
}

/// The first pod of a budget that is to leave and that the pods around it keep from every other node.
fn constrained_pod(plan: &PlanBuilder<'_>, node: &Node, key: &BudgetKey) -> Option<(PodKey, Box<Barrier>)> {
    plan.cluster.pods_of(&node.name).find_map(|pod| {
        let barrier = plan.placement.stays_because(node, pod)?;
        let is_constraint = barrier != Barrier::Selector && budget_of(plan.cluster, pod).as_ref() == Ok(key);
        is_constraint.then(|| (pod.key.clone(), Box::new(barrier)))
    })
}

/// If a constraint is why more pods stay with the node than may ever be disrupted, the blocker names it.
fn name_constraint(plan: &PlanBuilder<'_>, node: &Node, key: &BudgetKey, blocker: Blocker) -> Blocker {
    let Detail::PinnedNeverImplied { need, most } = blocker.detail else {
        return blocker;
    };
    match constrained_pod(plan, node, key) {
        Some((pod, barrier)) => Blocker::new(
            Reason::ReplacementUnschedulable,
            blocker.object,
            Detail::ConstrainedNeverAllowed {
                pod,
                barrier,
                need,
                most,
            },
        ),
        None => blocker,
    }
}
