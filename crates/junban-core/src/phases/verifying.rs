//! Verifying: after the proof the Node is restored and the entry ends (docs/design/proof.md#what-proves-a-reboot).

use std::collections::BTreeMap;
use std::time::Duration;

use super::{as_it_went, give_back};
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::cluster::Cluster;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::entry::{Entry, Phase};
use crate::gates;
use crate::guard::{self, Guard};
use crate::mark::{Daemon, Mark};
use crate::node::Node;
use crate::object::ObjectRef;
use crate::policy::VerifyRules;
use crate::reason::Reason;
use crate::workload::WorkloadKind;

pub(super) fn advance(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    let entry = turn.entry;
    let rules = rules(turn);
    if turn.mark.is_some_and(|mark| mark.system_uuid != node.system_uuid) {
        let message = "the Node shows another systemUUID";
        plan.move_to(entry, Phase::Failed, Reason::MachineChanged, message);
        return;
    }
    let known = entry.record.boot_id_after.as_ref();
    if known.is_some_and(|known| node.has_rebooted_since(known)) {
        return restarted(plan, entry, node);
    }
    let since = entry.record.phase_at.unwrap_or(plan.now.clock);
    let unproven = unproven(plan, node, turn.mark, &rules);
    match unproven.filter(|_| guard::stands(Guard::Proof)) {
        Some(blocker) => {
            // What a new leader has not seen yet does not end the settle time. Otherwise a controller that is killed
            // every 20 s would never finish.
            let not_seen_yet = matches!(blocker.detail, Detail::LeaseUnchanged)
                || blocker.reason == Reason::ControlPlaneChecking;
            if entry.record.settling_at.is_some() && !not_seen_yet {
                let mut record = entry.record.clone();
                record.settling_at = None;
                record.reason = Some(blocker.reason);
                record.message = blocker.to_string();
                plan.record(entry, record);
                return;
            }
            let waited = plan.now.clock.led_since(since);
            if waited >= rules.timeout {
                let message = format!("not proven in verify.timeout: {blocker}");
                plan.move_to(entry, Phase::Failed, Reason::VerifyTimeout, message);
                return;
            }
            plan.wake_in(rules.timeout - waited);
            plan.wait(entry, blocker);
        }
        None => settle(plan, turn, node, rules.settle_of(node)),
    }
}

/// The server has restarted by itself: the proof begins anew, or it is a loop (docs/design/proof.md#restarts).
fn restarted(plan: &mut PlanBuilder<'_>, entry: &Entry, node: &Node) {
    let message = "the server has restarted once more by itself; the proof begins anew";
    let mut record = plan.moved_to(entry, Phase::Verifying, Reason::NodeNotReady, message);
    record.phase_at = Some(plan.now.clock);
    record.settling_at = None;
    record.boot_id_after.clone_from(&node.boot_id);
    record.restarts += 1;
    if record.is_boot_loop() {
        let restarts = record.restarts;
        record.phase = Phase::Failed;
        record.reason = Some(Reason::BootLoop);
        record.message = format!("the server has restarted {restarts} times by itself after its reboot");
    }
    plan.record(entry, record);
}

fn settle(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, settle: Duration) {
    let entry = turn.entry;
    if settle > Duration::ZERO {
        let Some(from) = entry.record.settling_at else {
            let message = "everything holds; the settle time runs";
            let mut record = plan.moved_to(entry, Phase::Verifying, Reason::Settle, message);
            record.settling_at = Some(plan.now.clock);
            plan.record(entry, record);
            return;
        };
        let settled = plan.now.clock.led_since(from);
        if settled < settle {
            plan.wake_in(settle - settled);
            return;
        }
    }
    if turn.mark.is_some() {
        return give_back::restore(plan, turn, node, true, None);
    }
    let message = proven_message(plan.cluster, node);
    let mut record = plan.moved_to(entry, Phase::Succeeded, Reason::Proven, message);
    record.boot_id_after.clone_from(&node.boot_id);
    plan.record(entry, record);
}

