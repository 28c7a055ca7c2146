//! Is the entry's goal due, and does a policy with a driver govern the node?

use std::time::Duration;

use crate::draft::Draft;
use crate::facts::Turn;
use crate::node::Node;
use crate::policy::Policy;
use crate::reason::{Blocker, Reason};

/// The policy by which the entry is rebooted.
pub fn policy<'a>(draft: &Draft<'a>, turn: &Turn<'a>, node: &Node) -> Result<&'a Policy, Blocker> {
    let name = &turn.entry.spec.policy;
    let object = format!("policy {name}");
    if let Some(text) = draft.cluster.unreadable_policy(name) {
        return Err(Blocker::new(
            Reason::UnreadablePolicy,
            object,
            format!("policy {name} cannot be read: {text}"),
        ));
    }
    let Some(governing) = turn.governing else {
        let blocker = draft
            .facts
            .governed
            .get(&node.name)
            .and_then(|found| found.as_ref().err());
        let none = || Blocker::new(Reason::NoPolicy, object, "no policy selects the node");
        return Err(blocker.cloned().unwrap_or_else(none));
    };
    if governing.name != *name {
        let message = format!("policy {} governs the node, not {name}", governing.name);
        return Err(Blocker::new(Reason::NoPolicy, object, message));
    }
    if governing.reboot.ladder.is_empty() {
        return Err(Blocker::new(
            Reason::NoDriver,
            object,
            format!("the ladder of policy {name} is empty"),
        ));
    }
    Ok(governing)
}

pub fn check(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node, policy: &Policy) -> Option<Blocker> {
    let goal = turn.entry.spec.booted_after;
    let object = format!("policy {}", policy.name);
    if let Ok(left) = Duration::try_from(goal.duration_since(draft.now.wall))
        && !left.is_zero()
    {
        draft.wake_in(left);
        return Some(Blocker::new(
            Reason::NotDue,
            object,
            format!("the goal is due at {goal}"),
        ));
    }
    let waits = turn.entry.record.retries_done == 0 && !policy.min_interval.is_zero();
    let journal = node.journal.as_ref().filter(|_| waits);
    if journal.is_some_and(|journal| node.boot_id.as_ref() != Some(&journal.boot_id)) {
        let message = "the boot journal does not name the node's present boot yet";
        return Some(Blocker::new(Reason::MinInterval, object, message));
    }
    if let Some(booted) = journal.and_then(|journal| journal.not_before)
        && let Ok(ago) = Duration::try_from(draft.now.wall.duration_since(booted))
        && ago < policy.min_interval
    {
        draft.wake_in(policy.min_interval - ago);
        let message = format!("minInterval since the boot at {booted:.0} has not passed");
        return Some(Blocker::new(Reason::MinInterval, object, message));
    }
    None
}
