//! Giving a node back: release, cancel, giving up, and restoring after the end. First the Node is restored, then the
//! entry is written, then the slot is freed (docs/design/ledger.md#order-of-writes).

use std::time::Duration;

use super::writes::patch_on_mark;
use crate::back_off;
use crate::blocker::Blocker;
use crate::boot_journal;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::effect::{Effect, NodeChange, NodePatch, NodeWrite};
use crate::entry::{BackOff, Phase, Record};
use crate::format::Format;
use crate::guard::{self, Guard};
use crate::mark::Mark;
use crate::node::Node;
use crate::reason::Reason;
use crate::time::Timestamp;

/// Whether a person cancelled the entry, or waived its goal.
pub(super) fn is_cancelled(turn: &Turn<'_>, node: &Node) -> bool {
    turn.entry.spec.cancel || node.has_waived(turn.entry.spec.booted_after)
}

/// Ends a cancelled entry that is Queued or Draining. If the mark holds an attempt, the entry is given up.
pub(super) fn cancel(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    if turn.mark.and_then(Mark::live_attempt).is_some() {
        return give_up(plan, turn, node);
    }
    if waive(plan, turn, node) {
        return;
    }
    if turn.mark.is_some() {
        return restore(plan, turn, node, true, None);
    }
    let message = "cancelled before any reboot";
    let mut record = plan.moved_to(turn.entry, Phase::Cancelled, Reason::Cancelled, message);
    record.waived = node.waived.or(Some(turn.entry.spec.booted_after));
    plan.record(turn.entry, record);
}

/// Gives up an entry whose machine may be rebooting, because a person decided so. If the node is Ready, it is restored
/// at once. If it is down, mark and slot stay until it is Ready, and the entry leaves the count of failures at once
/// (docs/design/life-cycle.md#cancelling-and-giving-up).
pub(super) fn give_up(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    if waive(plan, turn, node) {
        return;
    }
    if node.ready && turn.mark.is_some() {
        return restore(plan, turn, node, true, None);
    }
    let message = if turn.mark.is_some() {
        "given up; the node is restored when it is Ready"
    } else {
        "given up"
    };
    let mut record = plan.moved_to(turn.entry, Phase::Cancelled, Reason::GivenUp, message);
    record.waived = node.waived.or(Some(turn.entry.spec.booted_after));
    plan.record(turn.entry, record);
}

/// Writes the waiver before the entry ends, so that the goal makes no other entry. Returns whether it wrote one.
fn waive(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> bool {
    let goal = cancelled_goal(plan, turn);
    if node.has_waived(goal) {
        return false;
    }
    let mut patch = patch_on_mark(node, NodeWrite::Waive);
    patch.version = Some(node.version);
    patch.changes.push(NodeChange::Waive(goal));
    plan.emit(Effect::PatchNode(patch));
    true
}

/// The goal up to which a cancel waives. If the policy's goal was raised since, this one as well: the boot to come
/// would have counted for both. A waiver that a person writes by hand covers exactly its own time.
fn cancelled_goal(plan: &PlanBuilder<'_>, turn: &Turn<'_>) -> Timestamp {
    let own = turn.entry.spec.booted_after;
    let raised = turn.governing.and_then(|policy| policy.booted_after);
    let due = raised.filter(|goal| turn.entry.spec.cancel && *goal <= plan.now.wall);
    due.map_or(own, |goal| goal.max(own))
}

/// Gives a draining node back and queues its entry again with a back-off.
pub(super) fn release(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, why: Blocker) {
    if turn.mark.is_some() {
        return restore(plan, turn, node, false, Some(why));
    }
    let why = plan.memory.give_backs.why.get(&node.name).cloned().unwrap_or(why);
    let record = released(plan, turn, &why);
    plan.record(turn.entry, record);
}

fn released(plan: &PlanBuilder<'_>, turn: &Turn<'_>, why: &Blocker) -> Record {
    let entry = turn.entry;
    let back_off = entry.record.back_off.as_ref();
    let releases = back_off.map_or(0, |back_off| back_off.releases) + 1;
    let in_vain = why.reason == Reason::ReplacementUnschedulable;
    let wait = if in_vain {
        BackOff::IN_VAIN
    } else {
        BackOff::wait(releases)
    };
    let until = plan.now.wall.checked_add(wait).unwrap_or(Timestamp::MAX);
    let reason = if in_vain { why.reason } else { Reason::BackOff };
    let mut record = plan.moved_to(entry, Phase::Queued, reason, "");
    let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
    record.message = if in_vain {
        format!(
            "drained in vain: {why}; tries again when its pods' template, the budget or the nodes change, or at {until}"
        )
    } else {
        format!("released ({}): {why}; tries again at {until}", why.reason)
    };
    record.back_off = Some(BackOff {
        format: Format,
        releases,
        from: plan.now.clock,
        seconds: wait.as_secs(),
        until,
        blocked_by: back_off::blocked_by(plan.cluster, &why.object, in_vain),
        in_vain,
    });
    record.drain = None;
    record.refusals = 0;
    record
}

/// Restores the Node. The same patch writes the boot journal: without the turn nobody would know that the boot came
/// after the record, and a goal that was raised during the turn would reboot the node again
/// (docs/design/life-cycle.md#boot-journal).
pub(super) fn restore(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    at_end: bool,
    why: Option<Blocker>,
) {
    if let Some(mark) = turn.mark {
        let mut patch = restore_patch(node, mark, at_end, why);
        let journal = boot_journal::due(plan, node);
        patch.changes.extend(journal.map(NodeChange::Journal));
        plan.emit(Effect::PatchNode(patch));
    }
}

/// Restores only what Junban changed (docs/design/ledger.md#whose-cordon).
pub(crate) fn restore_patch(node: &Node, mark: &Mark, at_end: bool, why: Option<Blocker>) -> NodePatch {
    let mut patch = patch_on_mark(node, NodeWrite::Restore);
    // The owner of the cordon comes from managedFields, and no `test` can hold these. So the version is tested.
    patch.version = Some(node.version);
    patch.why = why;
    patch.changes.push(NodeChange::Mark(None));
    let ours = guard::holds(Guard::UncordonOwnManager, node.cordon_is_ours);
    if node.unschedulable && ours && guard::holds(Guard::UncordonPrior, !mark.prior.cordoned) {
        patch.changes.push(NodeChange::Unschedulable(false));
    }
    if node.excluded_from_load_balancers && !mark.prior.excluded_from_load_balancers {
        patch.changes.push(NodeChange::ExcludeFromLoadBalancers(false));
    }
    if at_end && node.pending_taint {
        patch.changes.push(NodeChange::PendingTaint(false));
    }
    patch
}

/// Restores the Node of an ended entry whose mark is still there. If the mark holds an attempt, the entry was given up,
/// and the Node is restored when it is Ready or excluded, whatever its bootID.
pub(super) fn after_the_end(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>) {
    let (Some(node), Some(mark)) = (turn.node, turn.mark) else {
        return;
    };
    if mark.live_attempt().is_none() || node.ready || node.excluded {
        restore(plan, turn, node, true, None);
    } else {
        plan.wake_in(Duration::from_secs(60));
    }
}
