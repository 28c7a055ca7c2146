//! `junban retry`: one more round for a failed entry, or the end of a back-off (docs/design/life-cycle.md#retry).

use crate::cluster::Cluster;
use crate::derived::Derived;
use crate::entry::{Entry, Phase};
use crate::ids::NodeName;
use crate::memory::Memory;
use crate::time::Now;

/// Why nothing is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no Node of that name, and no entry of one.
    NoSuchNode(NodeName),
    NoEntry(NodeName),
    /// The node's last entry has ended.
    Ended(NodeName, Phase),
    /// The node's entry is neither Failed nor backing off.
    NothingToRetry(NodeName, Phase),
}

/// The entries to retry, one for each node. Checks every node before anything is done for one. `has_nodes`: the
/// cluster's nodes are known.
pub fn decide<'a>(
    cluster: &'a Cluster,
    now: Now,
    nodes: &[NodeName],
    has_nodes: bool,
) -> Result<Vec<&'a Entry>, Refusal> {
    let derived = Derived::new(cluster, &Memory::default(), now);
    let entry = |node: &NodeName| {
        let Some(turn) = derived.turns.get(node) else {
            return Err(if has_nodes && !cluster.nodes.contains_key(node) {
                Refusal::NoSuchNode(node.clone())
            } else {
                Refusal::NoEntry(node.clone())
            });
        };
        let phase = turn.phase();
        if may_be_retried(turn.entry) {
            Ok(turn.entry)
        } else if phase.is_ended() {
            Err(Refusal::Ended(node.clone(), phase))
        } else {
            Err(Refusal::NothingToRetry(node.clone(), phase))
        }
    };
    nodes.iter().map(entry).collect()
}

fn may_be_retried(entry: &Entry) -> bool {
    match entry.record.phase {
        Phase::Failed => true,
        Phase::Queued => entry.record.back_off.is_some() || is_asked(entry),
        _ => false,
    }
}

/// Whether a retry was asked for that the controller has not acted on yet.
fn is_asked(entry: &Entry) -> bool {
    entry.spec.retries > entry.record.retries_done
}

/// What is done with one entry, as it was read just now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryDecision {
    /// Set `spec.retries` to this number.
    SetRetries(u32),
    Cancelled,
    AskedBefore,
    /// It has left the phase in which it could be retried.
    TooLate(Phase),
}

pub fn decide_entry(entry: &Entry) -> EntryDecision {
    if entry.spec.cancel {
        EntryDecision::Cancelled
    } else if is_asked(entry) {
        EntryDecision::AskedBefore
    } else if may_be_retried(entry) {
        EntryDecision::SetRetries(entry.spec.retries + 1)
    } else {
        EntryDecision::TooLate(entry.record.phase)
    }
}

#[cfg(test)]
mod tests;
