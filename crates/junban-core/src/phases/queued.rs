//! Queued: nothing is touched before the start. The start writes the slot, then the mark, then the entry.

use super::writes::{end_without_a_node, verifying_record};
use super::{drain, give_back};
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::effect::{Effect, Lane, NodeChange, NodePatch, NodeWrite, mark_id};
use crate::entry::{DrainProgress, Entry, Phase};
use crate::format::Format;
use crate::gates;
use crate::mark::{Daemon, Mark, Prior};
use crate::node::Node;
use crate::object::ObjectRef;
use crate::reason::Reason;
use crate::start;

pub(super) fn advance(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    let entry = turn.entry;
    let live_attempt = turn.mark.and_then(Mark::live_attempt);
    if give_back::is_cancelled(turn, node) {
        return give_back::cancel(plan, turn, node);
    }
    match turn.mark {
        Some(mark) => {
            // A retried entry keeps its slot, mark and cordon, and needs no place.
            if node.has_rebooted_since(mark.boot_id_before()) {
                let record = verifying_record(plan, turn, node);
                plan.record(entry, record);
            } else if live_attempt.is_some() || turn.is_still_asked() {
                begin_to_drain(plan, turn, node);
            } else {
                let why = Blocker::new(Reason::NoPolicy, ObjectRef::None, Detail::NotAskedFor);
                give_back::release(plan, turn, node, why);
            }
        }
        None if plan.derived.has_booted_since(node, entry.spec.booted_after) => {
            succeed_without_an_act(plan, entry, node);
        }
        None if !turn.is_still_asked() => delete(plan, entry),
        None => {
            if turn.slot.is_some() && start::closed_since_grant(plan, turn, node).is_none() {
                mark(plan, turn, node);
            }
        }
    }
}

/// An entry of a node whose turn is another entry: it waits, and succeeds when its goal is met.
pub(super) fn beside_another(plan: &mut PlanBuilder<'_>, entry: &Entry) {
    let node = plan
        .cluster
        .nodes
        .get(&entry.spec.node)
        .filter(|node| node.uid == entry.spec.node_uid);
    let Some(node) = node else {
        return end_without_a_node(plan, entry);
    };
    if entry.record.phase != Phase::Queued {
        return;
    }
    if entry.spec.cancel {
        let mut record = plan.moved_to(entry, Phase::Cancelled, Reason::Cancelled, "cancelled");
        // Only in the record: a waiver on the Node would end the turn as well.
        record.waived = Some(entry.spec.booted_after);
        plan.record(entry, record);
    } else if node.has_waived(entry.spec.booted_after) {
        let mut record = plan.moved_to(entry, Phase::Cancelled, Reason::Waived, "its goal is waived");
        record.waived = node.waived;
        plan.record(entry, record);
    } else if plan.derived.has_booted_since(node, entry.spec.booted_after) && node.mark.is_none() {
        succeed_without_an_act(plan, entry, node);
    } else {
        let (object, detail) = (ObjectRef::Node(node.name.clone()), Detail::OtherEntryFirst);
        plan.wait_for(entry, Reason::AnotherEntry, object, detail);
    }
}

fn succeed_without_an_act(plan: &mut PlanBuilder<'_>, entry: &Entry, node: &Node) {
    let message = "somebody else's boot met the goal";
    let mut record = plan.moved_to(entry, Phase::Succeeded, Reason::GoalMet, message);
    record.boot_id_after.clone_from(&node.boot_id);
    plan.record(entry, record);
}

/// Deletes the entry, to which nothing has happened. A cancelled one would prevent a new entry for the same goal
/// (docs/design/life-cycle.md#goals-lowered-or-removed).
fn delete(plan: &mut PlanBuilder<'_>, entry: &Entry) {
    plan.emit(Effect::DeleteEntry {
        node: entry.spec.node.clone(),
        name: entry.name.clone(),
        uid: entry.uid.clone(),
        version: entry.version,
    });
}

/// Marks and cordons the node and sets the load balancer label, in one patch.
fn mark(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    let entry = turn.entry;
    let Some(boot_id) = node.boot_id.clone() else {
        return;
    };
    let Some(not_after) = plan.not_paused() else {
        return;
    };
    if !holds_slot_live(plan, turn) {
        return;
    }
    let mark = Mark {
        format: Format,
        id: mark_id(&plan.memory.nonce, &entry.uid, node.version),
        entry: entry.name.clone(),
        entry_uid: entry.uid.clone(),
        node_uid: node.uid.clone(),
        policy: entry.spec.policy.clone(),
        booted_after: entry.spec.booted_after,
        prior: Prior {
            cordoned: node.unschedulable,
            excluded_from_load_balancers: node.excluded_from_load_balancers,
        },
        boot_id,
        system_uuid: node.system_uuid.clone(),
        daemons: plan.cluster.pods_of(&node.name).filter_map(Daemon::of).collect(),
        power: None,
        quorum_groups: gates::quorum::groups_of(plan, node),
        found: Some(node.found()),
    };
    let mut changes = vec![NodeChange::Mark(Some(Box::new(mark)))];
    if !node.unschedulable {
        changes.push(NodeChange::Unschedulable(true));
    }
    if !node.excluded_from_load_balancers {
        changes.push(NodeChange::ExcludeFromLoadBalancers(true));
    }
    plan.emit(Effect::PatchNode(NodePatch {
        version: Some(node.version),
        mark_is: Some(None),
        unschedulable_is: Some(node.unschedulable),
        changes,
        not_after: Some(not_after),
        ..NodePatch::new(node, NodeWrite::Start)
    }));
}

/// Whether a read of the queue shows the entry's slot, and no write under way may drop it.
fn holds_slot_live(plan: &PlanBuilder<'_>, turn: &Turn<'_>) -> bool {
    let node = &turn.entry.spec.node;
    if plan.memory.give_backs.dropping.contains(node)
        || plan.memory.lanes.unknown_writes.contains(&Lane::QueueWrite)
    {
        return false;
    }
    let read = plan
        .memory
        .reads
        .queue
        .as_ref()
        .and_then(|read| read.value.present());
    let ledger = read.and_then(|queue| queue.ledger.as_ref());
    ledger
        .and_then(|ledger| ledger.slots.get(node))
        .is_some_and(|slot| slot.entry_uid == turn.entry.uid)
}

fn begin_to_drain(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    let left = drain::pods_left(plan, turn, node);
    let message = "cordoned; its pods leave";
    let mut record = plan.moved_to(turn.entry, Phase::Draining, Reason::Evicting, message);
    record.drain = Some(DrainProgress::after(None, left));
    // This start uses up a retry that ended a back-off. It gives no further round of attempts.
    record.retries_done = turn.entry.spec.retries;
    plan.record(turn.entry, record);
}
