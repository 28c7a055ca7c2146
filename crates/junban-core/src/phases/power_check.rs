//! The last check before a power action. It rests on live reads, and on nothing that the planner decided.

use crate::cluster::Cluster;
use crate::duty::must_leave;
use crate::effect::ActEvidence;
use crate::entry::{Entry, Phase};
use crate::guard::{self, Guard};
use crate::mark::Mark;
use crate::memory::Memory;
use crate::policy::Policy;

/// All objections to the power action (docs/design/ledger.md#the-act). If there are none, it may begin. `cluster` and
/// `memory` only tell which controllers own the pods and which pods keep coming back. The pods are those of the live
/// read.
pub(super) fn objections(
    cluster: &Cluster,
    memory: &Memory,
    evidence: &ActEvidence,
    entry: &Entry,
    mark: &Mark,
    policy: Option<&Policy>,
) -> Vec<String> {
    let mut against = Vec::new();
    let mut object = |guard: Guard, holds: bool, text: &str| {
        if !guard::holds(guard, holds) {
            against.push(text.to_owned());
        }
    };
    let ledger = evidence.queue.present().and_then(|queue| queue.ledger.as_ref());
    let slot = ledger.and_then(|ledger| ledger.slots.get(&entry.spec.node));
    let has_slot = slot.is_some_and(|slot| slot.entry_uid == entry.uid);
    let is_paused = evidence.queue.is_paused();
    object(Guard::ActNotPaused, !is_paused, "the queue is paused");
    object(Guard::ActSlot, has_slot, "the entry has no slot in the ledger");

    let attempt = entry.record.attempt;
    let mut same_entry = |holds, text| object(Guard::ActSameEntry, holds, text);
    match &evidence.entry {
        Some(live) => {
            let is_rebooting = live.record.phase == Phase::Rebooting;
            let has_attempt = live.record.attempt == attempt;
            same_entry(live.uid == entry.uid, "another entry has this name");
            same_entry(is_rebooting, "the entry is not in Rebooting");
            same_entry(has_attempt, "the entry records another attempt");
            same_entry(!live.spec.cancel, "the entry is cancelled");
        }
        None => same_entry(false, "the entry is gone"),
    }

    match &evidence.node {
        Some(node) => {
            let is_cordoned = node.unschedulable;
            let is_waived = node.has_waived(entry.spec.booted_after);
            object(Guard::ActCordoned, is_cordoned, "the node is not cordoned");
            object(Guard::ActWaiver, !is_waived, "the goal is waived");

            let same_boot = node.boot_id.is_some() && node.boot_id == entry.record.boot_id_before;
            let live = node.mark.as_ref().and_then(|mark| mark.as_ref().ok());
            let same_mark = live.is_some_and(|live| live.id == mark.id);
            let names_entry = live.is_some_and(|live| live.entry_uid == entry.uid);
            let power = live.and_then(|live| live.power.as_ref());
            let has_attempt = power.is_some_and(|power| power.attempt == attempt && !power.void);
            let mut same_node = |holds, text| object(Guard::ActSameNode, holds, text);
            same_node(node.uid == entry.spec.node_uid, "another Node has this name");
            same_node(same_boot, "the bootID has changed");
            same_node(node.system_uuid == mark.system_uuid, "the systemUUID has changed");
            same_node(same_mark, "the Node has another mark");
            same_node(names_entry, "the mark names another entry");
            same_node(has_attempt, "the mark does not hold this attempt");
        }
        None => object(Guard::ActSameNode, false, "the Node is gone"),
    }

    for pod in &evidence.pods {
        if must_leave(cluster, memory, pod, policy) {
            object(
                Guard::ActPods,
                false,
                &format!("pod {} must leave first", pod.key),
            );
        }
    }
    against
}
