//! Why is this node not rebooting yet? Every gate that is not met, with the object that causes it.

use std::collections::BTreeMap;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::entry::Phase;
use crate::gates::pause;
use crate::ids::{EntryName, NodeName};
use crate::memory::Memory;
use crate::object::ObjectRef;
use crate::reason::{Class, Reason};
use crate::time::Now;
use crate::{start, status};

/// What the queue, the policies, the entries and the nodes show now of Queued entries whose stored reason is of a gate
/// that needs no more than these. `None`: that gate has opened, and no other one of this kind is closed.
pub fn of_queued(cluster: &Cluster, memory: &Memory, now: Now) -> BTreeMap<EntryName, Option<Blocker>> {
    let mut plan = PlanBuilder::new(cluster, memory, now);
    let Some(queue) = plan.derived.queue else {
        return BTreeMap::new();
    };
    let turns: Vec<_> = plan.derived.turns.values().copied().collect();
    let mut found = BTreeMap::new();
    for turn in turns {
        let stored = turn.entry.record.reason.filter(|_| turn.phase() == Phase::Queued);
        if let (Some(stored), Some(node)) = (stored, turn.node)
            && start::is_known_without_pods(stored)
        {
            let unmet = start::unmet_without_pods(&mut plan, queue, &turn, node);
            let rank =
                |blocker: &&Blocker| (blocker.reason != stored, blocker.reason.class() == Class::Passes);
            let first = unmet.iter().min_by_key(rank).cloned();
            found.insert(turn.entry.name.clone(), first.filter(|_| turn.slot.is_none()));
        }
    }
    found
}

/// The nodes that hold places now, and what holds each.
pub fn holding(cluster: &Cluster, memory: &Memory, now: Now) -> Vec<String> {
    let plan = PlanBuilder::new(cluster, memory, now);
    let ledger = plan.derived.ledger;
    ledger.map_or_else(Vec::new, |ledger| status::holding(&plan, ledger))
}

/// Everything that a node's turn waits for. Empty: nothing, or the node has no turn. For a Queued entry every gate is
/// asked. The record of an entry that is in flight or Failed says what it waits for.
pub fn explain(cluster: &Cluster, memory: &Memory, now: Now, node: &NodeName) -> Vec<Blocker> {
    let mut plan = PlanBuilder::new(cluster, memory, now);
    let Some(turn) = plan.derived.turns.get(node).copied() else {
        return Vec::new();
    };
    let record = &turn.entry.record;
    let of_node = |reason, detail| Blocker::new(reason, ObjectRef::Node(node.clone()), detail);
    match (record.phase, turn.node, plan.derived.queue) {
        (Phase::Queued, Some(object), Some(queue)) => start::all_unmet(&mut plan, queue, &turn, object),
        (Phase::Queued, _, None) => pause::check(&plan).into_iter().collect(),
        (Phase::Queued, None, _) => vec![of_node(Reason::NodeGone, Detail::NodeGone)],
        (phase, ..) if phase.is_ended() => Vec::new(),
        _ => {
            let recorded = |reason| of_node(reason, Detail::Said(record.message.clone()));
            record.reason.map(recorded).into_iter().collect()
        }
    }
}
