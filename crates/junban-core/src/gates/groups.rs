//! Is the node's group open, or may another group be opened (docs/design/life-cycle.md#groups)?

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::group_of;
use crate::detail::Detail;
use crate::gates::Candidate;
use crate::object::ObjectRef;
use crate::reason::Reason;

pub fn check(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let policy = candidate.policy.as_ref().ok()?;
    let Candidate { node, tally, .. } = candidate;
    let groups = policy.groups.as_ref()?;
    let group = group_of(policy, node)?;
    let open = tally.open_groups.get(&policy.name)?;
    let may_open = open.contains(&group) || open.len() < groups.at_once.max(1) as usize;
    if may_open {
        return None;
    }
    let detail = Detail::GroupsFull {
        group,
        by: groups.by.clone(),
        at_once: groups.at_once.max(1),
    };
    let open = ObjectRef::Groups(open.iter().cloned().collect());
    Some(Blocker::new(Reason::GroupClosed, open, detail))
}
