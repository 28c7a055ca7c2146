//! Do the node's pods fit elsewhere? The scheduler is simulated for all pods that are on their way
//! (docs/design/drain.md#room).

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::gates::Candidate;
use crate::reason::Reason;

pub fn check(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let moves = plan.placement.moves(candidate.node);
    let (pod, barrier) = moves.homeless.clone()?;
    let object = barrier.object(&pod);
    let barrier = Box::new(barrier);
    Some(Blocker::new(
        Reason::NoCapacity,
        object,
        Detail::FitsNowhere { pod, barrier },
    ))
}
