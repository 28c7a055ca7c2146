//! Is there a place for one more node (docs/design/life-cycle.md#places)?

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::gates::Candidate;
use crate::guard::{self, Guard};
use crate::object::ObjectRef;
use crate::reason::Reason;

pub fn check(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let policy = candidate.policy.as_ref().ok()?;
    let Candidate { node, tally, .. } = candidate;
    if !guard::holds(Guard::LimitQueue, tally.active < tally.max_concurrent) {
        return Some(Blocker::new(
            Reason::QueueLimit,
            ObjectRef::Limit("maxConcurrent".into()),
            Detail::QueueFull(tally.active),
        ));
    }
    let active = tally.active_of_policy.get(&policy.name).copied().unwrap_or(0);
    let full = policy.max_concurrent.is_some_and(|most| active >= most.max(1));
    if !guard::holds(Guard::LimitPolicy, !full) {
        return Some(Blocker::new(
            Reason::PolicyLimit,
            ObjectRef::Policy(policy.name.clone()),
            Detail::PolicyFull(active),
        ));
    }
    let already = plan.derived.places.contains(&node.name);
    let has_place = already || tally.places.len() < tally.max_unavailable;
    if !guard::holds(Guard::LimitPlaces, has_place) {
        // The sentence names no holder: holders change with each start, and every waiting entry stores the sentence.
        return Some(Blocker::new(
            Reason::NoPlace,
            ObjectRef::Nodes(tally.places.iter().take(5).cloned().collect()),
            Detail::PlacesFull(tally.max_unavailable),
        ));
    }
    None
}
