//! Which pods of a node in Draining are asked to leave now, in their order, each under its budget.

use std::time::Duration;

use super::{Duty, Tokens, budget_of, duty, is_pinned, take_against_budget};
use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effect::{BudgetKey, Effect, Lane, PodLeave};
use crate::facts::Turn;
use crate::gates;
use crate::node::Node;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Blocker, Reason};

/// A pod that terminates for longer than its grace and this is named as the blocker.
const STUCK_MARGIN: Duration = Duration::from_secs(30);
/// Priority classes from here on are the system's: their pods leave later.
const CRITICAL: i32 = 1_000_000_000;

/// When a pod may be evicted within its node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Movable,
    Critical,
    Pinned,
}

/// Evicts what may leave now. Returns how many pods that must leave are left.
pub(super) fn let_leave(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node, policy: &Policy) -> u32 {
    let mut left = 0;
    let mut volume_leaves = false;
    let mut stage = Stage::Pinned;
    let mut candidates = Vec::new();
    let cluster = draft.cluster;
    for pod in cluster.pods_of(&node.name) {
        let of_pod = stage_of(cluster, node, pod);
        match duty(cluster, Some(draft.memory), pod, turn.policy) {
            Duty::Skip => continue,
            Duty::Returns(blocker) => {
                draft.wait(turn.entry, blocker);
                continue;
            }
            Duty::Leaving => {
                stage = stage.min(of_pod);
                volume_leaves |= !pod.claims.is_empty();
                wait_for_end(draft, turn, pod);
            }
            Duty::Forbidden(blocker) => {
                stage = stage.min(of_pod);
                draft.wait(turn.entry, blocker);
            }
            Duty::Completes(blocker) => {
                if jobs_are_over(draft, turn, policy) {
                    candidates.push((of_pod, pod));
                } else {
                    stage = stage.min(of_pod);
                    draft.wait(turn.entry, blocker);
                }
            }
            Duty::Evict if draft.memory.book.was_accepted(&pod.key, &pod.uid) => {
                stage = stage.min(of_pod);
                volume_leaves |= !pod.claims.is_empty();
            }
            Duty::Evict => candidates.push((of_pod, pod)),
        }
        left += 1;
    }
    stage = candidates
        .iter()
        .map(|(of_pod, _)| *of_pod)
        .chain([stage])
        .min()
        .unwrap_or(stage);
    for (_, pod) in candidates.into_iter().filter(|(of_pod, _)| *of_pod == stage) {
        // Pods with volumes leave one at a time per node; pinned ones go together, to be down no longer than needed.
        let one_by_one = !pod.claims.is_empty() && stage != Stage::Pinned;
        if one_by_one && volume_leaves {
            continue;
        }
        volume_leaves |= evict(draft, turn, node, policy, pod) && one_by_one;
    }
    left
}

fn stage_of(cluster: &Cluster, node: &Node, pod: &Pod) -> Stage {
    if is_pinned(cluster, node, pod) {
        Stage::Pinned
    } else if pod.priority >= CRITICAL {
        Stage::Critical
    } else {
        Stage::Movable
    }
}

fn wait_for_end(draft: &mut Draft<'_>, turn: &Turn<'_>, pod: &Pod) {
    let Some(since) = draft.memory.terminating_pods.get(&pod.uid).copied() else {
        return;
    };
    let stuck_at = since + pod.grace + STUCK_MARGIN;
    if draft.now.mono < stuck_at {
        draft.wake_at_mono(stuck_at);
        return;
    }
    let cause = if pod.has_finalizers {
        "a finalizer holds it"
    } else {
        "its containers do not end"
    };
    let message = format!(
        "pod {} is terminating for longer than its grace: {cause}",
        pod.key
    );
    draft.wait(
        turn.entry,
        Blocker::new(Reason::PodStuck, format!("pod {}", pod.key), message),
    );
}

/// `jobs.deadline` bounds all waiting for Jobs, over all rounds; after it they are evicted.
pub fn jobs_are_over(draft: &mut Draft<'_>, turn: &Turn<'_>, policy: &Policy) -> bool {
    let record = &turn.entry.record;
    let Some(from) = record.jobs_at.or(record.phase_at) else {
        return false;
    };
    let waited = draft.now.clock.running_since(from);
    if waited < policy.drain.jobs_deadline {
        draft.wake_in((policy.drain.jobs_deadline - waited).min(Duration::from_secs(60)));
    }
    waited >= policy.drain.jobs_deadline
}

