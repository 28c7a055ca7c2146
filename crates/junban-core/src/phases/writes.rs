//! Writes that several phases share.

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::effect::{Effect, NodeChange, NodePatch, NodeWrite};
use crate::entry::{Entry, Phase, Record};
use crate::live;
use crate::mark::{Mark, MarkPower};
use crate::node::Node;
use crate::object::ObjectRef;
use crate::reason::Reason;

/// Ends an entry whose Node is gone or has another UID. A live read must show that as well: the watch of Nodes may be
/// behind the watch of entries.
pub(super) fn end_without_a_node(plan: &mut PlanBuilder<'_>, entry: &Entry) {
    if live::node_is_gone_live(plan, entry) {
        let message = "the Node is gone, or another Node has its name";
        plan.move_to(entry, Phase::Cancelled, Reason::NodeGone, message);
    }
}

/// A patch of a Node that tests the mark as it was read.
pub(super) fn patch_on_mark(node: &Node, what: NodeWrite) -> NodePatch {
    NodePatch {
        mark_is: Some(node.mark_text.clone()),
        ..NodePatch::new(node, what)
    }
}

/// Makes the attempt void in the mark: it has surely started nothing and will start nothing.
pub(super) fn void_mark(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, mark: &Mark, why: &str) {
    let mut patch = patch_on_mark(node, NodeWrite::Void);
    let (object, detail) = (ObjectRef::Node(node.name.clone()), Detail::Said(why.to_owned()));
    patch.why = Some(Blocker::new(Reason::Evicting, object, detail));
    let void = with_attempt(turn, mark, true);
    patch.changes.push(NodeChange::Mark(Some(Box::new(void))));
    plan.emit(Effect::PatchNode(patch));
}

/// The mark with the attempt of the record.
pub(super) fn with_attempt(turn: &Turn<'_>, mark: &Mark, void: bool) -> Mark {
    let record = &turn.entry.record;
    let before = record.boot_id_before.as_ref().unwrap_or(&mark.boot_id);
    Mark {
        power: Some(MarkPower {
            attempt: record.attempt,
            boot_id_before: before.clone(),
            deadline_led_ms: record.power.as_ref().map_or(0, |power| power.deadline_led_ms),
            void,
            earlier: has_earlier(mark, record.attempt),
        }),
        ..mark.clone()
    }
}

/// The record of a turn whose bootID has changed: it goes to Verifying.
pub(super) fn verifying_record(plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> Record {
    let message = "the bootID has changed; proof is under way";
    let mut record = plan.moved_to(turn.entry, Phase::Verifying, Reason::NodeNotReady, message);
    record.boot_id_after.clone_from(&node.boot_id);
    record.settling_at = None;
    record.back_off = None;
    record.restarts = 0;
    if let (Some(power), Phase::Rebooting) = (&record.power, turn.phase()) {
        let begun = power
            .deadline_led_ms
            .saturating_sub(power.boot_timeout_seconds * 1_000);
        record.boot_ms = Some(plan.now.clock.led_ms.saturating_sub(begun));
    }
    record
}

/// Whether an attempt before `attempt` may have been started and is not proven.
fn has_earlier(mark: &Mark, attempt: u32) -> bool {
    mark.power
        .as_ref()
        .is_some_and(|power| power.earlier || (power.attempt < attempt && !power.void))
}
