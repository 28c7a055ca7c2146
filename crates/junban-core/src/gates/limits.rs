//! Is there a place for one more node (docs/design/life-cycle.md#limits)? One gate for each limit.

use super::Candidate;
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::object::ObjectRef;
use crate::reason::Reason;

/// `maxConcurrent` of the queue.
pub fn queue(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let tally = candidate.tally;
    (tally.active >= tally.max_concurrent).then(|| {
        let limit = ObjectRef::Limit("maxConcurrent".into());
        Blocker::new(Reason::QueueLimit, limit, Detail::QueueFull(tally.active))
    })
}

/// `maxConcurrent` of the policy.
pub fn policy(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let policy = candidate.policy.as_ref().ok()?;
    let active = candidate.tally.active_of_policy.get(&policy.name);
    let active = active.copied().unwrap_or(0);
    let is_full = policy.max_concurrent.is_some_and(|most| active >= most.max(1));
    is_full.then(|| {
        let policy = ObjectRef::Policy(policy.name.clone());
        Blocker::new(Reason::PolicyLimit, policy, Detail::PolicyFull(active))
    })
}

/// `maxUnavailable` of the queue. A node that is unavailable already takes no further place.
pub fn places(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let Candidate { node, tally, .. } = candidate;
    let has_place = plan.derived.places.contains(&node.name) || tally.places.len() < tally.max_unavailable;
    (!has_place).then(|| {
        // The sentence names no holders. They change with each start, and each waiting entry would be written again.
        let holders = ObjectRef::Nodes(tally.places.iter().take(5).cloned().collect());
        let detail = Detail::PlacesFull(tally.max_unavailable);
        Blocker::new(Reason::NoPlace, holders, detail)
    })
}
