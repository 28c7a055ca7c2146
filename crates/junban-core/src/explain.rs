//! Why is this node not rebooting yet? Every gate that is not met, with the object that causes it.

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::entry::Phase;
use crate::gates::pause;
use crate::ids::NodeName;
use crate::memory::Memory;
use crate::object::ObjectRef;
use crate::reason::Reason;
use crate::start;
use crate::time::Now;

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
