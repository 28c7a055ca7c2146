//! The drain (drain.md): which pods must leave, in which order, under which budgets, and the proof that none is left.

mod budget;
mod duty;
mod leaving;

use std::time::Duration;

pub use budget::{Tokens, budget_of, impossible, reservations, take_against_budget, take_implied};
pub use duty::{Duty, duty, is_pinned};
pub use leaving::jobs_are_over;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effect::{Effect, Read};
use crate::entry::{DrainProgress, Phase, Record};
use crate::facts::Turn;
use crate::gates;
use crate::guard::{self, Guard};
use crate::ids::NodeName;
use crate::memory::{Fresh, LivePods, Memory};
use crate::node::Node;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Blocker, Class, Reason};
use crate::time::{Mono, Reading};

/// A scheduler may have bound a pod before it saw the cordon.
const AFTER_CORDON: Duration = Duration::from_secs(5);

/// Proof that one live list, begun at least 5 s after the cordon, shows no pod that must leave, and no volume of a
/// pod that left is attached. Only a drained node can be given a power action.
#[derive(Debug)]
pub struct Drained {
    mark_text: Option<String>,
}

impl Drained {
    /// The mark that the same read showed.
    pub fn mark_text(&self) -> Option<&str> {
        self.mark_text.as_deref()
    }
}

/// Whether a pod, if it is on a node that is about to be powered, must leave first.
pub fn is_left(cluster: &Cluster, memory: &Memory, pod: &Pod, policy: Option<&Policy>) -> bool {
    duty(cluster, Some(memory), pod, policy).must_leave()
}

