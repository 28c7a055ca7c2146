//! One step of a drain, and the proof that nothing is left (docs/design/drain.md#drained).

use std::time::Duration;

use super::leaving;
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::cluster::Cluster;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::duty::{Duty, duty, must_leave};
use crate::effect::{Effect, Read};
use crate::guard::{self, Guard};
use crate::ids::NodeName;
use crate::memory::{Fresh, LivePods, Memory, STUCK_AFTER};
use crate::node::Node;
use crate::object::ObjectRef;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::start;
use crate::time::Mono;
use crate::tokens::budget_of;

/// A scheduler may have bound a pod before it saw the cordon.
const AFTER_CORDON: Duration = Duration::from_secs(5);

/// Proof that one live list, begun at least 5 s after the cordon, shows no pod that must leave, and that no volume of a
/// pod that left is attached. Only with this proof the record of a power action can be written.
#[derive(Debug)]
pub(super) struct Drained {
    mark_text: Option<String>,
    /// Sentences about the pods beside which the node is rebooted.
    beside: Vec<String>,
}

impl Drained {
    /// The text of the mark that the same read showed.
    pub(super) fn mark_text(&self) -> Option<&str> {
        self.mark_text.as_deref()
    }

    pub(super) fn beside(&self) -> &[String] {
        &self.beside
    }
}

/// How many pods must still leave a node, by the cache.
pub(super) fn pods_left(plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> u32 {
    let pods = plan.cluster.pods_of(&node.name);
    let left = pods
        .filter(|pod| must_leave(plan.cluster, plan.memory, pod, turn.policy))
        .count();
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// Whether a pod that must leave, or a volume of one that left, is still on the node, by the cache.
pub(super) fn is_something_left(plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> bool {
    pods_left(plan, turn, node) > 0 || attached_volume(plan.cluster, plan.memory, node, turn.policy).is_some()
}

/// The gate for which a drain waits, if only pinned pods are left, none was asked to leave, and the node may not be
/// powered yet. While the health of the control plane is being read, the drain does not wait.
pub(super) fn waits_for_power(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    let (cluster, memory) = (plan.cluster, plan.memory);
    let mut left = cluster
        .pods_of(&node.name)
        .filter(|pod| must_leave(cluster, memory, pod, turn.policy))
        .peekable();
    left.peek()?;
    let waits_pinned = |pod: &Pod| {
        let waits = matches!(duty(cluster, Some(memory), pod, turn.policy), Duty::Evict);
        waits && !memory.tokens.was_accepted(&pod.key, &pod.uid) && plan.placement.stays(node, pod)
    };
    if !left.all(waits_pinned) {
        return None;
    }
    start::closed_before_power(plan, turn, node)
        .filter(|blocker| blocker.reason != Reason::ControlPlaneChecking)
}

/// Whether nothing is left but pods on their way out, each within its grace period and two minutes, or their volumes. `overdue` is the time
/// since the drain's timeout. The last of them was asked to leave before it, so this bounds the wait over all leaders.
pub(super) fn only_terminates(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    overdue: Duration,
) -> bool {
    let (cluster, memory) = (plan.cluster, plan.memory);
    let mut wait = Duration::MAX;
    let mut left = 0;
    for pod in cluster.pods_of(&node.name) {
        let leaves = match duty(cluster, Some(memory), pod, turn.policy) {
            Duty::Follows => true,
            Duty::Leaving => !memory.sightings.is_stuck(pod),
            duty if duty.must_leave() => memory.tokens.was_accepted(&pod.key, &pod.uid),
            _ => continue,
        };
        wait = wait.min((pod.grace + STUCK_AFTER).saturating_sub(overdue));
        if !leaves || wait.is_zero() {
            return false;
        }
        left += 1;
    }
    if left == 0 {
        // The volumes of the last pods are detached after them.
        let record = &turn.entry.record;
        let since = record
            .reason_at
            .filter(|_| record.reason == Some(Reason::VolumeAttached));
        let waited = since.map_or(Duration::ZERO, |since| plan.now.clock.running_since(since));
        wait = STUCK_AFTER.saturating_sub(waited);
    }
    plan.wake_in(wait.min(Duration::from_secs(60)));
    !wait.is_zero()
}

/// The pods beside which the node is rebooted, each with its sentence: they terminate and do not end.
pub(super) fn stuck<'a>(plan: &PlanBuilder<'a>, turn: &Turn<'_>, pods: &'a [Pod]) -> Vec<(&'a Pod, Blocker)> {
    let stuck = |pod: &'a Pod| match duty(plan.cluster, Some(plan.memory), pod, turn.policy) {
        Duty::Stuck(blocker) => Some((pod, blocker)),
        _ => None,
    };
    pods.iter().filter_map(stuck).collect()
}

/// The object that blocks a drain: the object of a denial, a budget without tokens, a pod, or a volume.
pub(super) fn blocking_object(plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> ObjectRef {
    let pods = || plan.cluster.pods_of(&node.name);
    let denied = pods().find_map(|pod| {
        let denial = plan.memory.tokens.denials.get(&pod.key)?;
        (denial.uid == pod.uid).then(|| denial.blocker.object.clone())
    });
    // A budget without tokens is not asked, so there is no denial. It blocks all the same.
    let withheld = withheld(plan, turn, node).next().map(|blocker| blocker.object);
    // A pod that follows another one is never the cause.
    let left = pods().find(|pod| {
        let duty = duty(plan.cluster, Some(plan.memory), pod, turn.policy);
        duty.must_leave() && duty != Duty::Follows
    });
    let attached = || attached_volume(plan.cluster, plan.memory, node, turn.policy);
    denied
        .or(withheld)
        .or(left.map(|pod| ObjectRef::Pod(pod.key.clone())))
        .or_else(|| Some(ObjectRef::Volume(attached()?)))
        .unwrap_or_else(|| ObjectRef::Node(node.name.clone()))
}

/// The budget that does not come back because a pod that left fits on no other node, if that is what blocks the drain.
pub(super) fn in_vain(plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    withheld(plan, turn, node).find(|blocker| blocker.reason == Reason::ReplacementUnschedulable)
}

/// Why the pods that are to be evicted have no tokens.
fn withheld<'t>(
    plan: &'t PlanBuilder<'_>,
    turn: &'t Turn<'_>,
    node: &'t Node,
) -> impl Iterator<Item = Blocker> + 't {
    let tokens = plan.tokens();
    plan.cluster.pods_of(&node.name).filter_map(move |pod| {
        let waits = matches!(
            duty(plan.cluster, Some(plan.memory), pod, turn.policy),
            Duty::Evict
        );
        let policy = turn.policy.filter(|_| waits)?;
        let budget = budget_of(plan.cluster, pod);
        let refused = budget.and_then(|budget| tokens.take(&budget, pod, node, policy));
        refused.err()
    })
}

