//! Can the node's pods leave? What can never be evicted is known before the node is cordoned, and so is a budget
//! that allows nothing now which Junban itself does not hold (lifecycle.md 8).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::draft::Draft;
use crate::drain::{self, Duty, Tokens, budget_of, duty, impossible, is_pinned};
use crate::effect::BudgetKey;
use crate::entry::{Phase, Record};
use crate::facts::Turn;
use crate::gates::Tally;
use crate::node::Node;
use crate::pod::{Pod, PodPhase, PodWish};
use crate::policy::Policy;
use crate::reason::{Blocker, Class, Reason};

/// The first pod or budget that holds the start back.
pub fn check(
    draft: &mut Draft<'_>,
    tally: &Tally,
    turn: &Turn<'_>,
    node: &Node,
    policy: &Policy,
) -> Option<Blocker> {
    let mut unmet = all(draft, tally, turn, node, policy);
    // What needs somebody is said before what passes.
    unmet.sort_by_key(|blocker| blocker.reason.class() == Class::Passes);
    unmet.into_iter().next()
}

/// Everything that holds the start back.
pub fn all(
    draft: &mut Draft<'_>,
    tally: &Tally,
    turn: &Turn<'_>,
    node: &Node,
    policy: &Policy,
) -> Vec<Blocker> {
    let cluster = draft.cluster;
    let mut unmet = Vec::new();
    for pod in cluster.pods_of(&node.name) {
        match duty(cluster, Some(draft.memory), pod, Some(policy)) {
            Duty::Skip | Duty::Returns(_) | Duty::Leaving => {}
            Duty::Forbidden(blocker) => {
                if let Some(PodWish::NotBefore { until, .. }) = &pod.wish
                    && let Ok(left) = Duration::try_from(until.duration_since(draft.now.wall))
                {
                    draft.wake_in(left);
                }
                unmet.push(blocker);
            }
            Duty::Completes(blocker) => {
                if holds_start(draft, turn, pod, policy) {
                    unmet.push(blocker);
                }
            }
            Duty::Evict => unmet.extend(blocked_budget(draft, pod, node, policy)),
        }
    }
    unmet.extend(pinned_tokens(draft, tally, node, policy));
    unmet.dedup();
    unmet
}

/// The first of the node's pods that cannot leave before somebody helps. Writes nothing, so that it may be asked long
/// before the node's turn comes.
pub fn never(draft: &mut Draft<'_>, node: &Node, policy: &Policy) -> Option<Blocker> {
    let cluster = draft.cluster;
    let blocker_of = |pod| match duty(cluster, Some(draft.memory), pod, Some(policy)) {
        Duty::Forbidden(blocker) => Some(blocker),
        Duty::Evict => blocked_budget(draft, pod, node, policy),
        _ => None,
    };
    let blockers = cluster.pods_of(&node.name).filter_map(blocker_of);
    blockers
        .filter(|blocker| blocker.reason.class() == Class::NeedsSomebody)
        .min()
}

/// Job pods that run when the node's turn comes are waited for before the cordon; later ones do not prolong that.
fn holds_start(draft: &mut Draft<'_>, turn: &Turn<'_>, pod: &Pod, policy: &Policy) -> bool {
    let record = &turn.entry.record;
    let Some(since) = record.jobs_since else {
        let record = Record {
            jobs_at: Some(draft.now.clock),
            jobs_since: Some(draft.now.wall),
            reason: Some(Reason::JobRunning),
            message: format!("pod {} of a Job runs and is waited for", pod.key),
            ..record.clone()
        };
        draft.record(turn.entry, record);
        return true;
    };
    pod.created <= since && !drain::jobs_are_over(draft, turn, policy)
}

fn blocked_budget(draft: &mut Draft<'_>, pod: &Pod, node: &Node, policy: &Policy) -> Option<Blocker> {
    let key = match budget_of(draft.cluster, pod) {
        Ok(key) => key,
        Err(blocker) => return Some(blocker),
    };
    let deletes = policy.drain.deletes_after_denial(&pod.key.namespace);
    match &key {
        BudgetKey::Pdb(pdb) => {
            let budget = draft.cluster.budgets.get(pdb)?;
            let unprotected = !pod.ready && budget.always_allow_unhealthy;
            if pod.phase != PodPhase::Running || unprotected {
                return None;
            }
            if let Some(blocker) = impossible(budget)
                // Deleting needs a denial, and a budget that cannot be computed gives none.
                && (!deletes || blocker.reason == Reason::BudgetUnknown)
            {
                return Some(blocker);
            }
            if deletes {
                let denied = drain::take_against_budget(draft, pod, node, policy).err()?;
                return (!is_held_by_junban(draft, &key, node)).then_some(denied);
            }
            if budget.disruptions_allowed > 0 || is_held_by_junban(draft, &key, node) {
                return None;
            }
            let tokens = Tokens::new(draft.cluster, draft.memory, &draft.facts);
            tokens.take(&key, pod, node, policy).err()
        }
        BudgetKey::Implied(owner) => {
            let denied = drain::take_implied(draft, owner, pod, node, policy).err()?;
            (!is_held_by_junban(draft, &key, node)).then_some(denied)
        }
        BudgetKey::Pod(_) => None,
    }
}

