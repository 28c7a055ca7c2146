//! Draining: the node is marked and cordoned, and its pods leave. Then comes the write-ahead record, a release or a
//! failure.

use std::time::Duration;

use super::writes::verifying_record;
use super::{drain, give_back, rebooting};
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::entry::Phase;
use crate::gates::pause;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::opening;
use crate::policy::OnTimeout;
use crate::reason::Reason;

pub(super) fn advance(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    let entry = turn.entry;
    let Some(mark) = turn.mark else {
        // The node was given back, or a person removed the mark. The entry follows.
        return if give_back::is_cancelled(turn, node) {
            give_back::cancel(plan, turn, node)
        } else {
            let object = ObjectRef::Node(node.name.clone());
            let why = Blocker::new(Reason::Released, object, mark_is_gone(turn));
            give_back::release(plan, turn, node, why)
        };
    };
    if give_back::is_cancelled(turn, node) {
        // This comes first: the API server refuses a cancelled entry in Verifying.
        return give_back::cancel(plan, turn, node);
    }
    let live_attempt = mark.live_attempt().is_some();
    if node.has_rebooted_since(&mark.boot_id) {
        // The machine rebooted by itself.
        let record = verifying_record(plan, turn, node);
        plan.record(entry, record);
        return;
    }
    let object = ObjectRef::Node(node.name.clone());
    if !node.unschedulable {
        let why = Blocker::new(Reason::Uncordoned, object, Detail::Uncordoned);
        return end(plan, turn, node, why, live_attempt);
    }
    let governs = turn
        .governing
        .is_some_and(|governing| governing.name == entry.spec.policy);
    let asked = governs && turn.is_still_asked();
    let policy = turn.policy.filter(|_| asked || live_attempt);
    let Some(policy) = policy else {
        let no_policy = |detail| {
            let policy = ObjectRef::Policy(entry.spec.policy.clone());
            Blocker::new(Reason::NoPolicy, policy, detail)
        };
        return match live_attempt {
            true => plan.wait(entry, no_policy(Detail::PolicyGone)),
            false => give_back::release(plan, turn, node, no_policy(Detail::NotAskedFor)),
        };
    };
    let drained_for = drain::drained_for(plan, turn);
    if 2 * drained_for >= policy.drain.longest()
        && let Some(blocker) = drain::waits_for_power(plan, turn, node)
    {
        // The clock starts again, so these pinned pods have at least half of the time for themselves.
        let mut record = plan.moved_to(entry, Phase::Draining, blocker.reason, &blocker);
        record.phase_at = Some(plan.now.clock);
        plan.record(entry, record);
        return;
    }
    let opens = opening::first_timeout(plan.cluster, plan.memory, &node.name, policy);
    if let Some((timeout, why)) = opens {
        if drained_for >= timeout {
            let must_hold = live_attempt || policy.drain.on_timeout == OnTimeout::Hold;
            return end(plan, turn, node, why, must_hold);
        }
        if !plan.cluster.queue.is_paused() {
            plan.wake_in(timeout - drained_for);
        }
    }
    // A drained node that waits for others does not time out, nor one whose last pods are on their way out.
    let overdue = drained_for.checked_sub(policy.drain.longest());
    if let Some(overdue) = overdue
        && drain::is_something_left(plan, turn, node)
        && !drain::only_terminates(plan, turn, node, overdue)
    {
        let object = drain::blocking_object(plan, turn, node);
        let detail = match entry.record.reason {
            Some(Reason::Evicting) => Detail::NotLeft,
            _ => Detail::Said(entry.record.message.clone()),
        };
        let timed_out = Blocker::new(Reason::DrainTimeout, object, detail);
        let why = drain::in_vain(plan, turn, node).unwrap_or(timed_out);
        let must_hold = live_attempt || policy.drain.on_timeout == OnTimeout::Hold;
        return end(plan, turn, node, why, must_hold);
    }
    if entry.record.refusals >= rebooting::REFUSALS_MAX {
        let detail = Detail::Said(entry.record.message.clone());
        let why = Blocker::new(Reason::PowerRefused, object, detail);
        return end(plan, turn, node, why, live_attempt);
    }
    if let Some(blocker) = pause::check(plan) {
        plan.wait(entry, blocker);
    }
    // While paused the clock of the drain stands still, so there is nothing to wake for.
    let left = policy.drain.longest().saturating_sub(drained_for);
    if !plan.cluster.queue.is_paused() && !left.is_zero() {
        plan.wake_in(left.min(Duration::from_secs(60)));
    }
    if let Some(drained) = drain::advance(plan, turn, node, policy) {
        rebooting::record(plan, turn, node, mark, policy, &drained);
    }
}

/// The process that began the release may have died before it wrote the reason. So the last message of the entry is
/// kept.
fn mark_is_gone(turn: &Turn<'_>) -> Detail {
    let record = &turn.entry.record;
    let before = record.reason.filter(|reason| *reason != Reason::Evicting);
    Detail::MarkGone {
        before: before.map(|reason| format!("{reason}: {}", record.message)),
    }
}

/// Ends the drain without a power action. If `must_hold`, the node stays cordoned and the entry becomes Failed. Otherwise
/// the node is given back.
fn end(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, why: Blocker, must_hold: bool) {
    if !must_hold {
        return give_back::release(plan, turn, node, why);
    }
    plan.move_to(turn.entry, Phase::Failed, why.reason, &why);
}
