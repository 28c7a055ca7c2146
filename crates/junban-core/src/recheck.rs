//! The independent second check of each effect before it is sent. It shares no code with the planner, so it catches
//! mistakes of the planner (docs/design/overview.md#how-junban-decides).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::effect::{Effect, NodeChange, NodeWrite};
use crate::entry::Phase;
use crate::guard::{self, Guard};
use crate::policy::StuckTerminating;
use crate::quantity::IntOrPercent;
use crate::time::Now;

/// A pod that has been terminating for this long after its grace period does not end by itself.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// What is wrong with an effect, if anything. Such an effect is not sent, and is logged as a bug.
pub fn objection(cluster: &Cluster, now: Now, effect: &Effect) -> Option<String> {
    if !guard::stands(Guard::Recheck) {
        return None;
    }
    match effect {
        Effect::WriteQueue(write) => {
            let queue = cluster.queue.present()?;
            let before: BTreeSet<_> = queue
                .ledger
                .iter()
                .flat_map(|ledger| ledger.slots.keys())
                .collect();
            let unmarked = |name: &&crate::ids::NodeName| {
                cluster.nodes.get(*name).is_none_or(|node| node.mark.is_none())
            };
            let granted: Vec<_> = write
                .ledger
                .slots
                .keys()
                .filter(|name| !before.contains(name))
                .filter(unmarked)
                .collect();
            if granted.is_empty() || queue.ledger.is_none() {
                return None;
            }
            if queue.paused || queue.ledger.as_ref().is_some_and(|ledger| ledger.held) && !queue.resumed {
                return Some("a grant while the queue is paused".into());
            }
            broken_limit(cluster, write, granted.len())
        }
        Effect::PatchNode(patch) => {
            let node = cluster.nodes.get(&patch.node)?;
            let uncordons = patch.changes.contains(&NodeChange::Unschedulable(false));
            if uncordons && !(node.cordon_is_ours && node.mark.is_some()) {
                return Some("an uncordon of a node that Junban did not cordon".into());
            }
            let cordons = patch.changes.contains(&NodeChange::Unschedulable(true));
            let fresh = patch.not_after.is_some_and(|until| until > now.mono);
            (cordons && !(fresh && patch.what == NodeWrite::Start))
                .then(|| "a cordon without fresh evidence".into())
        }
        Effect::Evict(leave) | Effect::DeletePod(leave) => {
            let draining = cluster
                .entries
                .values()
                .any(|entry| entry.spec.node == leave.node && entry.record.phase == Phase::Draining);
            let cordoned = cluster
                .nodes
                .get(&leave.node)
                .is_some_and(|node| node.unschedulable && node.mark.is_some());
            let same = cluster
                .pods
                .get(&leave.pod)
                .is_some_and(|pod| pod.uid == leave.uid && !pod.terminating);
            (!(draining && cordoned && same)).then(|| format!("an eviction of {} outside a drain", leave.pod))
        }
        Effect::Power(order) => {
            let entry = cluster.entries.get(&order.entry)?;
            let node = cluster.nodes.get(&order.node)?;
            let recorded = entry.record.phase == Phase::Rebooting && entry.record.attempt == order.attempt;
            let marked = matches!(&node.mark, Some(Ok(mark)) if mark.power.as_ref().is_some_and(|power| {
                power.attempt == order.attempt && !power.void && power.boot_id_before == order.boot_id
            }));
            let same = node.boot_id.as_ref() == Some(&order.boot_id) && node.uid == order.node_uid;
            if !(recorded && marked && same && order.not_after > now.mono) {
                return Some("a power action without its record".into());
            }
            let policy = cluster.policies.get(&entry.spec.policy);
            let reboots =
                policy.is_some_and(|policy| policy.drain.stuck_terminating == StuckTerminating::Reboot);
            let pods = order.beside.iter().filter_map(|key| cluster.pods.get(key));
            let mut in_time = pods.filter(|pod| {
                let stuck = pod.gone_by.and_then(|by| by.checked_add(STUCK_AFTER).ok());
                stuck.is_none_or(|at| at > now.wall)
            });
            match in_time.next() {
                _ if !order.beside.is_empty() && !reboots => {
                    Some("a power action beside pods under Release".into())
                }
                Some(pod) => Some(format!(
                    "a power action beside pod {}, which may still end",
                    pod.key
                )),
                None => None,
            }
        }
        _ => None,
    }
}

/// Whether the new grants break the limit of docs/design/life-cycle.md#places.
fn broken_limit(cluster: &Cluster, write: &crate::effect::QueueWrite, new: usize) -> Option<String> {
    let queue = cluster.queue.present()?;
    let counted: Vec<_> = cluster
        .nodes
        .values()
        .filter(|node| !node.excluded || node.mark.is_some() || write.ledger.slots.contains_key(&node.name))
        .collect();
    let unavailable = counted
        .iter()
        .filter(|node| !node.ready || node.unschedulable || write.ledger.slots.contains_key(&node.name))
        .count();
    let total = counted.len();
    let share = |limit: IntOrPercent| match limit {
        IntOrPercent::Count(count) => count as usize,
        IntOrPercent::Percent(percent) => (total * usize::from(percent)).div_ceil(100),
    };
    // It is not known here which nodes are broken, so this is the most that failures can add.
    let most = share(queue.max_unavailable)
        .max(1)
        .max((total / 2).min(share(queue.failures_max).max(1)) + 1);
    let already = counted
        .iter()
        .filter(|node| !node.ready || node.unschedulable)
        .count();
    (unavailable > most.max(already) && new > 0)
        .then(|| format!("{unavailable} nodes would be unavailable, at most {most} may be"))
}
