//! Does the controller's account have the rights of a turn? A right that is missing for one node is missing for all, and
//! a node would be cordoned in vain until its drain times out.

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::object::ObjectRef;
use crate::reason::Reason;
use crate::time::Mono;

/// After the API server has refused a request for want of a right, nothing starts until a live read shows every right.
pub fn check(plan: &PlanBuilder<'_>) -> Option<Blocker> {
    let detail = match missing(plan)? {
        [] => Detail::RightRefused,
        missing => Detail::RightsMissing(missing.to_vec()),
    };
    Some(Blocker::new(Reason::Forbidden, ObjectRef::Cluster, detail))
}

/// The rights that are missing, as the last read showed. Empty: a request was refused, and the rights are not read yet.
pub(crate) fn missing<'a>(plan: &PlanBuilder<'a>) -> Option<&'a [String]> {
    let reads = &plan.memory.reads;
    // What an earlier leader has written says it to this one.
    let is_written = || {
        let mut in_flight = plan.derived.in_flight();
        in_flight.any(|turn| turn.entry.record.reason == Some(Reason::Forbidden))
    };
    let refused = match reads.forbidden {
        Some(at) => at,
        None if is_written() => Mono::default(),
        None => return None,
    };
    match &reads.rights {
        // Missing until a later read shows otherwise.
        Some(read) if !read.value.is_empty() => Some(&read.value),
        Some(read) if read.begun > refused => None,
        _ => Some(&[]),
    }
}
