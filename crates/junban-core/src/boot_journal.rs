//! Keeps the boot journal of each Node up to date (docs/design/life-cycle.md#boot-journal).

use crate::builder::PlanBuilder;
use crate::effect::{Effect, NodeChange, NodePatch, NodeWrite};
use crate::entry::Phase;
use crate::journal::Journal;
use crate::node::Node;

/// Writes the journal of each new boot, unless the end of a turn has written it already.
pub(crate) fn write(plan: &mut PlanBuilder<'_>) {
    for node in plan.cluster.nodes.values() {
        let Some(journal) = due(plan, node) else {
            continue;
        };
        plan.emit(Effect::PatchNode(NodePatch {
            node: node.name.clone(),
            uid: node.uid.clone(),
            version: Some(node.version),
            mark_is: None,
            unschedulable_is: None,
            changes: vec![NodeChange::Journal(journal)],
            what: NodeWrite::Journal,
            not_after: None,
            why: None,
        }));
    }
}

/// The journal to write, if the Node's journal does not name the present boot.
pub(crate) fn due(plan: &PlanBuilder<'_>, node: &Node) -> Option<Journal> {
    let boot_id = node.boot_id.as_ref()?;
    if node.excluded || node.current_journal().is_some() {
        return None;
    }
    let seen = plan
        .memory
        .sightings
        .boot_of(node)
        .filter(|seen| seen.boot_id == *boot_id);
    let turn = plan
        .derived
        .turns
        .get(&node.name)
        .filter(|turn| turn.node.is_some());
    // If this boot ends a turn, it began after the write-ahead record.
    let recorded = turn.and_then(|turn| {
        let record = &turn.entry.record;
        let ours = matches!(record.phase, Phase::Rebooting | Phase::Verifying | Phase::Failed);
        let before = record.boot_id_before.as_ref();
        let changed = before.is_some_and(|before| node.has_rebooted_since(before));
        record
            .power
            .as_ref()
            .filter(|_| ours && changed)
            .map(|power| power.recorded_at)
    });
    Some(Journal::of_boot(
        boot_id.clone(),
        node.journal.as_ref(),
        seen.and_then(|seen| seen.old_seen),
        recorded,
        plan.now.wall,
    ))
}