/// Whether Junban's own turns use the budget: an eviction that was asked for, or a pod of it on a node in Draining.
/// A failed node's pod is down for as long as its server: that is no token that comes back by itself.
fn is_held_by_junban(draft: &Draft<'_>, key: &BudgetKey, node: &Node) -> bool {
    if draft.memory.book.unseen(key) > 0 {
        return true;
    }
    draft.facts.in_flight().any(|turn| {
        turn.phase() == Phase::Draining
            && turn.entry.spec.node != node.name
            && draft.cluster.pods_of(&turn.entry.spec.node).any(|pod| {
                pod.terminating && budget_of(draft.cluster, pod).is_ok_and(|of_pod| of_pod == *key)
            })
    })
}

/// All tokens that the node's pinned pods need are reserved with the slot, or none: no two half-drained nodes can
/// block each other (design.md 5).
fn pinned_tokens(draft: &Draft<'_>, tally: &Tally, node: &Node, policy: &Policy) -> Vec<Blocker> {
    let tokens = Tokens::new(draft.cluster, draft.memory, &draft.facts);
    let mut unmet = Vec::new();
    for (key, need) in pinned_needs(draft, node) {
        let taken = tally.reserved.get(&key).copied().unwrap_or(0);
        let pdb = match &key {
            BudgetKey::Pdb(pdb) => pdb,
            BudgetKey::Implied(owner) => {
                unmet.extend(tokens.refuse_pinned(owner, need, taken, node, policy));
                continue;
            }
            BudgetKey::Pod(_) => continue,
        };
        // What can never be is said of its pods already.
        let budget = draft.cluster.budgets.get(pdb);
        let Some(budget) = budget.filter(|budget| impossible(budget).is_none()) else {
            continue;
        };
        let reserved = tokens.reserved(&key, node) + taken;
        let free = budget
            .disruptions_allowed
            .saturating_sub(reserved + draft.memory.book.unseen(&key));
        if free < need && !policy.drain.deletes_after_denial(&pdb.namespace) {
            let most = budget.expected_pods.saturating_sub(budget.desired_healthy);
            let (reason, message) = if need > most && budget.expected_pods > 0 {
                let message = format!(
                    "pdb {pdb} never allows more than {most} disruptions, {need} pods are pinned to this node"
                );
                (Reason::BudgetImpossible, message)
            } else {
                let message = format!("pdb {pdb} has {free} free tokens, the node's pinned pods need {need}");
                (Reason::BudgetHeld, message)
            };
            unmet.push(Blocker::new(reason, format!("pdb {pdb}"), message));
        }
    }
    unmet
}

/// Tokens that the node's pinned pods need, by budget.
pub fn pinned_needs(draft: &Draft<'_>, node: &Node) -> BTreeMap<BudgetKey, u32> {
    let mut needs = BTreeMap::new();
    let pods = draft
        .cluster
        .pods_of(&node.name)
        .filter(|pod| pod.ready && !pod.terminating);
    for pod in pods.filter(|pod| is_pinned(draft.cluster, node, pod)) {
        if !duty(draft.cluster, Some(draft.memory), pod, None).must_leave() {
            continue;
        }
        if let Ok(key) = budget_of(draft.cluster, pod) {
            *needs.entry(key).or_insert(0) += 1;
        }
    }
    needs
}

/// Budgets of the node's pods that have one token left, or none.
pub fn scarce(draft: &Draft<'_>, node: &Node) -> usize {
    let mut keys: Vec<_> = draft
        .cluster
        .pods_of(&node.name)
        .flat_map(|pod| draft.cluster.budgets_of(pod))
        .filter(|budget| budget.disruptions_allowed <= 1)
        .map(|budget| &budget.key)
        .collect();
    keys.sort();
    keys.dedup();
    keys.len()
}
