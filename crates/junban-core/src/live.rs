//! Live reads: where the caches are not enough, the plan asks for a read that bypasses them and decides by what it
//! shows (docs/design/ledger.md#evidence).

use std::time::Duration;

use crate::builder::PlanBuilder;
use crate::effect::{Effect, Read};
use crate::entry::Entry;
use crate::entry::Phase;
use crate::guard::{self, Guard};
use crate::ids::{EntryName, NodeName};
use crate::mark::Mark;
use crate::memory::{Fresh, LiveTurn};
use crate::node::Node;
use crate::queue::Slot;
use crate::time::Mono;

/// While a slot is held, the queue is read live this often.
const QUEUE_EVERY: Duration = Duration::from_secs(2);
/// A live read is repeated after this time.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Reads the queue live every 2 s while a slot is held. So a pause works within 5 s even if the watch is dead and the
/// connection half-open (docs/design/life-cycle.md#pause).
pub(crate) fn watch_pause(plan: &mut PlanBuilder<'_>) {
    let is_slot_held = plan
        .derived
        .turns
        .values()
        .any(|turn| turn.slot.is_some() && !turn.phase().is_ended());
    if !is_slot_held {
        return;
    }
    let due = plan
        .memory
        .reads
        .queue
        .as_ref()
        .map_or(plan.now.mono, |read| read.begun + QUEUE_EVERY);
    if due <= plan.now.mono {
        plan.emit(Effect::Read(Read::Queue));
        plan.wake_in(QUEUE_EVERY);
    } else {
        plan.wake_at_mono(due);
    }
}

/// Whether live reads of Node and entry show that a slot is not needed any more. The reads must have begun after the
/// queue version was seen on which the write is conditional (docs/design/ledger.md#freeing-a-slot). `ended`: by the
/// caches the entry has ended or is gone. Otherwise it must still be Queued.
pub(crate) fn is_free_live(plan: &mut PlanBuilder<'_>, name: &NodeName, slot: &Slot, ended: bool) -> bool {
    if !guard::stands(Guard::FreeLive) {
        return true;
    }
    let Some((_, seen)) = plan.memory.reads.queue_version else {
        return false;
    };
    let read = live_turn(plan, name, &slot.entry).filter(|read| read.begun > seen);
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
    read_turn(plan, name, &slot.entry);
    false
}

/// The last live read of a node together with this entry.
fn live_turn<'a>(plan: &PlanBuilder<'a>, node: &NodeName, entry: &EntryName) -> Option<&'a Fresh<LiveTurn>> {
    plan.memory
        .reads
        .turns
        .get(node)
        .filter(|read| read.value.asked.as_ref() == Some(entry))
}

/// Reads a Node and its entry live. An earlier read cannot show a later end, so the read is repeated: at once if the
/// caches show something newer, else once a second.
fn read_turn(plan: &mut PlanBuilder<'_>, name: &NodeName, entry: &EntryName) {
    let seen = plan.memory.reads.queue_version.map(|(_, seen)| seen);
    let last = live_turn(plan, name, entry).map(|read| read.begun);
    let cached = plan.cluster.entries.get(entry).map(|entry| entry.version);
    let read = live_turn(plan, name, entry).and_then(|read| Some(read.value.entry.as_ref()?.version));
    let is_outdated = last <= seen || read < cached;
    match last
        .map(|last| last + READ_AGAIN)
        .filter(|at| plan.now.mono < *at)
    {
        Some(at) if !is_outdated => plan.wake_at_mono(at),
        _ => {
            plan.emit(Effect::Read(Read::Turn {
                node: name.clone(),
                entry: Some(entry.clone()),
            }));
        }
    }
}

/// Whether a live read shows that the entry of a mark is gone. If there is no such read, it asks for one.
pub(crate) fn entry_is_gone_live(plan: &mut PlanBuilder<'_>, node: &Node, mark: &Mark) -> bool {
    if !guard::stands(Guard::OrphanLive) {
        return true;
    }
    let Some(live) = live_mark(plan, node, mark) else {
        return false;
    };
    let gone = live
        .entry
        .as_ref()
        .is_none_or(|entry| entry.uid != mark.entry_uid);
    if !gone {
        read_turn(plan, &node.name, &mark.entry);
    }
    gone
}

/// Whether a live read shows the entry, and no Node with the UID that the entry names. If there is no such read, it
/// asks for one.
pub(crate) fn node_is_gone_live(plan: &mut PlanBuilder<'_>, entry: &Entry) -> bool {
    let (name, spec) = (&entry.name, &entry.spec);
    let shows_entry = |live: &&LiveTurn| live.entry.as_ref().is_some_and(|live| live.uid == entry.uid);
    let live = live_turn(plan, &spec.node, name).map(|read| &read.value);
    let gone = live.filter(shows_entry).is_some_and(|live| {
        let node = live.node.as_ref();
        node.is_none_or(|node| node.uid != spec.node_uid)
    });
    if !gone {
        read_turn(plan, &spec.node, name);
    }
    gone
}

/// The live read that shows exactly this mark and began after the present queue version was seen. If there is none, it
/// asks for one.
pub(crate) fn live_mark<'a>(plan: &mut PlanBuilder<'a>, node: &Node, mark: &Mark) -> Option<&'a LiveTurn> {
    let seen = plan
        .memory
        .reads
        .queue_version
        .map_or(Mono::default(), |(_, seen)| seen);
    let read = live_turn(plan, &node.name, &mark.entry)
        .filter(|read| read.begun > seen)
        .map(|read| &read.value)
        .filter(|live| {
            live.node
                .as_ref()
                .is_some_and(|live| live.mark_text == node.mark_text)
        });
    if read.is_none() {
        read_turn(plan, &node.name, &mark.entry);
    }
    read
}
