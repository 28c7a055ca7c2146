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
    let slot = evidence
        .queue
        .present()
        .and_then(|queue| queue.ledger.as_ref())
        .and_then(|ledger| ledger.slots.get(&entry.spec.node));
    object(
        Guard::ActNotPaused,
        !evidence.queue.is_paused(),
        "the queue is paused",
    );
    object(
        Guard::ActSlot,
        slot.is_some_and(|slot| slot.entry_uid == entry.uid),
        "the ledger does not show the entry's slot",
    );
    match &evidence.entry {
        Some(live) => {
            object(
                Guard::ActSameEntry,
                live.uid == entry.uid,
                "another entry has this name",
            );
            object(
                Guard::ActSameEntry,
                live.record.phase == Phase::Rebooting,
                "the entry is not in Rebooting",
            );
            object(
                Guard::ActSameEntry,
                live.record.attempt == entry.record.attempt,
                "the entry records another attempt",
            );
            object(Guard::ActSameEntry, !live.spec.cancel, "the entry is cancelled");
        }
        None => object(Guard::ActSameEntry, false, "the entry is gone"),
    }
    match &evidence.node {
        Some(node) => {
            let live_mark = node.mark.as_ref().and_then(|mark| mark.as_ref().ok());
            let live_power = live_mark.and_then(|mark| mark.power.as_ref());
            object(
                Guard::ActSameNode,
                node.uid == entry.spec.node_uid,
                "another Node has this name",
            );
            object(
                Guard::ActSameNode,
                node.boot_id.is_some() && node.boot_id == entry.record.boot_id_before,
                "the bootID has changed",
            );
            object(
                Guard::ActSameNode,
                node.system_uuid == mark.system_uuid,
                "the systemUUID has changed",
            );
            object(Guard::ActCordoned, node.unschedulable, "the node is not cordoned");
            object(
                Guard::ActSameNode,
                live_mark.is_some_and(|live| live.id == mark.id),
                "the Node has another mark",
            );
            object(
                Guard::ActSameNode,
                live_mark.is_some_and(|live| live.entry_uid == entry.uid),
                "the mark names another entry",
            );
            object(
                Guard::ActSameNode,
                live_power.is_some_and(|power| power.attempt == entry.record.attempt && !power.void),
                "the mark does not hold this attempt",
            );
            object(
                Guard::ActWaiver,
                !node.has_waived(entry.spec.booted_after),
                "the goal is waived",
            );
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