/// One step of a drain. Returns the proof if nothing is left.
pub(super) fn advance(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    policy: &Policy,
) -> Option<Drained> {
    let marked = marked_at(plan, turn)?;
    if list_since(plan, node, marked).is_none() {
        read_pods(plan, node);
        return None;
    }
    if plan.memory.tokens.has_lost_answer(&node.name) {
        read_pods(plan, node);
    }
    if let Some(wait) = load_balancers(plan, turn, policy) {
        let left = pods_left(plan, turn, node);
        plan.report.progress.insert(turn.entry.name.clone(), left);
        plan.wait(turn.entry, wait);
        return None;
    }
    let left = leaving::evict_next(plan, turn, node, policy);
    plan.report.progress.insert(turn.entry.name.clone(), left);
    if !guard::holds(Guard::ListIsEmpty, left == 0) {
        return None;
    }
    if let Some(volume) = attached_volume(plan.cluster, plan.memory, node, turn.policy)
        && guard::stands(Guard::VolumesDetached)
    {
        let volume = ObjectRef::Volume(volume);
        plan.wait_for(turn.entry, Reason::VolumeAttached, volume, Detail::Attached);
        return None;
    }
    let refusals = turn.entry.record.refusals;
    let wait = wait_after_refusal(refusals).saturating_sub(drained_for(plan, turn));
    if refusals > 0 && !wait.is_zero() {
        plan.wake_in(wait);
        plan.wait_for(turn.entry, Reason::PowerRefused, ObjectRef::None, Detail::Refused);
        return None;
    }
    still_drained(plan, turn, node)
}

/// Load balancers still send traffic through the node, so pods leave after this wait. It is waited once in a turn.
fn load_balancers(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, policy: &Policy) -> Option<Blocker> {
    let has_waited = turn.mark.is_some_and(|mark| mark.power.is_some());
    let left = policy
        .drain
        .load_balancer_wait
        .saturating_sub(drained_for(plan, turn));
    if left.is_zero() || has_waited {
        return None;
    }
    // While paused the clock of the drain stands still, and the resume wakes the plan.
    if !plan.cluster.queue.is_paused() {
        plan.wake_in(left);
    }
    let detail = Detail::LoadBalancers;
    Some(Blocker::new(Reason::LoadBalancers, ObjectRef::None, detail))
}

