//! `junban cancel`: takes nodes out of the queue (docs/design/life-cycle.md#cancelling-and-giving-up).
//!
//! For a node that was named, the waiver on the Node is written first and the entry is cancelled then. So the goal
//! cannot make another entry in between.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::entry::{Entry, Phase};
use crate::ids::NodeName;
use crate::node::Node;
use crate::standing::governing;
use crate::time::Timestamp;

/// Why nothing is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no Node of that name, and no entry of one.
    NoSuchNode(NodeName),
    /// The node has no entry, or only entries that have ended.
    NothingToCancel(NodeName),
}

/// The entries to cancel, by node.
pub type Chosen<'a> = BTreeMap<&'a NodeName, Vec<&'a Entry>>;

/// The entries of the nodes that were named. Checks every node before anything is done for one. `has_nodes`: the
/// cluster's nodes are known.
pub fn decide_nodes<'a>(
    cluster: &'a Cluster,
    nodes: &[NodeName],
    has_nodes: bool,
) -> Result<Chosen<'a>, Refusal> {
    for node in nodes {
        let mut of_node = cluster
            .entries
            .values()
            .filter(|entry| entry.spec.node == *node)
            .peekable();
        if of_node.peek().is_none() && has_nodes && !cluster.nodes.contains_key(node) {
            return Err(Refusal::NoSuchNode(node.clone()));
        }
        if of_node.all(|entry| entry.record.phase.is_ended()) {
            return Err(Refusal::NothingToCancel(node.clone()));
        }
    }
    Ok(by_node(cluster, |entry| nodes.contains(&entry.spec.node)))
}

/// The entries that `--all` cancels. It leaves Failed ones: giving up uncordons a server that may be broken, so a person
/// must name it.
pub fn decide_all(cluster: &Cluster) -> Chosen<'_> {
    by_node(cluster, |entry| entry.record.phase != Phase::Failed)
}

fn by_node(cluster: &Cluster, is_meant: impl Fn(&Entry) -> bool) -> Chosen<'_> {
    let mut chosen = Chosen::new();
    let open = cluster
        .entries
        .values()
        .filter(|entry| !entry.record.phase.is_ended());
    for entry in open.filter(|entry| is_meant(entry)) {
        chosen.entry(&entry.spec.node).or_default().push(entry);
    }
    chosen
}

/// The newest goal among the entries of a node that a waiver must cover. `None`: all are past their power action, so
/// they are seen through to their end and nothing is waived.
pub fn goal_to_waive(entries: &[&Entry]) -> Option<Timestamp> {
    let is_past = |entry: &&&Entry| matches!(entry.record.phase, Phase::Rebooting | Phase::Verifying);
    let goals = entries.iter().filter(|entry| !is_past(entry));
    goals.map(|entry| entry.spec.booted_after).max()
}

/// The waiver to write on the Node before its entries are cancelled, if one is needed. If the policy's goal was raised
/// to a later time that is due, the waiver covers that goal as well: the boot to come would have counted for both.
pub fn waiver(cluster: &Cluster, now: Timestamp, node: &Node, entries: &[&Entry]) -> Option<Timestamp> {
    let own = goal_to_waive(entries)?;
    let policy = governing(cluster, node).ok();
    let raised = policy
        .and_then(|policy| policy.booted_after)
        .filter(|goal| *goal <= now);
    let goal = raised.map_or(own, |raised| raised.max(own));
    let is_same_node = entries
        .first()
        .is_some_and(|first| first.spec.node_uid == node.uid);
    (is_same_node && !node.has_waived(goal)).then_some(goal)
}

/// What is done with one entry, as it was read just now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryDecision {
    /// Set `spec.cancel`.
    Cancel,
    /// The controller has acted on the waiver already.
    EndedByWaiver,
    Ended(Phase),
    CancelledBefore,
}

pub fn decide_entry(entry: &Entry) -> EntryDecision {
    match entry.record.phase {
        Phase::Cancelled => EntryDecision::EndedByWaiver,
        phase if phase.is_ended() => EntryDecision::Ended(phase),
        _ if entry.spec.cancel => EntryDecision::CancelledBefore,
        _ => EntryDecision::Cancel,
    }
}

/// Whether the API server's refusal of `spec.cancel` means that the entry has passed its power action: the schema allows
/// no cancelled entry in Rebooting or Verifying. `chosen_in`: the phase in which the entry was chosen.
pub fn is_seen_through(chosen_in: Phase) -> bool {
    chosen_in.is_in_flight() || chosen_in == Phase::Queued
}

#[cfg(test)]
mod tests;
