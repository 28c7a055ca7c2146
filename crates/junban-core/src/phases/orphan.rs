//! Marks whose entry is gone. Deleting one of Junban's objects never causes a reboot and never frees the slot of a node
//! that is down (docs/design/ledger.md#orphaned-marks).

use std::time::Duration;

use super::writes::patch_on_mark;
use super::{give_back, verifying};
use crate::builder::PlanBuilder;
use crate::effect::{Effect, NewEntry, NodeChange, NodeWrite};
use crate::entry::{Entry, EntrySpec, Phase, Record};
use crate::guard::{self, Guard};
use crate::live;
use crate::mark::{Mark, MarkPower};
use crate::node::Node;
use crate::policy::VerifyRules;
use crate::reason::Reason;
use crate::time::Reading;

/// How long a boot is waited for if the policy is gone.
const BOOT_TIMEOUT: Duration = Duration::from_secs(1_800);

pub(super) fn recover_all(plan: &mut PlanBuilder<'_>) {
    let cluster = plan.cluster;
    for node in cluster.nodes.values() {
        let Some(Ok(mark)) = &node.mark else { continue };
        // An entry that cannot be read is not gone.
        let unreadable = cluster.unreadable_entries.contains_key(&mark.entry);
        if unreadable
            || cluster.entry(&mark.entry, &mark.entry_uid).is_some()
            || !plan.node_is_free(&node.name)
        {
            continue;
        }
        recover(plan, node, mark);
    }
}

fn recover(plan: &mut PlanBuilder<'_>, node: &Node, mark: &Mark) {
    if !live::entry_is_gone_live(plan, node, mark) {
        return;
    }
    let Some(power) = mark.live_attempt() else {
        // Nothing was powered.
        return restore(plan, node, mark);
    };
    let rebooted = node.has_rebooted_since(&power.boot_id_before);
    let policy = plan.cluster.policies.get(&mark.policy);
    let ignored = policy.map(|policy| &policy.verify);
    let rules = VerifyRules {
        timeout: Duration::MAX,
        daemon_sets: true,
        settle: None,
        ignore_taints: ignored.map_or_else(Vec::new, |verify| verify.ignore_taints.clone()),
        ignore_resources: ignored.map_or_else(Vec::new, |verify| verify.ignore_resources.clone()),
    };
    let proven = rebooted
        && mark.system_uuid == node.system_uuid
        && verifying::unproven(plan, node, Some(mark), &rules).is_none();
    if guard::holds(Guard::OrphanProven, proven) {
        return restore(plan, node, mark);
    }
    let left = deadline(plan, mark, power).saturating_sub(plan.now.clock.led_ms);
    if left > 0 {
        return plan.wake_in(Duration::from_millis(left));
    }
    match plan.cluster.entries.get(&mark.entry) {
        None => make_again(plan, node, mark),
        Some(entry) if entry.record.phase == Phase::Failed => adopt(plan, node, mark, entry),
        Some(entry) => fail(plan, node, mark, entry),
    }
}

fn restore(plan: &mut PlanBuilder<'_>, node: &Node, mark: &Mark) {
    let patch = give_back::restore_patch(node, mark, true, None);
    plan.emit(Effect::PatchNode(patch));
}

/// The deadline of the attempt: a `led_ms` of the cluster clock. If it lies further ahead than a boot may take, it was
/// written on a clock that is gone, and the boot began before the present clock.
fn deadline(plan: &PlanBuilder<'_>, mark: &Mark, power: &MarkPower) -> u64 {
    let policy = plan.cluster.policies.get(&mark.policy);
    let boot_timeout = policy.map_or(BOOT_TIMEOUT, |policy| policy.reboot.boot_timeout);
    let is_of_this_clock = power.deadline_led_ms <= plan.now.clock.advanced(boot_timeout, false).led_ms;
    if is_of_this_clock {
        power.deadline_led_ms
    } else {
        Reading::default().advanced(boot_timeout, false).led_ms
    }
}

/// Makes the entry again under its name, so that `junban retry` and `junban cancel` work.
fn make_again(plan: &mut PlanBuilder<'_>, node: &Node, mark: &Mark) {
    plan.emit(Effect::CreateEntry(NewEntry {
        name: mark.entry.clone(),
        spec: EntrySpec {
            reason: "made again because it was deleted in mid-turn".into(),
            ..EntrySpec::new(
                node.name.clone(),
                node.uid.clone(),
                mark.policy.clone(),
                mark.booted_after,
            )
        },
    }));
}

fn fail(plan: &mut PlanBuilder<'_>, node: &Node, mark: &Mark, entry: &Entry) {
    if entry.spec.node_uid != node.uid || entry.record.phase != Phase::Queued {
        return;
    }
    let message = "the entry was deleted in mid-turn and the server did not come back";
    let mut record: Record = plan.moved_to(entry, Phase::Failed, Reason::EntryDeleted, message);
    record.boot_id_before = mark.power.as_ref().map(|power| power.boot_id_before.clone());
    record.attempt = mark.power.as_ref().map_or(0, |power| power.attempt);
    record.attempts_used = 1;
    plan.record(entry, record);
}

/// Writes the UID of the new entry into the mark. Then `ledger::put_back` gives the slot to it.
fn adopt(plan: &mut PlanBuilder<'_>, node: &Node, mark: &Mark, entry: &Entry) {
    let mut patch = patch_on_mark(node, NodeWrite::Adopt);
    let adopted = Mark {
        entry_uid: entry.uid.clone(),
        ..mark.clone()
    };
    patch.changes.push(NodeChange::Mark(Some(Box::new(adopted))));
    plan.emit(Effect::PatchNode(patch));
}
