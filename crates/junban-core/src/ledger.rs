//! The ledger's arithmetic: slots are put back, freed, dropped and granted in one compare-and-swap on the queue
//! (lifecycle.md 4 and 6).

use std::time::Duration;

use crate::draft::Draft;
use crate::effect::{Effect, Lane, QueueWrite, Read};
use crate::entry::{Entry, Phase};
use crate::facts::{BROKEN_AFTER, Turn, down_for};
use crate::gates;
use crate::guard::{self, Guard};
use crate::ids::{EntryName, NodeName};
use crate::mark::Mark;
use crate::memory::{Fresh, LiveTurn};
use crate::node::Node;
use crate::queue::{Ledger, Queue, Slot};
use crate::reason::{Blocker, Class, Reason};
use crate::status;
use crate::time::Mono;

/// The queue is read live this often while anything is in flight.
const PAUSE_WATCH: Duration = Duration::from_secs(2);
/// A queue without a ledger field: in-flight writes of a predecessor end within this time.
const BEFORE_REBUILD: Duration = Duration::from_secs(5);
/// A live read that does not show yet what the caches show is repeated this much later.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// A slot that was dropped for another reason than its end is granted again this much later.
const AFTER_DROP: Duration = Duration::from_secs(5);

/// Reads the queue live every 2 s while anything is in flight, so that a pause works within 5 s even when the watch
/// is dead and the connection half-open.
pub fn watch_pause(draft: &mut Draft<'_>) {
    let in_flight = draft
        .facts
        .turns
        .values()
        .any(|turn| turn.slot.is_some() && !turn.phase().is_ended());
    if !in_flight {
        return;
    }
    let due = draft
        .memory
        .queue_read
        .as_ref()
        .map_or(draft.now.mono, |read| read.begun + PAUSE_WATCH);
    if due <= draft.now.mono {
        draft.emit(Effect::Read(Read::Queue));
        draft.wake_in(PAUSE_WATCH);
    } else {
        draft.wake_at_mono(due);
    }
}

/// Everything that changes the ledger, in one write.
pub fn settle(draft: &mut Draft<'_>) {
    let Some(queue) = draft.facts.queue else {
        return say_paused(draft);
    };
    let Some(ledger) = &queue.ledger else {
        return rebuild(draft, queue);
    };
    let mut next = ledger.clone();
    let mut dropped = Vec::new();
    let all_back = put_back(draft, &mut next);
    free(draft, ledger, &mut next, &mut dropped);
    if all_back {
        grant(draft, queue, &mut next);
    }
    let changed = next != *ledger;
    if !changed && !status::summary_is_due(draft, queue) {
        return;
    }
    let summary = status::queue_summary(draft, queue, &next);
    if changed || summary != queue.summary {
        let (uid, version) = (queue.uid.clone(), queue.version);
        draft.emit(Effect::WriteQueue(QueueWrite {
            uid,
            version,
            ledger: next,
            summary,
            dropped,
        }));
    }
}

/// No queue object means paused, which each waiting entry says.
fn say_paused(draft: &mut Draft<'_>) {
    for turn in gates::queued(draft) {
        if let Some(blocker) = gates::pause::check(draft) {
            draft.wait(turn.entry, blocker);
        }
    }
}

/// A mark of an entry that is not ended, or with a live attempt, has a slot, whatever the limits. The slot follows
/// the mark where the two name different entries. Put back only for a mark that a live read shows too: the watch of
/// Nodes may be behind the queue's, and a slot for a turn that has ended would hold a place. Returns whether none is
/// waited for; until then nothing is granted.
fn put_back(draft: &mut Draft<'_>, next: &mut Ledger) -> bool {
    let mut all = true;
    for node in draft.cluster.nodes.values() {
        let Some(Ok(mark)) = &node.mark else { continue };
        if !(guard::stands(Guard::PutBack) && needs_slot(draft, mark)) {
            continue;
        }
        let known = next.slots.get(&node.name);
        if known.is_some_and(|slot| slot.entry_uid == mark.entry_uid && slot.node_uid == node.uid) {
            continue;
        }
        if guard::stands(Guard::PutBackLive) && live_mark(draft, node, mark).is_none() {
            all = false;
            continue;
        }
        next.slots.insert(node.name.clone(), slot_of_mark(node, mark));
    }
    all
}

