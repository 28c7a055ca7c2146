//! Which slots are put back, freed or dropped, and how a missing ledger is rebuilt
//! (docs/design/ledger.md#after-a-crash).

use crate::builder::PlanBuilder;
use crate::entry::{Entry, Phase};
use crate::guard::{self, Guard};
use crate::ids::{EntryName, EntryUid, NodeName};
use crate::live;
use crate::mark::Mark;
use crate::node::Node;
use crate::queue::{Ledger, Queue, Slot};
use crate::reason::Reason;
use crate::start;

/// Puts back the slots of marks whatever the limits say. A mark of an entry that has not ended, or with an attempt that
/// may have been started, has a slot. If slot and mark name different entries, the slot gets the entry of the mark.
///
/// A live read must show the mark as well: the watch of Nodes may be behind the watch of the queue, and a slot for a
/// turn that has ended would hold a place. Returns whether all live reads are there; until then nothing is granted.
pub(crate) fn put_back(plan: &mut PlanBuilder<'_>, next: &mut Ledger) -> bool {
    let mut all = true;
    for node in plan.cluster.nodes.values() {
        let Some(Ok(mark)) = &node.mark else { continue };
        let entry = plan.cluster.entry(&mark.entry, &mark.entry_uid);
        if !(guard::stands(Guard::PutBack) && needs_slot(entry, mark)) {
            continue;
        }
        let known = next.slots.get(&node.name);
        if known.is_some_and(|slot| slot.entry_uid == mark.entry_uid && slot.node_uid == node.uid) {
            continue;
        }
        if guard::stands(Guard::PutBackLive) && live::live_mark(plan, node, mark).is_none() {
            all = false;
            continue;
        }
        next.slots.insert(node.name.clone(), slot_of_mark(node, mark));
    }
    all
}

fn needs_slot(entry: Option<&Entry>, mark: &Mark) -> bool {
    entry.is_some_and(|entry| !entry.record.phase.is_ended()) || mark.live_attempt().is_some()
}

fn slot_of_mark(node: &Node, mark: &Mark) -> Slot {
    slot(node, &mark.entry, &mark.entry_uid)
}

fn slot(node: &Node, entry: &EntryName, entry_uid: &EntryUid) -> Slot {
    Slot {
        node_uid: node.uid.clone(),
        entry: entry.clone(),
        entry_uid: entry_uid.clone(),
        reserved: Vec::new(),
    }
}

/// Removes the slots of entries that have ended, and drops the slots of queued entries for which a gate has closed
/// since the grant. Returns the nodes whose slot is dropped.
pub(crate) fn free(plan: &mut PlanBuilder<'_>, ledger: &Ledger, next: &mut Ledger) -> Vec<NodeName> {
    let mut dropped = Vec::new();
    for (name, slot) in &ledger.slots {
        let node = plan.cluster.nodes.get(name);
        let node = node.filter(|node| node.uid == slot.node_uid);
        let is_marked = node.is_some_and(|node| node.mark.is_some());
        if is_marked || plan.cluster.unreadable_entries.contains_key(&slot.entry) {
            continue;
        }
        let entry = plan.cluster.entry(&slot.entry, &slot.entry_uid);
        let ended = guard::holds(
            Guard::FreeEnded,
            entry.is_none_or(|entry| entry.record.phase.is_ended()),
        );
        let turn = plan.derived.turns.get(name).copied();
        let turn = turn.filter(|turn| turn.phase() == Phase::Queued && turn.entry.uid == slot.entry_uid);
        let is_dropped = match (turn, node) {
            // While the health of the control plane is being read, the slot is kept.
            (Some(turn), Some(node)) => start::closed_since_grant(plan, &turn, node)
                .is_some_and(|blocker| blocker.reason != Reason::ControlPlaneChecking),
            _ => false,
        };
        if (ended || is_dropped) && live::is_free_live(plan, name, slot, ended) {
            next.slots.remove(name);
            if !ended {
                dropped.push(name.clone());
            }
        }
    }
    dropped
}

/// The ledger that live lists of Nodes and entries show: a slot for each mark that needs one, and for each entry in
/// Rebooting or Verifying even without a mark (docs/design/ledger.md#rebuilding-the-ledger).
///
/// What was paused stays paused: the queue is held if the queue before it was paused, or if entries wait that are older
/// than the queue.
pub(crate) fn rebuilt(queue: &Queue, was_paused: bool, nodes: &[Node], entries: &[Entry]) -> Ledger {
    let waits = |entry: &Entry| {
        matches!(entry.record.phase, Phase::Queued | Phase::Draining) && entry.created < queue.created
    };
    let mut ledger = Ledger {
        held: !queue.paused && (was_paused || entries.iter().any(waits)),
        ..Ledger::default()
    };
    for node in nodes.iter().filter(|_| guard::stands(Guard::RebuildFromMarks)) {
        if let Some(Ok(mark)) = &node.mark
            && needs_slot(entries.iter().find(|entry| entry.uid == mark.entry_uid), mark)
        {
            ledger.slots.insert(node.name.clone(), slot_of_mark(node, mark));
        }
    }
    let is_past_power = |entry: &&Entry| matches!(entry.record.phase, Phase::Rebooting | Phase::Verifying);
    for entry in entries.iter().filter(is_past_power) {
        let spec = &entry.spec;
        let is_its_node = |node: &&Node| node.name == spec.node && node.uid == spec.node_uid;
        if let Some(node) = nodes.iter().find(is_its_node) {
            let slots = ledger.slots.entry(node.name.clone());
            slots.or_insert_with(|| slot(node, &entry.name, &entry.uid));
        }
    }
    ledger
}