/// The message of a proven entry. It names the DaemonSets that had no Ready pod here before and were not waited for
/// (docs/design/proof.md#daemonsets).
fn proven_message(cluster: &Cluster, node: &Node) -> String {
    let mut ready: BTreeMap<String, bool> = BTreeMap::new();
    for pod in cluster.pods_of(&node.name) {
        if let Some(owner) = pod
            .owner
            .as_ref()
            .filter(|owner| owner.kind == WorkloadKind::DaemonSet)
        {
            *ready.entry(owner.to_string()).or_default() |= pod.ready;
        }
    }
    ready.retain(|_, ready| !*ready);
    let mut message = "rebooted and proven healthy".to_owned();
    if !ready.is_empty() {
        let sets: Vec<_> = ready.into_keys().collect();
        message.push_str(&format!(
            "; not waited for, because they had no Ready pod here: {}",
            sets.join(", ")
        ));
    }
    message
}

/// The rules that the record stored before the power action, or the present rules of the policy if the machine rebooted
/// by itself.
pub(super) fn rules(turn: &Turn<'_>) -> VerifyRules {
    match (&turn.entry.record.power, turn.policy) {
        (Some(power), _) => power.verify(),
        (None, Some(policy)) => policy.verify.clone(),
        (None, None) => VerifyRules {
            timeout: Duration::from_secs(900),
            daemon_sets: true,
            settle: None,
            ignore_taints: Vec::new(),
            ignore_resources: Vec::new(),
        },
    }
}

/// What does not hold yet of the proof except settle.
pub(super) fn unproven(
    plan: &mut PlanBuilder<'_>,
    node: &Node,
    mark: Option<&Mark>,
    rules: &VerifyRules,
) -> Option<Blocker> {
    let not_ready = |detail| {
        let node = ObjectRef::Node(node.name.clone());
        Some(Blocker::new(Reason::NodeNotReady, node, detail))
    };
    let Some(boot_id) = &node.boot_id else {
        return not_ready(Detail::NoBootIdReported);
    };
    if !node.ready {
        return not_ready(Detail::NotReady);
    }
    let seen = plan.memory.sightings.boot_of(node);
    let seen = seen.filter(|seen| seen.boot_id == *boot_id);
    if seen.is_none_or(|seen| seen.lease_then == node.lease) {
        return not_ready(Detail::LeaseUnchanged);
    }
    if let Some(found) = mark.and_then(|mark| mark.found.as_ref())
        && let Some(blocker) = as_it_went::differs(found, node, rules)
    {
        return Some(blocker);
    }
    if rules.daemon_sets {
        let missing = mark
            .iter()
            .flat_map(|mark| &mark.daemons)
            .find(|daemon| !is_back(plan.cluster, node, daemon));
        if let Some(daemon) = missing {
            let (set, detail) = (format!("daemonset {}", daemon.set), Detail::DaemonSetMissing);
            return Some(Blocker::new(
                Reason::DaemonSetNotReady,
                ObjectRef::Other(set),
                detail,
            ));
        }
    }
    if node.is_control_plane() {
        return gates::control_plane::health_after_boot(plan, node);
    }
    None
}

/// Whether a DaemonSet has a Ready pod with a new UID, or with running containers of which the mark names none. Clocks
/// and transition times prove nothing (docs/design/proof.md#what-proves-a-reboot).
fn is_back(cluster: &Cluster, node: &Node, daemon: &Daemon) -> bool {
    let Some((namespace, name)) = daemon.set.split_once('/') else {
        return true;
    };
    let exists = cluster
        .workloads
        .keys()
        .any(|key| key.kind == WorkloadKind::DaemonSet && key.namespace == namespace && key.name == name);
    if !exists {
        // Nobody would make its pod again.
        return true;
    }
    cluster.pods_of(&node.name).any(|pod| {
        let owned = pod.owner.as_ref().is_some_and(|owner| {
            owner.kind == WorkloadKind::DaemonSet && owner.namespace == namespace && owner.name == name
        });
        let new_pod = Mark::digits(pod.uid.as_str()) != daemon.pod;
        let new_containers = !pod.running_containers.is_empty()
            && pod
                .running_containers
                .iter()
                .all(|id| !daemon.containers.contains(&Mark::digits(id)));
        owned && pod.ready && !pod.terminating && (new_pod || new_containers)
    })
}
