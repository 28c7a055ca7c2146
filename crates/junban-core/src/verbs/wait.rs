//! `junban reboot --wait`: how far is what was asked, and is it over (docs/design/life-cycle.md#waiting)?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::derived::Derived;
use crate::entry::{Entry, Phase};
use crate::ids::{EntryName, NodeName, PolicyName};
use crate::memory::Memory;
use crate::node::Node;
use crate::reason::Class;
use crate::time::{Now, Timestamp};

/// A reason that needs a person must hold for so long: it may be there for a moment only.
const BLOCKED_FOR: Duration = Duration::from_secs(10);

/// What is waited for.
#[derive(Debug)]
pub enum Target {
    /// A goal, once the status of each policy has seen the generation that carries it.
    Goal {
        generations: BTreeMap<PolicyName, i64>,
        goal: Timestamp,
    },
    Entries(BTreeSet<EntryName>),
}

/// One look at the cluster.
pub struct Look<'a> {
    /// The entries that count for the target.
    pub entries: Vec<&'a Entry>,
    pub progress: Progress,
}

/// How far the target is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The controller has seen what was asked.
    pub observed: bool,
    /// Why the cluster that was looked at may be old.
    pub stale: Option<String>,
    /// Nodes of a goal, or entries. The next four are parts of it.
    pub total: usize,
    pub done: usize,
    pub cancelled: usize,
    /// Entries that were deleted before anybody saw them end.
    pub deleted: usize,
    /// Nodes that are not done and have no entry for the goal.
    pub without_entry: Vec<NodeName>,
    pub phases: BTreeMap<Phase, usize>,
    /// Entries that are Queued for a reason that passes.
    pub passing: usize,
}

/// How it ended.
#[derive(PartialEq, Eq, Debug)]
pub enum Verdict<'a> {
    Done,
    Failed(Vec<&'a Entry>),
    /// These entries wait for a person.
    Blocked(Vec<&'a Entry>),
    WithoutEntry(&'a [NodeName]),
}

pub fn look<'a>(cluster: &'a Cluster, target: &Target, now: Now) -> Look<'a> {
    let mut look = match target {
        Target::Goal { generations, goal } => at_goal(cluster, generations, *goal, now),
        Target::Entries(names) => at_entries(cluster, names),
    };
    look.progress.stale.clone_from(&cluster.stale);
    for entry in &look.entries {
        *look.progress.phases.entry(entry.record.phase).or_default() += 1;
        let queued = entry.record.phase == Phase::Queued;
        look.progress.passing += usize::from(queued && !needs_somebody(entry));
    }
    look
}

/// Looks at the entries that boots for this goal end, one for each node. What is done follows from nodes and entries: the
/// summary in a policy's status is seconds behind them.
fn at_goal<'a>(
    cluster: &'a Cluster,
    generations: &BTreeMap<PolicyName, i64>,
    goal: Timestamp,
    now: Now,
) -> Look<'a> {
    let derived = Derived::new(cluster, &Memory::default(), now);
    let is_for_goal = |entry: &Entry| entry.spec.booted_after >= goal;
    let is_open = |entry: &Entry| !entry.record.phase.is_ended();
    // An entry that has ended stays its node's turn until its slot is freed. Then another entry of the node follows.
    let to_come = derived.waiting.iter().copied().filter(|entry| {
        let turn = derived.turns.get(&entry.spec.node);
        turn.is_some_and(|turn| turn.phase().is_ended())
    });
    let turns = derived.turns.values().map(|turn| turn.entry);
    let counts = |entry: &&Entry| {
        generations.contains_key(&entry.spec.policy) && (is_for_goal(entry) || is_open(entry))
    };
    let entries: Vec<&Entry> = turns.chain(to_come).filter(counts).collect();
    let open = entries.iter().filter(|entry| is_open(entry));
    let open: BTreeSet<_> = open.map(|entry| &entry.spec.node_uid).collect();
    let succeeded: BTreeSet<_> = cluster
        .entries
        .values()
        .filter(|entry| entry.record.phase == Phase::Succeeded && is_for_goal(entry))
        .map(|entry| &entry.spec.node_uid)
        .collect();
    // A policy that was deleted asks for nothing. The controller may never write the status of a policy that it cannot
    // read: the policy's entries say what they wait for.
    let observed = generations.iter().all(|(name, generation)| {
        let policy = cluster.policies.get(name);
        policy.is_none_or(|policy| policy.summary.observed_generation >= *generation)
            || cluster.unreadable_policies.contains_key(name)
    });
    let mut progress = Progress {
        observed,
        ..Progress::default()
    };
    let is_asked = |node: &&Node| {
        let policy = derived.policy_of(&node.name);
        !node.excluded && policy.is_some_and(|policy| generations.contains_key(&policy.name))
    };
    for node in cluster.nodes.values().filter(is_asked) {
        progress.total += 1;
        let turn = derived.turns.get(&node.name).filter(|turn| turn.node.is_some());
        // A waiver outlives its entry, whose own goal may be an earlier one.
        let is_cancelled = derived.is_waived(node, goal)
            || turn.is_some_and(|turn| turn.phase() == Phase::Cancelled && is_for_goal(turn.entry));
        if derived.has_booted_since(node, goal) || succeeded.contains(&node.uid) {
            progress.done += 1;
        } else if open.contains(&node.uid) {
            // Its entry says how far it is.
        } else if is_cancelled {
            progress.cancelled += 1;
        } else {
            progress.without_entry.push(node.name.clone());
        }
    }
    Look { entries, progress }
}

