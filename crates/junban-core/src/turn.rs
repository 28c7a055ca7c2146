//! The turns: one step of each entry along the edges of lifecycle.md 2, and the rows of lifecycle.md 6 that say who
//! is right after a crash. Each phase is a file.

mod act;
mod drain_turn;
mod failed;
mod give_back;
mod orphan;
mod power;
mod queued;
mod verify;

use crate::draft::Draft;
use crate::effect::{Effect, NodeChange, NodePatch, NodeWrite};
use crate::entry::{Entry, Phase, Record};
use crate::facts::Turn;
use crate::guard::{self, Guard};
use crate::ledger;
use crate::mark::{Mark, MarkPower};
use crate::reason::{Blocker, Reason};
use crate::time::Reading;

/// Moves every turn that is under way. One write per node and plan: the answer brings the next.
pub(crate) fn advance_all(draft: &mut Draft<'_>) {
    let turns: Vec<Turn<'_>> = draft.facts.turns.values().copied().collect();
    for turn in &turns {
        if draft.node_is_free(&turn.entry.spec.node) {
            advance(draft, turn);
        }
    }
    orphan::recover_all(draft);
    let waiting = draft.facts.waiting.clone();
    for entry in waiting {
        if draft.node_is_free(&entry.spec.node) {
            queued::beside_another(draft, entry);
        }
    }
}

fn advance(draft: &mut Draft<'_>, turn: &Turn<'_>) {
    let entry = turn.entry;
    let phase = turn.phase();
    if phase.is_ended() {
        return give_back::after_the_end(draft, turn);
    }
    // Any not ended, when its Node is gone or has another UID: Cancelled; its slot is freed.
    let Some(node) = turn.node else {
        return end_without_a_node(draft, entry);
    };
    if let Some(Err(text)) = &node.mark {
        draft.wait(
            entry,
            Blocker::new(Reason::ForeignOwner, format!("node {}", node.name), text.clone()),
        );
        return;
    }
    if node.mark.is_some() && turn.mark.is_none() {
        // Another entry's mark: `orphan` brings that to its end first.
        return;
    }
    if draft.is_to_be_told(&node.name) {
        // Nor is there room for a record that says something else.
        return;
    }
    if let Some(record) = on_this_clock(draft, &entry.record) {
        draft.record(entry, record);
        return;
    }
    // A mark of this entry without a slot: the slot is put back before anything else (`ledger::settle`). Where there is
    // no queue there is none to be put back into, and nothing starts: what has begun is seen through.
    let has_slot = turn.slot.is_some() || draft.facts.queue.is_none();
    if turn.mark.is_some() && !guard::holds(Guard::SlotFirst, has_slot) {
        return;
    }
    match phase {
        Phase::Queued => queued::advance(draft, turn, node),
        Phase::Draining => drain_turn::advance(draft, turn, node),
        Phase::Rebooting => power::advance(draft, turn, node),
        Phase::Verifying => verify::advance(draft, turn, node),
        Phase::Failed => failed::advance(draft, turn, node),
        Phase::Succeeded | Phase::Cancelled => {}
    }
}

/// The Node is gone or has another UID. The watch of Nodes may be behind that of entries: a live read must say so, too.
fn end_without_a_node(draft: &mut Draft<'_>, entry: &Entry) {
    if ledger::node_is_gone_live(draft, entry) {
        let message = "the Node is gone or another one";
        let record = draft.moved_to(entry, Phase::Cancelled, Reason::NodeGone, message);
        draft.record(entry, record);
    }
}

/// A stored reading above the clock (a crash, a Lease that is gone) is set to the clock: else its deadline would come
/// late or never (lifecycle.md 3).
fn on_this_clock(draft: &Draft<'_>, record: &Record) -> Option<Record> {
    let clock = draft.now.clock;
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

/// A Node patch that holds only while the mark is exactly the one read.
fn patch_on_mark(node: &crate::node::Node, what: NodeWrite) -> NodePatch {
    NodePatch {
        node: node.name.clone(),
        uid: node.uid.clone(),
        version: None,
        mark_is: Some(node.mark_text.clone()),
        unschedulable_is: None,
        changes: Vec::new(),
        what,
        not_after: None,
        why: None,
    }
}

/// `void: ATTEMPT`: surely nothing was started by this attempt, and nothing will be.
fn void_mark(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &crate::node::Node, mark: &Mark, why: &str) {
    let mut patch = patch_on_mark(node, NodeWrite::Void);
    patch.why = Some(Blocker::new(Reason::Evicting, format!("node {}", node.name), why));
    patch
        .changes
        .push(NodeChange::Mark(Some(with_attempt(turn, mark, true))));
    draft.emit(Effect::PatchNode(patch));
}

/// The mark with the attempt that the record names.
fn with_attempt(turn: &Turn<'_>, mark: &Mark, void: bool) -> Mark {
    let record = &turn.entry.record;
    let before = record.boot_id_before.as_ref().unwrap_or(&mark.boot_id);
    Mark {
        power: Some(MarkPower {
            attempt: record.attempt,
            boot_id_before: before.clone(),
            deadline_led_ms: record.power.as_ref().map_or(0, |power| power.deadline_led_ms),
            void,
            earlier: power::has_earlier(mark, record.attempt),
        }),
        ..mark.clone()
    }
}

/// The record of a turn that goes on in Verifying: its bootID has changed.
fn verifying_record(draft: &Draft<'_>, turn: &Turn<'_>, node: &crate::node::Node) -> Record {
    let mut record = draft.moved_to(
        turn.entry,
        Phase::Verifying,
        Reason::NodeNotReady,
        "the bootID has changed; proof is under way",
    );
    record.boot_id_after.clone_from(&node.boot_id);
    record.settling_at = None;
    record.back_off = None;
    if let (Some(power), Phase::Rebooting) = (&record.power, turn.phase()) {
        let begun = power
            .deadline_led_ms
            .saturating_sub(power.boot_timeout_seconds * 1_000);
        record.boot_ms = Some(draft.now.clock.led_ms.saturating_sub(begun));
    }
    record
}