fn needs_slot(draft: &Draft<'_>, mark: &Mark) -> bool {
    let live = draft
        .facts
        .by_uid
        .get(&mark.entry_uid)
        .is_some_and(|entry| !entry.record.phase.is_ended());
    live || mark.live_attempt().is_some()
}

fn slot_of_mark(node: &Node, mark: &Mark) -> Slot {
    Slot {
        node_uid: node.uid.clone(),
        entry: mark.entry.clone(),
        entry_uid: mark.entry_uid.clone(),
        reserved: Vec::new(),
    }
}

fn free(draft: &mut Draft<'_>, ledger: &Ledger, next: &mut Ledger, dropped: &mut Vec<NodeName>) {
    for (name, slot) in &ledger.slots {
        let node = draft
            .cluster
            .nodes
            .get(name)
            .filter(|node| node.uid == slot.node_uid);
        if node.is_some_and(|node| node.mark.is_some()) {
            continue;
        }
        if draft
            .cluster
            .unreadable
            .contains_key(&format!("NodeReboot/{}", slot.entry))
        {
            continue;
        }
        let entry = draft.facts.by_uid.get(&slot.entry_uid).copied();
        let ended = guard::holds(
            Guard::FreeEnded,
            entry.is_none_or(|entry| entry.record.phase.is_ended()),
        );
        let to_drop = match (entry, node, draft.facts.turns.get(name).copied()) {
            (Some(entry), Some(node), Some(turn))
                if entry.record.phase == Phase::Queued && turn.entry.uid == entry.uid =>
            {
                is_to_be_dropped(draft, &turn, node)
            }
            _ => false,
        };
        if (ended || to_drop) && is_free_live(draft, name, slot, ended) {
            next.slots.remove(name);
            if !ended {
                dropped.push(name.clone());
            }
        }
    }
}

/// Freed only after reads of Node and entry begun after the queue version that the write is conditional on.
fn is_free_live(draft: &mut Draft<'_>, name: &NodeName, slot: &Slot, ended: bool) -> bool {
    if !guard::stands(Guard::FreeLive) {
        return true;
    }
    let Some((_, seen)) = draft.memory.queue_version else {
        return false;
    };
    let read = live_turn(draft, name, &slot.entry).filter(|read| read.begun > seen);
    if let Some(read) = read {
        let LiveTurn { node, entry, .. } = &read.value;
        let unmarked = node
            .as_ref()
            .is_none_or(|node| node.uid != slot.node_uid || node.mark.is_none());
        let entry = entry.as_ref().filter(|entry| entry.uid == slot.entry_uid);
        let agrees = entry.map_or(ended, |entry| {
            if ended {
                entry.record.phase.is_ended()
            } else {
                entry.record.phase == Phase::Queued
            }
        });
        if unmarked && agrees {
            return true;
        }
    }
    read_turn(draft, name, &slot.entry);
    false
}

/// The last live read of a node together with this very entry.
fn live_turn<'a>(draft: &Draft<'a>, node: &NodeName, entry: &EntryName) -> Option<&'a Fresh<LiveTurn>> {
    draft
        .memory
        .turns
        .get(node)
        .filter(|read| read.value.asked.as_ref() == Some(entry))
}

/// Reads a Node and its entry live, at most once a second: what was read before an end shows no end for ever.
fn read_turn(draft: &mut Draft<'_>, name: &NodeName, entry: &EntryName) {
    let seen = draft.memory.queue_version.map(|(_, seen)| seen);
    let last = live_turn(draft, name, entry).map(|read| read.begun);
    let cached = draft.cluster.entries.get(entry).map(|entry| entry.version);
    let read = live_turn(draft, name, entry).and_then(|read| Some(read.value.entry.as_ref()?.version));
    let is_news = last <= seen || read < cached;
    match last
        .map(|last| last + READ_AGAIN)
        .filter(|at| draft.now.mono < *at)
    {
        Some(at) if !is_news => draft.wake_at_mono(at),
        _ => {
            draft.emit(Effect::Read(Read::Turn {
                node: name.clone(),
                entry: Some(entry.clone()),
            }));
        }
    }
}