/// Pods that must leave a node, as the cache shows them.
pub fn must_leave(draft: &Draft<'_>, turn: &Turn<'_>, node: &Node) -> u32 {
    let pods = draft.cluster.pods_of(&node.name);
    let left = pods
        .filter(|pod| is_left(draft.cluster, draft.memory, pod, turn.policy))
        .count();
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// Whether a pod that must leave, or a volume of one that left, is still on the node, as the cache shows it.
pub fn is_something_left(draft: &Draft<'_>, turn: &Turn<'_>, node: &Node) -> bool {
    must_leave(draft, turn, node) > 0
        || attached_volume(draft.cluster, draft.memory, node, turn.policy).is_some()
}

/// What a drain waits for that is not its own: nothing but pinned pods is left, none has been asked to leave, and the
/// power action may not be recorded yet. That the control plane is being looked at is no wait.
pub fn waits_for_power(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    let (cluster, memory) = (draft.cluster, draft.memory);
    let mut left = cluster
        .pods_of(&node.name)
        .filter(|pod| is_left(cluster, memory, pod, turn.policy))
        .peekable();
    left.peek()?;
    let stays = |pod: &Pod| {
        let waits = matches!(duty(cluster, Some(memory), pod, turn.policy), Duty::Evict);
        waits && !memory.book.was_accepted(&pod.key, &pod.uid) && is_pinned(cluster, node, pod)
    };
    if !left.all(stays) {
        return None;
    }
    gates::before_power(draft, turn, node).filter(|blocker| blocker.reason != Reason::ControlPlaneTurn)
}

/// The object that keeps a drain from its end: the first one in the entry's own message order.
pub fn culprit(draft: &Draft<'_>, turn: &Turn<'_>, node: &Node) -> String {
    let pods = || draft.cluster.pods_of(&node.name);
    let denied = pods().find_map(|pod| {
        let denial = draft.memory.book.denials.get(&pod.key)?;
        (denial.uid == pod.uid).then(|| denial.blocker.object.clone())
    });
    // A budget without a token is not asked: then it is no denial that blocks, but the budget all the same.
    let tokens = Tokens::new(draft.cluster, draft.memory, &draft.facts);
    let withheld = pods().find_map(|pod| {
        let waits = matches!(
            duty(draft.cluster, Some(draft.memory), pod, turn.policy),
            Duty::Evict
        );
        let policy = turn.policy.filter(|_| waits)?;
        let budget = budget_of(draft.cluster, pod);
        let refused = budget.and_then(|budget| tokens.take(&budget, pod, node, policy));
        refused.err().map(|blocker| blocker.object)
    });
    let left = pods().find(|pod| is_left(draft.cluster, draft.memory, pod, turn.policy));
    let attached = || attached_volume(draft.cluster, draft.memory, node, turn.policy);
    denied
        .or(withheld)
        .or(left.map(|pod| format!("pod {}", pod.key)))
        .or_else(|| Some(format!("volume {}", attached()?)))
        .unwrap_or_else(|| format!("node {}", node.name))
}

/// One step of a drain. `Some`: nothing is left.
pub fn advance(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node, policy: &Policy) -> Option<Drained> {
    let marked = turn
        .mark
        .and_then(|mark| draft.memory.marked.get(&mark.id).copied())?;
    if list_since(draft, node, marked).is_none() {
        read_pods(draft, node);
        return None;
    }
    if draft.memory.book.is_unsure_of(&node.name) {
        read_pods(draft, node);
    }
    if let Some(wait) = load_balancers(draft, turn, policy) {
        let left = must_leave(draft, turn, node);
        draft.report.progress.insert(turn.entry.name.clone(), left);
        draft.wait(turn.entry, wait);
        return None;
    }
    let left = leaving::let_leave(draft, turn, node, policy);
    draft.report.progress.insert(turn.entry.name.clone(), left);
    if !guard::holds(Guard::ListIsEmpty, left == 0) {
        return None;
    }
    if let Some(volume) = attached_volume(draft.cluster, draft.memory, node, turn.policy)
        && guard::stands(Guard::VolumesDetached)
    {
        let message = format!("volume {volume} is still attached");
        draft.wait(
            turn.entry,
            Blocker::new(Reason::VolumeAttached, format!("volume {volume}"), message),
        );
        return None;
    }
    let refusals = turn.entry.record.refusals;
    let wait = wait_after_refusal(refusals).saturating_sub(drained_for(draft, turn));
    if refusals > 0 && !wait.is_zero() {
        draft.wake_in(wait);
        draft.wait(
            turn.entry,
            Blocker::new(
                Reason::PowerRefused,
                "",
                "the driver started nothing; it is asked again",
            ),
        );
        return None;
    }
    still_drained_since(
        draft,
        turn,
        node,
        marked + guard::waits(Guard::ListAfterCordon, AFTER_CORDON),
    )
}

/// Load balancers still send traffic through the node: to pods that are to leave, and on to other nodes.
fn load_balancers(draft: &mut Draft<'_>, turn: &Turn<'_>, policy: &Policy) -> Option<Blocker> {
    let had_its_wait = turn.mark.is_some_and(|mark| mark.power.is_some());
    let left = policy
        .drain
        .load_balancer_wait
        .saturating_sub(drained_for(draft, turn));
    if left.is_zero() || had_its_wait {
        return None;
    }
    // The clock of the drain stands still while paused: the resume wakes.
    if !draft.cluster.queue.is_paused() {
        draft.wake_in(left);
    }
    let message = "load balancers take the node out (drain.loadBalancerWait)";
    Some(Blocker::new(Reason::LoadBalancers, "", message))
}

/// Lists a node live again before another attempt. `Some`: nothing that must leave is left.
pub fn still_drained(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node) -> Option<Drained> {
    let marked = turn
        .mark
        .and_then(|mark| draft.memory.marked.get(&mark.id).copied())?;
    still_drained_since(
        draft,
        turn,
        node,
        marked + guard::waits(Guard::ListAfterCordon, AFTER_CORDON),
    )
}

fn still_drained_since(
    draft: &mut Draft<'_>,
    turn: &Turn<'_>,
    node: &Node,
    earliest: Mono,
) -> Option<Drained> {
    if draft.now.mono < earliest {
        draft.wake_at_mono(earliest);
        draft.wait(
            turn.entry,
            Blocker::new(
                Reason::Settling,
                "",
                "a scheduler may not have seen the cordon yet",
            ),
        );
        return None;
    }
    let now = draft.now.mono;
    let list = list_since(draft, node, earliest).filter(|list| list.is_evidence_at(now));
    let Some(list) = list else {
        read_pods(draft, node);
        return None;
    };
    let (live, pods) = &list.value;
    let live = live.as_ref()?;
    let left = pods
        .iter()
        .find(|pod| is_left(draft.cluster, draft.memory, pod, turn.policy));
    if let Some(pod) = left.filter(|_| guard::stands(Guard::ListIsEmpty)) {
        // The cache does not show it any more, or not yet: the next change or the next list does.
        let message = format!("pod {} is still there", pod.key);
        let stale = now.since(list.begun) > Duration::from_secs(1);
        draft.wait(
            turn.entry,
            Blocker::new(Reason::Settling, format!("pod {}", pod.key), message),
        );
        draft.wake_in(Duration::from_secs(1));
        if stale {
            read_pods(draft, node);
        }
        return None;
    }
    live.unschedulable.then(|| Drained {
        mark_text: live.mark_text.clone(),
    })
}

/// How long a drained node waits after its driver refused for the `refusals`-th time.
fn wait_after_refusal(refusals: u32) -> Duration {
    Duration::from_secs(match refusals {
        0 => 0,
        1 => 5,
        _ => 20,
    })
}

fn list_since<'a>(draft: &Draft<'a>, node: &Node, earliest: Mono) -> Option<&'a Fresh<LivePods>> {
    draft
        .memory
        .pods
        .get(&node.name)
        .filter(|list| list.begun >= earliest)
}

