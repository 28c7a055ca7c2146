//! Until one node of a policy and goal is proven, its nodes go one at a time (docs/design/life-cycle.md#first-proof).

use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::goal_key;
use crate::detail::Detail;
use crate::entry::{Entry, Phase};
use crate::gates::Candidate;
use crate::ids::NodeName;
use crate::mark::Mark;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::reason::Reason;
use crate::time::Timestamp;

/// A drain that has been blocked for this long lets the next node begin to drain.
const BLOCKED_FOR: Duration = Duration::from_secs(60);
/// For entries that people asked for by name, a proof of the policy within this time is the first proof.
const PROOF_LASTS: Duration = Duration::from_secs(24 * 3_600);

/// Whether the entry may begin to drain.
pub fn before_start(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let Candidate { turn, tally, .. } = candidate;
    if is_proven(plan, turn.entry) {
        return None;
    }
    for other in others(plan, turn.entry) {
        let blocked_for = other.record.blocked_for(plan.now.clock);
        if blocked_for.is_some_and(|span| span >= BLOCKED_FOR) {
            continue;
        }
        if let Some(span) = blocked_for {
            plan.wake_in(BLOCKED_FOR - span);
        }
        return Some(waits_for(&other.spec.node));
    }
    if let Some((node, _)) = orphans(plan, turn.entry).next() {
        return Some(waits_for(&node.name));
    }
    let granted = plan.derived.turns.values().find(|other| {
        tally.granted.contains(&other.entry.uid) && goal_key(other.entry) == goal_key(turn.entry)
    });
    granted.map(|other| waits_for(&other.entry.spec.node))
}

/// Whether a drained entry may be powered.
pub fn before_power(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let turn = candidate.turn;
    if is_proven(plan, turn.entry) {
        return None;
    }
    let powered = others(plan, turn.entry).into_iter().find(|other| {
        matches!(other.record.phase, Phase::Rebooting | Phase::Verifying) || plan.is_being_recorded(other)
    });
    let orphan = orphans(plan, turn.entry).find(|(_, mark)| mark.live_attempt().is_some());
    powered
        .map(|other| &other.spec.node)
        .or(orphan.map(|(node, _)| &node.name))
        .map(waits_for)
}

fn waits_for(node: &NodeName) -> Blocker {
    let (object, detail) = (ObjectRef::Node(node.clone()), Detail::FirstProof(node.clone()));
    Blocker::new(Reason::FirstProof, object, detail)
}

/// Other active entries of the same policy and goal.
fn others<'a>(plan: &PlanBuilder<'a>, entry: &Entry) -> Vec<&'a Entry> {
    let turns = plan.derived.turns.values();
    turns
        .filter(|turn| plan.derived.is_active(turn))
        .filter(|turn| turn.entry.uid != entry.uid && goal_key(turn.entry) == goal_key(entry))
        .map(|turn| turn.entry)
        .collect()
}

/// Turns of the same policy and goal whose entry is gone.
fn orphans<'a>(plan: &PlanBuilder<'a>, entry: &Entry) -> impl Iterator<Item = (&'a Node, &'a Mark)> {
    let orphans = plan.derived.orphans.iter().copied();
    let (policy, goal) = goal_key(entry);
    // A mark does not say whether a person asked by name.
    orphans
        .filter(move |(_, mark)| mark.policy == *policy && goal.is_none_or(|goal| goal == mark.booted_after))
}

fn is_proven(plan: &PlanBuilder<'_>, entry: &Entry) -> bool {
    let (policy, goal) = goal_key(entry);
    let recent = |ended: &Timestamp| {
        Duration::try_from(plan.now.wall.duration_since(*ended)).is_ok_and(|ago| ago <= PROOF_LASTS)
    };
    let mut proven = plan.derived.proven.iter();
    match goal {
        Some(goal) => plan.derived.proven.contains_key(&(policy.clone(), goal)),
        None => proven.any(|((of, _), ended)| of == policy && recent(ended)),
    }
}
