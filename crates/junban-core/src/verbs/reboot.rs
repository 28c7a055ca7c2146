//! `junban reboot`: sets a goal for all nodes, or makes an entry for each node that was named
//! (docs/design/life-cycle.md#asking-twice).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::blocker::Blocker;
use crate::cluster::{Cluster, QueueView};
use crate::derived::Derived;
use crate::entry::{Entry, EntrySpec, Phase};
use crate::goal::{asks_for, entry_name};
use crate::ids::{EntryName, NodeName, PolicyName};
use crate::memory::Memory;
use crate::node::Node;
use crate::policy::Policy;
use crate::reason::{Class, Reason};
use crate::standing::governing;
use crate::time::{Now, Timestamp};

/// The clocks of two API servers may differ by so much: a goal that is no further ahead does not lie in the future.
const SKEW: Duration = Duration::from_secs(5);

/// Why nothing is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no queue object, which counts as paused.
    NoQueue,
    /// The queue object cannot be read, which counts as paused. With the reason.
    UnreadableQueue(String),
    NoPolicy,
    /// There are policies, but none can be read. The name of one, and the reason.
    UnreadablePolicies {
        policy: String,
        why: String,
    },
    /// No policy governs any node, because policies of one priority select a node.
    Conflict(Box<Blocker>),
    /// No policy selects any of so many nodes.
    NothingSelected(usize),
    GoalInFuture {
        policy: PolicyName,
        goal: Timestamp,
        now: Timestamp,
    },
    NoSuchNodes(Vec<NodeName>),
    /// The node is labelled `junban.dev/exclude`.
    Excluded(NodeName),
    /// No policy governs the node.
    NotGoverned(NodeName, Box<Blocker>),
}

/// What `junban reboot --all` does.
#[derive(PartialEq, Eq, Debug)]
pub struct AllDecision {
    /// The goal that is waited for.
    pub goal: Timestamp,
    pub policies: BTreeMap<PolicyName, PolicyDecision>,
}

#[derive(PartialEq, Eq, Debug)]
pub enum PolicyDecision {
    SetGoal,
    /// The policy has this goal, or a later one, and it is being worked on: nothing is changed.
    Join(GoalProgress),
}

/// How far a policy's goal is.
#[derive(PartialEq, Eq, Debug)]
pub struct GoalProgress {
    pub goal: Timestamp,
    /// Nodes that the policy governs, except excluded ones.
    pub nodes: usize,
    /// Of those, nodes that have booted since the goal.
    pub done: usize,
    /// Entries of the policy that have not ended.
    pub open: BTreeMap<Phase, usize>,
}

/// Joins what is being worked on, or sets a new goal on every policy. A policy that an earlier, interrupted call did
/// not reach gets the goal of that call.
pub fn decide_all(cluster: &Cluster, now: Now, again: bool) -> Result<AllDecision, Refusal> {
    has_queue(cluster)?;
    let derived = Derived::new(cluster, &Memory::default(), now);
    some_policy_governs(cluster, &derived)?;
    if !again {
        no_goal_in_the_future(cluster, now.wall)?;
    }
    let under_way = cluster
        .policies
        .values()
        .filter(|policy| !again && is_under_way(cluster, &derived, policy));
    let joined = under_way.filter_map(|policy| policy.booted_after).max();
    let policies = cluster.policies.values().map(|policy| {
        let its = policy
            .booted_after
            .filter(|its| joined.is_some_and(|goal| *its >= goal));
        let decision = its.map_or(PolicyDecision::SetGoal, |goal| {
            PolicyDecision::Join(progress(cluster, &derived, policy, goal))
        });
        (policy.name.clone(), decision)
    });
    Ok(AllDecision {
        goal: joined.unwrap_or(now.wall),
        policies: policies.collect(),
    })
}

fn has_queue(cluster: &Cluster) -> Result<(), Refusal> {
    match &cluster.queue {
        QueueView::Present(_) => Ok(()),
        QueueView::Absent => Err(Refusal::NoQueue),
        QueueView::Unreadable(why) => Err(Refusal::UnreadableQueue(why.clone())),
    }
}

fn some_policy_governs(cluster: &Cluster, derived: &Derived<'_>) -> Result<(), Refusal> {
    if cluster.policies.is_empty() {
        let unreadable = cluster.unreadable_policies.iter().next();
        return Err(
            unreadable.map_or(Refusal::NoPolicy, |(policy, why)| Refusal::UnreadablePolicies {
                policy: policy.to_string(),
                why: why.clone(),
            }),
        );
    }
    if derived.governed.values().any(Result::is_ok) {
        return Ok(());
    }
    let mut blockers = derived
        .governed
        .values()
        .filter_map(|governing| governing.as_ref().err());
    let conflict = blockers.find(|blocker| blocker.reason == Reason::PolicyConflict);
    Err(
        conflict.map_or(Refusal::NothingSelected(cluster.nodes.len()), |blocker| {
            Refusal::Conflict(Box::new(blocker.clone()))
        }),
    )
}

fn no_goal_in_the_future(cluster: &Cluster, now: Timestamp) -> Result<(), Refusal> {
    let ahead = cluster.policies.values().find_map(|policy| {
        let goal = policy.booted_after?;
        let by = Duration::try_from(goal.duration_since(now)).ok()?;
        (by > SKEW).then(|| (policy.name.clone(), goal))
    });
    ahead.map_or(Ok(()), |(policy, goal)| {
        Err(Refusal::GoalInFuture { policy, goal, now })
    })
}

