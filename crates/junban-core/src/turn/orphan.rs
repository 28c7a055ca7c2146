//! Marks whose entry is gone: deleting any of Junban's objects never causes a reboot, and never frees a slot whose
//! node is down (lifecycle.md 6).

use std::time::Duration;

use crate::draft::Draft;
use crate::effect::{Effect, NewEntry, NodeChange, NodeWrite};
use crate::entry::{Entry, EntrySpec, Phase, Record};
use crate::guard::{self, Guard};
use crate::ledger;
use crate::mark::{Mark, MarkPower};
use crate::node::Node;
use crate::policy::VerifyRules;
use crate::reason::Reason;
use crate::time::Reading;
use crate::turn::{give_back, patch_on_mark, verify};

/// How long a boot is waited for where the policy is gone.
const BOOT_TIMEOUT: Duration = Duration::from_secs(1_800);

pub(super) fn recover_all(draft: &mut Draft<'_>) {
    let cluster = draft.cluster;
    for node in cluster.nodes.values() {
        let Some(Ok(mark)) = &node.mark else { continue };
        // An entry that cannot be read is not gone.
        let unreadable = cluster
            .unreadable
            .contains_key(&format!("NodeReboot/{}", mark.entry));
        if unreadable || draft.facts.by_uid.contains_key(&mark.entry_uid) || !draft.node_is_free(&node.name) {
            continue;
        }
        recover(draft, node, mark);
    }
}

fn recover(draft: &mut Draft<'_>, node: &Node, mark: &Mark) {
    if !ledger::entry_is_gone_live(draft, node, mark) {
        return;
    }
    let Some(power) = mark.live_attempt() else {
        // Nothing was powered: the node is given back.
        draft.emit(Effect::PatchNode(give_back::restore_patch(
            node, mark, true, None,
        )));
        return;
    };
    let rebooted = node
        .boot_id
        .as_ref()
        .is_some_and(|boot_id| *boot_id != power.boot_id_before);
    let rules = VerifyRules {
        timeout: Duration::MAX,
        daemon_sets: true,
        settle: None,
    };
    let proven = rebooted
        && mark.system_uuid == node.system_uuid
        && verify::unproven(draft, node, Some(mark), &rules).is_none();
    if guard::holds(Guard::OrphanProven, proven) {
        draft.emit(Effect::PatchNode(give_back::restore_patch(
            node, mark, true, None,
        )));
        return;
    }
    let left = deadline(draft, mark, power).saturating_sub(draft.now.clock.led_ms);
    if left > 0 {
        return draft.wake_in(Duration::from_millis(left));
    }
    match draft.cluster.entries.get(&mark.entry) {
        None => make_again(draft, node, mark),
        Some(entry) if entry.record.phase == Phase::Failed => adopt(draft, node, mark, entry),
        Some(entry) => fail(draft, node, mark, entry),
    }
}

/// The attempt's deadline, in milliseconds led. One that lies further ahead than a boot may take is of a clock that is
/// gone: the boot began before this clock did (lifecycle.md 3).
fn deadline(draft: &Draft<'_>, mark: &Mark, power: &MarkPower) -> u64 {
    let policy = draft.cluster.policies.get(&mark.policy);
    let boot_timeout = policy.map_or(BOOT_TIMEOUT, |policy| policy.reboot.boot_timeout);
    let is_of_this_clock = power.deadline_led_ms <= draft.now.clock.advanced(boot_timeout, false).led_ms;
    if is_of_this_clock {
        power.deadline_led_ms
    } else {
        Reading::default().advanced(boot_timeout, false).led_ms
    }
}

/// The entry is made again under its name, so that `retry` and `cancel` work as ever.
fn make_again(draft: &mut Draft<'_>, node: &Node, mark: &Mark) {
    draft.emit(Effect::CreateEntry(NewEntry {
        name: mark.entry.clone(),
        spec: EntrySpec {
            node: node.name.clone(),
            node_uid: node.uid.clone(),
            policy: mark.policy.clone(),
            booted_after: mark.booted_after,
            reason: "made again: it was deleted in mid-turn".into(),
            requested_by: String::new(),
            priority: 0,
            cancel: false,
            retries: 0,
        },
    }));
}

fn fail(draft: &mut Draft<'_>, node: &Node, mark: &Mark, entry: &Entry) {
    if entry.spec.node_uid != node.uid || entry.record.phase != Phase::Queued {
        return;
    }
    let message = "the entry was deleted in mid-turn and the server did not come back";
    let mut record: Record = draft.moved_to(entry, Phase::Failed, Reason::EntryDeleted, message);
    record.boot_id_before = mark.power.as_ref().map(|power| power.boot_id_before.clone());
    record.attempt = mark.power.as_ref().map_or(0, |power| power.attempt);
    record.attempts_used = 1;
    draft.record(entry, record);
}

/// The new entry's UID goes into the mark; the slot follows the mark (`ledger::settle`).
fn adopt(draft: &mut Draft<'_>, node: &Node, mark: &Mark, entry: &Entry) {
    let mut patch = patch_on_mark(node, NodeWrite::Adopt);
    patch.changes.push(NodeChange::Mark(Some(Mark {
        entry_uid: entry.uid.clone(),
        ..mark.clone()
    })));
    draft.emit(Effect::PatchNode(patch));
}