/// Asks for one pod's eviction if its budget has a token. Returns whether it was asked for.
fn evict(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node, policy: &Policy, pod: &Pod) -> bool {
    let budget = match budget_of(draft.cluster, pod) {
        Ok(budget) => budget,
        Err(blocker) => {
            draft.wait(turn.entry, blocker);
            return false;
        }
    };
    let lane = Lane::Budget(budget.clone());
    let now = draft.now.mono;
    let deletes = policy.drain.deletes_after_denial(&pod.key.namespace);
    if let Some(denial) = draft
        .memory
        .book
        .denial(&pod.key, &pod.uid, draft.cluster, &budget)
    {
        let delete = denial.may_delete && deletes;
        let (blocker, again_at) = (denial.blocker.clone(), denial.again_at);
        if delete {
            return may_leave_against_budget(draft, turn, node, policy, pod)
                && leave(draft, turn, node, pod, budget, Effect::DeletePod);
        }
        draft.wait(turn.entry, blocker);
        if now < again_at {
            draft.wake_at_mono(again_at);
            return false;
        }
    }
    let tokens = Tokens::new(draft.cluster, draft.memory, &draft.facts);
    if let Err(blocker) = tokens.take(&budget, pod, node, policy) {
        if let Some(at) = draft.memory.book.next_change(now) {
            draft.wake_at_mono(at);
        }
        let may_delete = deletes
            && matches!(
                blocker.reason,
                Reason::BudgetImpossible
                    | Reason::BudgetExhausted
                    | Reason::ReplacementUnschedulable
                    | Reason::UnhealthyPods
            );
        if !may_delete {
            draft.wait(turn.entry, blocker);
            return false;
        }
        // Deleting comes after a denial of the API's own: it is asked first.
        if !may_leave_against_budget(draft, turn, node, policy, pod) {
            return false;
        }
    }
    if let Some(at) = draft.memory.book.held_back_until(now) {
        draft.wake_at_mono(at);
        return false;
    }
    let charges = matches!(budget, BudgetKey::Pdb(_));
    if charges
        && draft
            .memory
            .book
            .is_ahead(draft.cluster, draft.evictions_under_way(), now)
    {
        // A budget that changes wakes; a watch that is silent does not.
        draft.wake_in(Duration::from_secs(1));
        let late = draft.memory.book.unconfirmed_for_long(draft.cluster, now);
        if let Some((left, pdb)) = late {
            let message = format!("the controller of pdb {pdb} has not seen pod {left} leave yet");
            draft.wait(
                turn.entry,
                Blocker::new(Reason::Throttled, format!("pdb {pdb}"), message),
            );
        }
        return false;
    }
    if !draft.is_free(&lane) {
        return false;
    }
    leave(draft, turn, node, pod, budget, Effect::Evict)
}

fn may_leave_against_budget(
    draft: &mut Draft<'_>,
    turn: &Turn<'_>,
    node: &Node,
    policy: &Policy,
    pod: &Pod,
) -> bool {
    let taken = take_against_budget(draft, pod, node, policy);
    let may = taken.is_ok();
    if let Err(blocker) = taken {
        draft.wait(turn.entry, blocker);
    }
    may
}

fn leave(
    draft: &mut Draft<'_>,
    turn: &Turn<'_>,
    node: &Node,
    pod: &Pod,
    budget: BudgetKey,
    effect: impl FnOnce(PodLeave) -> Effect,
) -> bool {
    if is_pinned(draft.cluster, node, pod)
        && let Some(blocker) = gates::before_power(draft, turn, node)
    {
        // It would be down until its node may go.
        draft.wait(turn.entry, blocker);
        return false;
    }
    let Some(not_after) = draft.not_paused() else {
        return false;
    };
    draft.emit(effect(PodLeave {
        node: node.name.clone(),
        pod: pod.key.clone(),
        uid: pod.uid.clone(),
        budget,
        not_after,
    }))
}
