//! May this node be started?

use crate::back_off;
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::gates::Candidate;
use crate::object::ObjectRef;
use crate::reason::Reason;

/// Whether a label keeps the node from being started.
pub fn labels(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let node = candidate.node;
    let (reason, detail) = if node.excluded {
        (Reason::Excluded, Detail::LabelledExclude)
    } else if node.held {
        (Reason::Hold, Detail::LabelledHold)
    } else {
        return None;
    };
    Some(Blocker::new(reason, ObjectRef::Node(node.name.clone()), detail))
}

/// Whether no other tool owns the node.
pub fn owner(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let node = candidate.node;
    let detail = Detail::OwnedByOther(node.foreign_owner.clone()?);
    Some(Blocker::new(
        Reason::ForeignOwner,
        ObjectRef::Node(node.name.clone()),
        detail,
    ))
}

/// Whether the node is Ready and has a bootID.
pub fn state(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let node = candidate.node;
    let (reason, detail) = if !node.ready {
        (Reason::NodeDown, Detail::NotReady)
    } else if node.boot_id.is_none() {
        (Reason::NoBootId, Detail::NoBootId)
    } else {
        return None;
    };
    Some(Blocker::new(reason, ObjectRef::Node(node.name.clone()), detail))
}

/// Whether the entry is in a back-off. A change of the object that blocked ends it, and so does `retry`.
pub fn back_off(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let entry = candidate.turn.entry;
    let back_off = entry.record.back_off.as_ref()?;
    let changed = back_off::has_changed(plan.cluster, back_off);
    if changed || back_off.is_over(plan.now.clock) || entry.spec.retries > entry.record.retries_done {
        return None;
    }
    let waited = plan.now.clock.running_since(back_off.from);
    plan.wake_in(std::time::Duration::from_secs(back_off.seconds).saturating_sub(waited));
    let object = back_off.blocked_by.as_ref().map(|blocked| blocked.object.clone());
    let detail = Detail::Said(entry.record.message.clone());
    let reason = if back_off.in_vain {
        Reason::ReplacementUnschedulable
    } else {
        Reason::BackOff
    };
    Some(Blocker::new(reason, object.unwrap_or_default(), detail))
}

/// Whether another entry may have powered this boot (docs/design/life-cycle.md#one-boot-one-power-action).
pub fn earlier_power(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let Candidate { turn, node, .. } = candidate;
    let earlier = plan.derived.powered.get(node.boot_id.as_ref()?)?;
    let earlier = earlier.iter().find(|entry| entry.uid != turn.entry.uid)?;
    let earlier = ObjectRef::Entry(earlier.name.clone());
    Some(Blocker::new(Reason::EarlierPower, earlier, Detail::MayBePowered))
}