fn read_pods(draft: &mut Draft<'_>, node: &Node) {
    draft.emit(Effect::Read(Read::Pods {
        node: node.name.clone(),
    }));
}

/// A volume that is attached to the node and that no pod which stays uses.
fn attached_volume(
    cluster: &Cluster,
    memory: &Memory,
    node: &Node,
    policy: Option<&Policy>,
) -> Option<String> {
    let stays = |volume: &str| {
        cluster
            .pods_of(&node.name)
            .filter(|pod| !is_left(cluster, memory, pod, policy))
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
        .find(|attachment| attachment.attached && !stays(&attachment.volume))
        .map(|one| one.volume.clone())
}

/// How far a drain is, for the record.
pub fn progress(before: Option<DrainProgress>, left: u32) -> DrainProgress {
    DrainProgress {
        total: before.map_or(left, |known| known.total.max(left)),
        left,
    }
}

/// Whether an entry in Draining says what is in its way.
pub fn is_blocked(record: &Record) -> bool {
    let blocks = |reason: Reason| reason.class() != Class::Progress && reason != Reason::Paused;
    record.phase == Phase::Draining && record.reason.is_some_and(blocks)
}

/// How long it has said so.
pub fn blocked_for(record: &Record, clock: Reading) -> Option<Duration> {
    let since = record.reason_at.filter(|_| is_blocked(record))?;
    Some(clock.led_since(since))
}

/// Whether a pod of the node is on its way out.
pub fn is_leaving(draft: &Draft<'_>, node: &NodeName) -> bool {
    let mut pods = draft.cluster.pods_of(node);
    pods.any(|pod| pod.terminating || draft.memory.book.was_accepted(&pod.key, &pod.uid))
}

/// How long a turn has been in Draining; stands still while paused.
pub fn drained_for(draft: &Draft<'_>, turn: &Turn<'_>) -> Duration {
    let since = turn.entry.record.phase_at.unwrap_or(draft.now.clock);
    draft.now.clock.running_since(since)
}
