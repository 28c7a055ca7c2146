//! Is the entry's goal due, and did the node boot longer than `minInterval` ago?

use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::gates::Candidate;
use crate::object::ObjectRef;
use crate::reason::Reason;

/// Whether the goal is due.
pub fn due(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let policy = *candidate.policy.as_ref().ok()?;
    let goal = candidate.turn.entry.spec.booted_after;
    let left = Duration::try_from(goal.duration_since(plan.now.wall)).ok()?;
    (!left.is_zero()).then(|| {
        plan.wake_in(left);
        Blocker::new(
            Reason::NotDue,
            ObjectRef::Policy(policy.name.clone()),
            Detail::DueAt(goal),
        )
    })
}

/// Whether `minInterval` has passed since the node's boot.
pub fn min_interval(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let policy = *candidate.policy.as_ref().ok()?;
    let Candidate { turn, node, .. } = candidate;
    let object = ObjectRef::Policy(policy.name.clone());
    let waits = turn.entry.record.retries_done == 0 && !policy.min_interval.is_zero();
    let journal = node.journal.as_ref().filter(|_| waits);
    if journal.is_some() && node.current_journal().is_none() {
        return Some(Blocker::new(Reason::MinInterval, object, Detail::JournalBehind));
    }
    if let Some(booted) = journal.and_then(|journal| journal.not_before)
        && let Ok(ago) = Duration::try_from(plan.now.wall.duration_since(booted))
        && ago < policy.min_interval
    {
        plan.wake_in(policy.min_interval - ago);
        let until = booted.checked_add(policy.min_interval).unwrap_or(booted);
        let detail = Detail::BootedAt { booted, until };
        return Some(Blocker::new(Reason::MinInterval, object, detail));
    }
    None
}
