//! Turns a guarded patch of a Node into the world's operations.

use junban_api::{convert, names};
use junban_core::effect::{NodeChange, NodePatch};
use junban_world::{Effect, NodeOp, Taint};

/// All tests, then all changes. `taints` are the taints of the Node. A patch that changes them tests the Node's version.
pub(super) fn operations(patch: &NodePatch, taints: Vec<Taint>) -> Vec<NodeOp> {
    let mut operations = vec![NodeOp::TestUid(patch.uid.as_str().into())];
    if let Some(version) = patch.version {
        operations.push(NodeOp::TestResourceVersion(version.0));
    }
    if let Some(mark) = &patch.mark_is {
        operations.push(NodeOp::TestAnnotation(names::MARK.into(), mark.clone()));
    }
    if let Some(unschedulable) = patch.unschedulable_is {
        operations.push(NodeOp::TestUnschedulable(unschedulable));
    }
    operations.extend(patch.changes.iter().map(|change| operation(change, &taints)));
    operations
}

fn operation(change: &NodeChange, taints: &[Taint]) -> NodeOp {
    match change {
        NodeChange::Mark(Some(mark)) => NodeOp::SetAnnotation(names::MARK.into(), mark.to_annotation()),
        NodeChange::Mark(None) => NodeOp::RemoveAnnotation(names::MARK.into()),
        NodeChange::Journal(journal) => NodeOp::SetAnnotation(names::BOOT.into(), journal.to_string()),
        NodeChange::Waive(time) => NodeOp::SetAnnotation(names::WAIVED.into(), convert::format_goal(*time)),
        NodeChange::Unschedulable(to) => NodeOp::SetUnschedulable(*to),
        NodeChange::ExcludeFromLoadBalancers(true) => {
            NodeOp::SetLabel(names::EXCLUDE_FROM_LOAD_BALANCERS.into(), String::new())
        }
        NodeChange::ExcludeFromLoadBalancers(false) => {
            NodeOp::RemoveLabel(names::EXCLUDE_FROM_LOAD_BALANCERS.into())
        }
        NodeChange::PendingTaint(wanted) => {
            let mut new: Vec<Taint> = taints
                .iter()
                .filter(|taint| taint.key != names::PENDING)
                .cloned()
                .collect();
            if *wanted {
                new.push(Taint::new(names::PENDING, "", Effect::PreferNoSchedule));
            }
            NodeOp::SetTaints(new)
        }
    }
}