/// Whether live reads show that the entry of a mark is gone; asks for them where there are none.
pub(crate) fn entry_is_gone_live(draft: &mut Draft<'_>, node: &Node, mark: &Mark) -> bool {
    if !guard::stands(Guard::OrphanLive) {
        return true;
    }
    let Some(live) = live_mark(draft, node, mark) else {
        return false;
    };
    let gone = live
        .entry
        .as_ref()
        .is_none_or(|entry| entry.uid != mark.entry_uid);
    if !gone {
        read_turn(draft, &node.name, &mark.entry);
    }
    gone
}

/// Whether a live read that shows the entry shows no Node of its UID; asks for it where there is none.
pub(crate) fn node_is_gone_live(draft: &mut Draft<'_>, entry: &Entry) -> bool {
    let (name, spec) = (&entry.name, &entry.spec);
    let shows_entry = |live: &&LiveTurn| live.entry.as_ref().is_some_and(|live| live.uid == entry.uid);
    let live = live_turn(draft, &spec.node, name).map(|read| &read.value);
    let gone = live.filter(shows_entry).is_some_and(|live| {
        let node = live.node.as_ref();
        node.is_none_or(|node| node.uid != spec.node_uid)
    });
    if !gone {
        read_turn(draft, &spec.node, name);
    }
    gone
}

/// The live read, begun after the queue version that is seen, that shows this very mark; asks for it where there is
/// none.
fn live_mark<'a>(draft: &mut Draft<'a>, node: &Node, mark: &Mark) -> Option<&'a LiveTurn> {
    let seen = draft
        .memory
        .queue_version
        .map_or(Mono::default(), |(_, seen)| seen);
    let read = live_turn(draft, &node.name, &mark.entry)
        .filter(|read| read.begun > seen)
        .map(|read| &read.value)
        .filter(|live| {
            live.node
                .as_ref()
                .is_some_and(|live| live.mark_text == node.mark_text)
        });
    if read.is_none() {
        read_turn(draft, &node.name, &mark.entry);
    }
    read
}

/// A granted slot whose mark is not written yet is given up when a gate closed or the entry backs off. While the
/// control plane is only being looked at nothing is cordoned, and nothing given up.
fn is_to_be_dropped(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node) -> bool {
    let closed = gates::closed_since_grant(draft, turn, node);
    closed.is_some_and(|blocker| blocker.reason != Reason::ControlPlaneTurn)
}

/// A node that is down begins to count as broken by the mere passing of time: no event tells.
fn wake_when_broken(draft: &mut Draft<'_>) {
    for node in draft.cluster.nodes.values().filter(|node| !node.ready) {
        let turn = draft.facts.turns.get(&node.name);
        let left = BROKEN_AFTER.saturating_sub(down_for(node, turn, draft.memory, draft.now));
        if !left.is_zero() {
            draft.wake_in(left);
        }
    }
}

fn grant(draft: &mut Draft<'_>, queue: &Queue, next: &mut Ledger) {
    wake_when_broken(draft);
    let mut tally = gates::Tally::new(draft, queue, next);
    let writable = draft.is_free(&Lane::QueueWrite) || draft.memory.doubts.contains(&Lane::QueueWrite);
    let open = writable && !draft.memory.closing;
    // What stops everything is asked once, not for each entry.
    let stop = gates::pause::check(draft).or_else(|| gates::health::check(draft));
    let mut startable = Vec::new();
    for turn in gates::queued(draft) {
        let Some(node) = turn.node.filter(|node| !next.slots.contains_key(&node.name)) else {
            continue;
        };
        let stopped = stop
            .clone()
            .or_else(|| gates::first_without_pods(draft, &tally, &turn, node));
        match stopped {
            Some(blocker) => {
                tally.control_plane_next |= gates::control_plane::is_next(draft, node, &blocker);
                wait(draft, &turn, node, blocker);
            }
            None if open && !was_dropped(draft, node) => startable.push(turn),
            None => {}
        }
    }
    gates::in_order(draft, &mut startable);
    for turn in startable {
        let Some(node) = turn.node else { continue };
        // Once more: a start before this one may have taken the last place, or closed the group.
        let unmet = gates::first_without_pods(draft, &tally, &turn, node)
            .or_else(|| gates::first_of_pods(draft, &tally, &turn, node));
        match unmet {
            Some(blocker) => wait(draft, &turn, node, blocker),
            None if next.slots.len() < Ledger::SLOTS_MAX => {
                let reserved = tally.grant(draft, &turn, node);
                let slot = Slot {
                    node_uid: node.uid.clone(),
                    entry: turn.entry.name.clone(),
                    entry_uid: turn.entry.uid.clone(),
                    reserved,
                };
                next.slots.insert(node.name.clone(), slot);
            }
            None => {}
        }
    }
}

