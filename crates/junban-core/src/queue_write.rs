//! The one write of the queue's status: all changes of the ledger and the summary, in one compare-and-swap
//! (docs/design/ledger.md#ledger-mark-and-record).

use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::effect::{Effect, QueueWrite, Read};
use crate::entry::Phase;
use crate::guard::{self, Guard};
use crate::ids::NodeName;
use crate::ledger;
use crate::object::ObjectRef;
use crate::queue::{Ledger, Queue, QueueSummary};
use crate::reason::Reason;
use crate::schedule::Schedule;
use crate::{start, status};

/// If the queue has no ledger, writes of a previous leader may still be under way. They arrive within this time.
const BEFORE_REBUILD: Duration = Duration::from_secs(5);

/// Puts slots back, frees, drops and grants slots, and writes the queue if anything changed.
pub(crate) fn settle(plan: &mut PlanBuilder<'_>, schedule: &Schedule) {
    let Some(queue) = plan.derived.queue else {
        return start::note_paused(plan);
    };
    let Some(ledger) = &queue.ledger else {
        return rebuild(plan, queue);
    };
    let mut next = ledger.clone();
    // A pause of its own holds the queue as well, and whoever ends that pause decides.
    next.held &= !queue.paused && !queue.resumed;
    let all_back = ledger::put_back(plan, &mut next);
    let dropped = ledger::free(plan, ledger, &mut next);
    if all_back {
        start::grant(plan, schedule, queue, &mut next);
    }
    let changed = next != *ledger;
    if !changed && !status::summary_is_due(plan, queue) {
        return;
    }
    let summary = status::queue_summary(plan, queue, &next);
    if changed || summary != queue.summary {
        write(plan, queue, next, summary, dropped);
    }
}

/// Rebuilds a missing ledger before the first grant. The live lists begin at least 5 s after the queue was first seen
/// without a ledger (docs/design/ledger.md#rebuilding-the-ledger).
fn rebuild(plan: &mut PlanBuilder<'_>, queue: &Queue) {
    let Some(missing) = plan.memory.reads.ledger_missing else {
        return;
    };
    let earliest = missing + guard::waits(Guard::RebuildLater, BEFORE_REBUILD);
    for entry in plan.cluster.entries.values() {
        let phase = entry.record.phase;
        if !phase.is_ended() && phase != Phase::Failed {
            let (queue, detail) = (ObjectRef::Queue, Detail::LedgerMissing);
            plan.wait(entry, Blocker::new(Reason::LedgerRebuilding, queue, detail));
        }
    }
    if plan.now.mono < earliest {
        return plan.wake_at_mono(earliest);
    }
    let lists = plan.memory.reads.lists.as_ref();
    let Some(lists) = lists.filter(|lists| lists.begun >= earliest) else {
        plan.emit(Effect::Read(Read::Lists));
        return;
    };
    let (nodes, entries) = &lists.value;
    let ledger = ledger::rebuilt(queue, plan.memory.queue_was_paused, nodes, entries);
    write(plan, queue, ledger, queue.summary.clone(), Vec::new());
}

fn write(
    plan: &mut PlanBuilder<'_>,
    queue: &Queue,
    ledger: Ledger,
    summary: QueueSummary,
    dropped: Vec<NodeName>,
) {
    plan.emit(Effect::WriteQueue(QueueWrite {
        uid: queue.uid.clone(),
        version: queue.version,
        ledger,
        summary,
        dropped,
    }));
}