fn at_entries<'a>(cluster: &'a Cluster, names: &BTreeSet<EntryName>) -> Look<'a> {
    let known = names.iter().filter_map(|name| cluster.entries.get(name));
    let entries: Vec<&Entry> = known.collect();
    let count = |phase: Phase| in_phase(&entries, phase).len();
    let progress = Progress {
        observed: entries.iter().all(|entry| {
            entry.record.observed_generation >= entry.generation || entry.record.phase.is_ended()
        }),
        total: names.len(),
        done: count(Phase::Succeeded),
        cancelled: count(Phase::Cancelled),
        deleted: names.len() - entries.len(),
        ..Progress::default()
    };
    Look { entries, progress }
}

/// Whether an entry waits for a person.
pub fn needs_somebody(entry: &Entry) -> bool {
    let reason = entry.record.reason;
    reason.is_some_and(|reason| reason.class() == Class::NeedsSomebody)
}

fn in_phase<'a>(entries: &[&'a Entry], phase: Phase) -> Vec<&'a Entry> {
    let found = entries.iter().filter(|entry| entry.record.phase == phase);
    found.copied().collect()
}

impl Look<'_> {
    /// How it ended, if it is over. A failure comes before what waits for a person.
    pub fn verdict(&self) -> Verdict<'_> {
        let (failed, queued) = (self.in_phase(Phase::Failed), self.in_phase(Phase::Queued));
        if !failed.is_empty() {
            Verdict::Failed(failed)
        } else if !queued.is_empty() {
            Verdict::Blocked(queued)
        } else if !self.progress.without_entry.is_empty() {
            Verdict::WithoutEntry(&self.progress.without_entry)
        } else {
            Verdict::Done
        }
    }

    pub fn in_phase(&self, phase: Phase) -> Vec<&Entry> {
        in_phase(&self.entries, phase)
    }
}

impl Progress {
    pub fn count(&self, phase: Phase) -> usize {
        self.phases.get(&phase).copied().unwrap_or(0)
    }

    /// Nothing moves, and nothing will move by itself.
    pub fn is_quiet(&self) -> bool {
        let in_flight = self.phases.keys().any(|phase| phase.is_in_flight());
        self.observed && self.stale.is_none() && !in_flight && self.passing == 0
    }

    /// Nothing is left to be done, or what is left has failed.
    pub fn is_complete(&self) -> bool {
        self.is_quiet() && self.count(Phase::Queued) == 0 && self.without_entry.is_empty()
    }

    /// Whether the wait is over after it has been quiet for so long.
    pub fn is_over(&self, quiet_for: Duration) -> bool {
        self.is_complete() || (self.is_quiet() && quiet_for >= BLOCKED_FOR)
    }
}

#[cfg(test)]
mod tests;
