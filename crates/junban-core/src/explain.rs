//! "Why is this node not rebooting yet?": every unmet gate of a node, with the object that causes it.

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::entry::Phase;
use crate::gates::{self, Tally};
use crate::ids::NodeName;
use crate::memory::Memory;
use crate::reason::{Blocker, Reason};
use crate::time::Now;

/// All that holds a node's turn back. Empty: nothing does, or it has no turn.
///
/// For a Queued entry every gate is evaluated; for one in flight, and for a failed one, its own record says what it
/// waits for.
pub fn explain(cluster: &Cluster, memory: &Memory, now: Now, node: &NodeName) -> Vec<Blocker> {
    let mut draft = Draft::new(cluster, memory, now);
    let Some(turn) = draft.facts.turns.get(node).copied() else {
        return Vec::new();
    };
    let record = &turn.entry.record;
    let said = || {
        record
            .reason
            .map(|reason| Blocker::new(reason, format!("node {node}"), record.message.clone()))
    };
    match (record.phase, turn.node, draft.facts.queue) {
        (Phase::Queued, Some(object), Some(queue)) => {
            let ledger = queue.ledger.clone().unwrap_or_default();
            let tally = Tally::new(&draft, queue, &ledger);
            gates::all_unmet(&mut draft, &tally, &turn, object)
        }
        (Phase::Queued, _, None) => gates::pause::check(&draft).into_iter().collect(),
        (Phase::Queued, None, _) => {
            vec![Blocker::new(
                Reason::NodeGone,
                format!("node {node}"),
                "the Node is gone or another one",
            )]
        }
        (phase, ..) if phase.is_ended() => Vec::new(),
        _ => said().into_iter().collect(),
    }
}
