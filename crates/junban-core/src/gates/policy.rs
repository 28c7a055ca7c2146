//! Does the policy that the entry names govern the node, and does it have a driver?

use super::Candidate;
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::policy::Policy;
use crate::reason::Reason;

pub fn check(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    match &candidate.policy {
        Ok(policy) if policy.reboot.ladder.is_empty() => {
            let object = ObjectRef::Policy(policy.name.clone());
            Some(Blocker::new(Reason::NoDriver, object, Detail::EmptyLadder))
        }
        Ok(_) => None,
        Err(blocker) => Some(blocker.clone()),
    }
}

/// The policy by which the entry is rebooted, or why there is none.
pub fn of<'t>(plan: &PlanBuilder<'_>, turn: &Turn<'t>, node: &Node) -> Result<&'t Policy, Blocker> {
    let name = &turn.entry.spec.policy;
    let object = ObjectRef::Policy(name.clone());
    if let Some(text) = plan.cluster.unreadable_policies.get(name) {
        let detail = Detail::UnreadablePolicy(text.clone());
        return Err(Blocker::new(Reason::UnreadablePolicy, object, detail));
    }
    let Some(governing) = turn.governing else {
        let blocker = plan
            .derived
            .governed
            .get(&node.name)
            .and_then(|found| found.as_ref().err());
        let none = || Blocker::new(Reason::NoPolicy, object, Detail::NotSelected);
        return Err(blocker.cloned().unwrap_or_else(none));
    };
    if governing.name != *name {
        let detail = Detail::GovernedBy(governing.name.clone());
        return Err(Blocker::new(Reason::NoPolicy, object, detail));
    }
    Ok(governing)
}
