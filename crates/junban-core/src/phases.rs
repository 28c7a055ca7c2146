//! Moves each entry one step along its edges (docs/design/life-cycle.md#edges), and recovers what a crash left behind
//! (docs/design/ledger.md#after-a-crash). Each phase is a file.

mod as_it_went;
pub(crate) mod drain;
mod draining;
mod failed;
mod give_back;
mod leaving;
mod orphan;
mod power_check;
mod queued;
mod rebooting;
mod verifying;
mod writes;

use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::entry::{Phase, Record};
use crate::guard::{self, Guard};
use crate::object::ObjectRef;
use crate::reason::Reason;
use crate::time::Reading;

/// Moves every turn that is under way. A plan writes once for each node, and the answer brings the next plan.
pub(crate) fn advance_all(plan: &mut PlanBuilder<'_>) {
    let turns: Vec<Turn<'_>> = plan.derived.turns.values().copied().collect();
    for turn in &turns {
        if plan.node_is_free(&turn.entry.spec.node) {
            advance(plan, turn);
        }
    }
    orphan::recover_all(plan);
    let waiting = plan.derived.waiting.clone();
    for entry in waiting {
        if plan.node_is_free(&entry.spec.node) {
            queued::beside_another(plan, entry);
        }
    }
}

fn advance(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>) {
    let entry = turn.entry;
    let phase = turn.phase();
    if phase.is_ended() {
        return give_back::after_the_end(plan, turn);
    }
    let Some(node) = turn.node else {
        return writes::end_without_a_node(plan, entry);
    };
    if let Some(Err(text)) = &node.mark {
        plan.wait_for(
            entry,
            Reason::ForeignOwner,
            ObjectRef::Node(node.name.clone()),
            Detail::Said(text.clone()),
        );
        return;
    }
    if node.mark.is_some() && turn.mark.is_none() {
        // The mark is of another entry: `orphan` ends that turn first.
        return;
    }
    if plan.must_tell_rejection(&node.name) {
        // The entry must first say why no write gets through: another record would take the place of this one.
        return;
    }
    if let Some(record) = on_this_clock(plan, &entry.record) {
        plan.record(entry, record);
        return;
    }
    // If the entry has a mark and no slot, the ledger puts the slot back first. Without a queue there is no ledger: nothing
    // new starts, and what has begun is seen through.
    let has_slot = turn.slot.is_some() || plan.derived.queue.is_none();
    if turn.mark.is_some() && !guard::holds(Guard::SlotFirst, has_slot) {
        return;
    }
    match phase {
        Phase::Queued => queued::advance(plan, turn, node),
        Phase::Draining => draining::advance(plan, turn, node),
        Phase::Rebooting => rebooting::advance(plan, turn, node),
        Phase::Verifying => verifying::advance(plan, turn, node),
        Phase::Failed => failed::advance(plan, turn, node),
        Phase::Succeeded | Phase::Cancelled => {}
    }
}

/// The record with its readings set to the clock, if any of them is above the clock (after a crash, or after the Lease
/// was lost). Otherwise a deadline would come late or never (docs/design/life-cycle.md#time).
fn on_this_clock(plan: &PlanBuilder<'_>, record: &Record) -> Option<Record> {
    let clock = plan.now.clock;
    let mut next = record.clone();
    let set = |reading: &mut Reading| {
        reading.led_ms = reading.led_ms.min(clock.led_ms);
        reading.running_ms = reading.running_ms.min(clock.running_ms);
    };
    let optional = [
        &mut next.phase_at,
        &mut next.reason_at,
        &mut next.jobs_at,
        &mut next.settling_at,
    ];
    optional.into_iter().flatten().for_each(set);
    if let Some(back_off) = &mut next.back_off {
        set(&mut back_off.from);
    }
    if let Some(power) = &mut next.power {
        let latest = clock.led_ms + power.boot_timeout_seconds * 1_000;
        power.deadline_led_ms = power.deadline_led_ms.min(latest);
    }
    (next != *record).then_some(next)
}