/// Asks for a live list of the node. Returns the proof if the list shows that nothing is left.
pub(super) fn still_drained(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> Option<Drained> {
    let earliest = marked_at(plan, turn)? + guard::waits(Guard::ListAfterCordon, AFTER_CORDON);
    if plan.now.mono < earliest {
        plan.wake_at_mono(earliest);
        plan.wait_for(
            turn.entry,
            Reason::Settling,
            ObjectRef::None,
            Detail::CordonUnseen,
        );
        return None;
    }
    let now = plan.now.mono;
    let list = list_since(plan, node, earliest).filter(|list| list.is_evidence_at(now));
    let Some(list) = list else {
        read_pods(plan, node);
        return None;
    };
    let (live, pods) = &list.value;
    let live = live.as_ref()?;
    let left = pods
        .iter()
        .find(|pod| must_leave(plan.cluster, plan.memory, pod, turn.policy));
    if let Some(pod) = left.filter(|_| guard::stands(Guard::ListIsEmpty)) {
        // The list and the cache differ. The next change or the next list resolves that.
        let stale = now.since(list.begun) > Duration::from_secs(1);
        let pod = ObjectRef::Pod(pod.key.clone());
        plan.wait_for(turn.entry, Reason::Settling, pod, Detail::StillThere);
        plan.wake_in(Duration::from_secs(1));
        if stale {
            read_pods(plan, node);
        }
        return None;
    }
    let beside = stuck(plan, turn, pods);
    live.unschedulable.then(|| Drained {
        mark_text: live.mark_text.clone(),
        beside: beside.iter().map(|(_, blocker)| blocker.to_string()).collect(),
    })
}

/// How long a drained node waits after this many refusals (docs/design/life-cycle.md#refusals).
fn wait_after_refusal(refusals: u32) -> Duration {
    Duration::from_secs(match refusals {
        0 => 0,
        1 => 5,
        _ => 20,
    })
}

/// When this process wrote the mark, or first saw it.
fn marked_at(plan: &PlanBuilder<'_>, turn: &Turn<'_>) -> Option<Mono> {
    plan.memory.reads.marked.get(&turn.mark?.id).copied()
}

fn list_since<'a>(plan: &PlanBuilder<'a>, node: &Node, earliest: Mono) -> Option<&'a Fresh<LivePods>> {
    plan.memory
        .reads
        .pods
        .get(&node.name)
        .filter(|list| list.begun >= earliest)
}

fn read_pods(plan: &mut PlanBuilder<'_>, node: &Node) {
    plan.emit(Effect::Read(Read::Pods {
        node: node.name.clone(),
    }));
}

/// A volume that is attached to the node and not used by a pod that stays.
fn attached_volume(
    cluster: &Cluster,
    memory: &Memory,
    node: &Node,
    policy: Option<&Policy>,
) -> Option<String> {
    let is_of_pod_that_stays = |volume: &str| {
        cluster
            .pods_of(&node.name)
            .filter(|pod| !must_leave(cluster, memory, pod, policy))
            .any(|pod| {
                pod.claims.iter().any(|claim| {
                    cluster
                        .claims
                        .get(claim)
                        .is_some_and(|claim| claim.volume == volume)
                })
            })
    };
    let mut attached = cluster
        .attachments
        .values()
        .filter(|attachment| attachment.node == node.name);
    attached
        .find(|attachment| attachment.attached && !is_of_pod_that_stays(&attachment.volume))
        .map(|one| one.volume.clone())
}

/// Whether a pod of the node is leaving.
pub(crate) fn is_leaving(plan: &PlanBuilder<'_>, node: &NodeName) -> bool {
    let mut pods = plan.cluster.pods_of(node);
    pods.any(|pod| pod.terminating || plan.memory.tokens.was_accepted(&pod.key, &pod.uid))
}

/// How long a turn has been in Draining, without the time of pauses.
pub(super) fn drained_for(plan: &PlanBuilder<'_>, turn: &Turn<'_>) -> Duration {
    let since = turn.entry.record.phase_at.unwrap_or(plan.now.clock);
    plan.now.clock.running_since(since)
}
