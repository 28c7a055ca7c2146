//! "Why is this node not rebooting yet?": every unmet gate of a node, with the object that causes it.

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

/// All that holds a node's turn back. Empty: nothing does, or it has no turn.
///
/// For a Queued entry every gate is evaluated; for one in flight, and for a failed one, its own record says what it
/// waits for.
pub fn explain(cluster: &Cluster, memory: &Memory, now: Now, node: &NodeName) -> Vec<Blocker> {
    let mut plan = PlanBuilder::new(cluster, memory, now);
    let Some(turn) = plan.derived.turns.get(node).copied() else {
        return Vec::new();
    };
    let record = &turn.entry.record;
    let said = || {
        record.reason.map(|reason| {
            Blocker::new(
                reason,
                ObjectRef::Node(node.clone()),
                Detail::Said(record.message.clone()),
            )
        })
    };
    match (record.phase, turn.node, plan.derived.queue) {
        (Phase::Queued, Some(object), Some(queue)) => start::all_unmet(&mut plan, queue, &turn, object),
        (Phase::Queued, _, None) => pause::check(&plan).into_iter().collect(),
        (Phase::Queued, None, _) => {
            vec![Blocker::new(
                Reason::NodeGone,
                ObjectRef::Node(node.clone()),
                Detail::NodeGone,
            )]
        }
        (phase, ..) if phase.is_ended() => Vec::new(),
        _ => said().into_iter().collect(),
    }
}