/// Notes why an entry waits. While all places are taken no pod is looked at, and a budget that can never allow an
/// eviction would be told only when the node's turn comes. So entries that have said nothing yet, or said so, look at
/// that besides.
fn wait(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node, blocker: Blocker) {
    let passes = blocker.reason.class() == Class::Passes;
    draft.wait(turn.entry, blocker);
    let is_asked = |reason: Reason| {
        // A new queue's ledger is made first, and that is all that its entries have said by then.
        reason == Reason::LedgerRebuilding || reason.class() == Class::NeedsSomebody
    };
    if passes
        && turn.entry.record.reason.is_none_or(is_asked)
        && let Some(policy) = turn.governing
        && let Some(never) = gates::budgets::never(draft, node, policy)
    {
        draft.wait(turn.entry, never);
    }
}

/// A slot that was dropped for another reason than its end is granted again 5 s later.
fn was_dropped(draft: &mut Draft<'_>, node: &Node) -> bool {
    let again = draft
        .memory
        .dropped
        .get(&node.name)
        .map(|at| *at + guard::waits(Guard::AfterDrop, AFTER_DROP));
    let Some(at) = again.filter(|at| draft.now.mono < *at) else {
        return false;
    };
    draft.wake_at_mono(at);
    true
}

/// Rebuilds a ledger that is not there from live lists of Nodes and entries, begun at least 5 s after the queue was
/// first read so, before the first grant.
fn rebuild(draft: &mut Draft<'_>, queue: &Queue) {
    let Some(missing) = draft.memory.ledger_missing else {
        return;
    };
    let earliest = missing + guard::waits(Guard::RebuildLater, BEFORE_REBUILD);
    let entries: Vec<_> = draft
        .cluster
        .entries
        .values()
        .filter(|entry| !entry.record.phase.is_ended() && entry.record.phase != Phase::Failed)
        .collect();
    for entry in entries {
        let message = "the ledger is rebuilt from marks and entries";
        draft.wait(
            entry,
            Blocker::new(Reason::LedgerRebuilding, "queue default", message),
        );
    }
    if draft.now.mono < earliest {
        return draft.wake_at_mono(earliest);
    }
    let Some(lists) = draft
        .memory
        .lists
        .as_ref()
        .filter(|lists| lists.begun >= earliest)
    else {
        draft.emit(Effect::Read(Read::Lists));
        return;
    };
    let (nodes, entries) = &lists.value;
    let mut ledger = Ledger::default();
    for node in nodes.iter().filter(|_| guard::stands(Guard::RebuildFromMarks)) {
        if let Some(Ok(mark)) = &node.mark {
            let entry = entries.iter().find(|entry| entry.uid == mark.entry_uid);
            if entry.is_some_and(|entry| !entry.record.phase.is_ended()) || mark.live_attempt().is_some() {
                ledger.slots.insert(node.name.clone(), slot_of_mark(node, mark));
            }
        }
    }
    // A turn that lost its mark still holds its place until it ends.
    for entry in entries {
        let past_power = matches!(entry.record.phase, Phase::Rebooting | Phase::Verifying);
        let node = nodes
            .iter()
            .find(|node| node.name == entry.spec.node && node.uid == entry.spec.node_uid);
        if let (true, Some(node)) = (past_power, node) {
            ledger.slots.entry(node.name.clone()).or_insert_with(|| Slot {
                node_uid: node.uid.clone(),
                entry: entry.name.clone(),
                entry_uid: entry.uid.clone(),
                reserved: Vec::new(),
            });
        }
    }
    let summary = queue.summary.clone();
    let (uid, version) = (queue.uid.clone(), queue.version);
    draft.emit(Effect::WriteQueue(QueueWrite {
        uid,
        version,
        ledger,
        summary,
        dropped: Vec::new(),
    }));
}
