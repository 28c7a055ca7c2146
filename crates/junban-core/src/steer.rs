//! The steering taint: `PreferNoSchedule` on every queued node, so that pods move to servers that have rebooted already
//! (docs/design/drain.md#steering-taint).

use std::time::Duration;

use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::effect::{Effect, NodeChange, NodePatch, NodeWrite};
use crate::entry::Phase;
use crate::in_order::InOrder;
use crate::node::Node;
use crate::reason::{Class, Reason};

/// How many taints are written a second.
const RATE: usize = 20;

pub(crate) fn taints(plan: &mut PlanBuilder<'_>) {
    let now = plan.now.mono;
    let recent = plan
        .memory
        .pacing
        .taint_writes
        .iter()
        .filter(|at| now.since(**at) < Duration::from_secs(1))
        .count();
    let mut left = RATE.saturating_sub(recent);
    let mut turn_of = InOrder::new(&plan.derived.turns);
    let mut changes = Vec::new();
    for node in plan.cluster.nodes.values() {
        // The patch that ends a turn removes the taint.
        if node.mark.is_some() {
            continue;
        }
        let turn = turn_of.get(&&node.name).filter(|turn| turn.node.is_some());
        // From an excluded node only Junban's own taint is removed.
        let wanted = !node.excluded && turn.is_some_and(|turn| is_wanted(turn, node));
        if wanted != node.pending_taint {
            changes.push((node, wanted));
        }
    }
    for (node, wanted) in changes {
        if left == 0 {
            return plan.wake_in(Duration::from_millis(200));
        }
        let patch = NodePatch {
            version: Some(node.version),
            changes: vec![NodeChange::PendingTaint(wanted)],
            ..NodePatch::new(node, NodeWrite::Taint)
        };
        left -= usize::from(plan.emit(Effect::PatchNode(patch)));
    }
}

fn is_wanted(turn: &Turn<'_>, node: &Node) -> bool {
    if turn.phase() != Phase::Queued {
        // The taint stays while the turn is in flight. A Failed node is cordoned and needs none.
        return turn.phase().is_in_flight() && node.pending_taint;
    }
    let record = &turn.entry.record;
    // A pause or a halt concerns all nodes, so the taint stays.
    let will_not_start_soon = record.reason.is_some_and(|reason| {
        reason == Reason::NotDue
            || (reason.class() == Class::NeedsSomebody && !matches!(reason, Reason::Paused | Reason::Halted))
    });
    !(turn.entry.spec.cancel || node.has_waived(turn.entry.spec.booted_after) || will_not_start_soon)
}
