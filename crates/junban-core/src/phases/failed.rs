//! Failed: the node stays cordoned and unavailable, and an alert fires. If the machine comes back, it is verified. A
//! person may retry the entry or give it up (docs/design/life-cycle.md#retry).

use super::writes::verifying_record;
use super::{give_back, verifying};
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::effect::Lane;
use crate::entry::Phase;
use crate::gates;
use crate::mark::Mark;
use crate::node::Node;
use crate::reason::Reason;

pub(super) fn advance(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    if !plan.is_free(&Lane::QueueWrite) {
        // A start that is being written may rest on this node being broken. The answer brings the next plan.
        return;
    }
    let entry = turn.entry;
    let record = &entry.record;
    if entry.spec.cancel {
        // A waiver alone does not give it up: it may have been written for an entry that was still draining.
        return give_back::give_up(plan, turn, node);
    }
    if entry.spec.retries > record.retries_done {
        if let Some(blocker) = gates::control_plane::before_retry(plan, turn, node) {
            return plan.wait(entry, blocker);
        }
        let message = "retried: one more round of attempts";
        let mut queued = plan.moved_to(entry, Phase::Queued, Reason::Evicting, message);
        queued.retries_done = entry.spec.retries;
        queued.attempts_used = 0;
        queued.refusals = 0;
        queued.back_off = None;
        queued.jobs_at = None;
        queued.restarts = 0;
        plan.record(entry, queued);
        return;
    }
    let before = turn
        .mark
        .map(Mark::boot_id_before)
        .or(record.boot_id_before.as_ref());
    let rebooted = before.is_some_and(|before| node.has_rebooted_since(before));
    // The reason alone does not decide: another message may have replaced it.
    let is_another_machine = record.reason == Some(Reason::MachineChanged)
        || turn.mark.is_some_and(|mark| mark.system_uuid != node.system_uuid);
    if !rebooted || is_another_machine || record.is_boot_loop() {
        // If another machine has the name, or the server restarts again and again, a person decides.
        return;
    }
    let was_verified = record.boot_id_after.is_some() && record.boot_id_after == node.boot_id;
    let rules = verifying::rules(turn);
    // If this boot has failed its proof before, all of the proof except settle must hold now.
    if !was_verified || verifying::unproven(plan, node, turn.mark, &rules).is_none() {
        let next = verifying_record(plan, turn, node);
        plan.record(entry, next);
    }
}