/// Whether a policy's goal is being worked on.
fn is_under_way(cluster: &Cluster, derived: &Derived<'_>, policy: &Policy) -> bool {
    let Some(goal) = policy.booted_after else {
        return false;
    };
    let moves = |entry: &Entry| {
        let passes = entry
            .record
            .reason
            .is_none_or(|reason| reason.class() != Class::NeedsSomebody || reason == Reason::Paused);
        let phase = entry.record.phase;
        phase.is_in_flight() || (phase == Phase::Queued && passes)
    };
    let entry_moves = cluster
        .entries
        .values()
        .any(|entry| entry.spec.policy == policy.name && entry.spec.booted_after <= goal && moves(entry));
    // The controller may never write the status of a policy that it cannot read.
    let is_unseen = policy.summary.observed_generation < policy.generation
        && !cluster.unreadable_policies.contains_key(&policy.name);
    entry_moves || is_unseen || has_node_without_entry(cluster, derived, policy, goal)
}

/// The controller makes entries one after another, so a node of the goal may have none yet.
fn has_node_without_entry(
    cluster: &Cluster,
    derived: &Derived<'_>,
    policy: &Policy,
    goal: Timestamp,
) -> bool {
    nodes_of(cluster, derived, policy).any(|node| {
        let name = entry_name(&node.name, &node.uid, &policy.name, goal);
        asks_for(derived, node, goal)
            && derived.open_turn(&node.name).is_none()
            && !cluster.entries.contains_key(&name)
    })
}

fn nodes_of<'a>(
    cluster: &'a Cluster,
    derived: &'a Derived<'_>,
    policy: &'a Policy,
) -> impl Iterator<Item = &'a Node> {
    let governs = |node: &&Node| {
        let governing = derived.policy_of(&node.name);
        governing.is_some_and(|governing| governing.name == policy.name)
    };
    cluster.nodes.values().filter(governs)
}

fn progress(cluster: &Cluster, derived: &Derived<'_>, policy: &Policy, goal: Timestamp) -> GoalProgress {
    let nodes: Vec<&Node> = nodes_of(cluster, derived, policy)
        .filter(|node| !node.excluded)
        .collect();
    let mut open = BTreeMap::new();
    let turns = derived.turns.values();
    for turn in turns.filter(|turn| turn.entry.spec.policy == policy.name && !turn.phase().is_ended()) {
        *open.entry(turn.phase()).or_default() += 1;
    }
    let booted = nodes.iter().filter(|node| derived.has_booted_since(node, goal));
    GoalProgress {
        goal,
        done: booted.count(),
        nodes: nodes.len(),
        open,
    }
}

/// What `junban reboot NODE` does for one node.
#[derive(PartialEq, Eq, Debug)]
pub enum NodeDecision {
    /// The node has an entry that has not ended: nothing is changed.
    Join(EntryName, Phase, Option<Reason>),
    Create(EntryName, Box<EntrySpec>),
}

/// Checks every node before anything is done for one.
pub fn decide_nodes(
    cluster: &Cluster,
    now: Now,
    nodes: &[NodeName],
    user: &str,
    reason: &str,
) -> Result<Vec<(NodeName, NodeDecision)>, Refusal> {
    has_queue(cluster)?;
    let is_missing = |name: &&NodeName| !cluster.nodes.contains_key(*name);
    let missing: Vec<NodeName> = nodes.iter().filter(is_missing).cloned().collect();
    if !missing.is_empty() {
        return Err(Refusal::NoSuchNodes(missing));
    }
    let derived = Derived::new(cluster, &Memory::default(), now);
    let known = nodes.iter().filter_map(|name| cluster.nodes.get(name));
    known
        .map(|node| {
            let decision = decide_node(cluster, &derived, now.wall, node, user, reason)?;
            Ok((node.name.clone(), decision))
        })
        .collect()
}

fn decide_node(
    cluster: &Cluster,
    derived: &Derived<'_>,
    goal: Timestamp,
    node: &Node,
    user: &str,
    reason: &str,
) -> Result<NodeDecision, Refusal> {
    if let Some(turn) = derived.open_turn(&node.name) {
        let entry = turn.entry;
        return Ok(NodeDecision::Join(
            entry.name.clone(),
            turn.phase(),
            entry.record.reason,
        ));
    }
    if node.excluded {
        return Err(Refusal::Excluded(node.name.clone()));
    }
    let policy = governing(cluster, node)
        .map_err(|blocker| Refusal::NotGoverned(node.name.clone(), Box::new(blocker)))?;
    let spec = EntrySpec {
        reason: reason.to_owned(),
        requested_by: user.to_owned(),
        priority: policy.priority,
        ..EntrySpec::new(node.name.clone(), node.uid.clone(), policy.name.clone(), goal)
    };
    let name = entry_name(&node.name, &node.uid, &policy.name, goal);
    Ok(NodeDecision::Create(name, Box::new(spec)))
}

/// Whether the entry that was found under the name of a new one asks for the same. If so, another call asked for it in
/// the same second (docs/design/life-cycle.md#entry-names).
pub fn asks_for_the_same(wanted: &EntrySpec, found: &EntrySpec) -> bool {
    let key = |spec: &EntrySpec| {
        (
            spec.node.clone(),
            spec.node_uid.clone(),
            spec.policy.clone(),
            spec.booted_after,
        )
    };
    key(wanted) == key(found)
}

#[cfg(test)]
mod tests;
