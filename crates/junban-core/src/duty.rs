//! What a drain does with each pod of a node (docs/design/drain.md#which-pods).

use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::guard::{self, Guard};
use crate::ids::PodKey;
use crate::memory::Memory;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::pod::{Pod, PodPhase, PodWish};
use crate::policy::{Leave, Policy, StuckTerminating};
use crate::reason::Reason;
use crate::selector::Selector;
use crate::taint::Taint;
use crate::workload::WorkloadKind;

/// What a drain does with a pod.
#[derive(Clone, PartialEq, Debug)]
pub enum Duty {
    /// Neither evicted nor waited for.
    Skip,
    /// It comes back to the cordoned node again and again: reported, not waited for.
    Returns(Blocker),
    /// Terminating: waited for, never evicted again.
    Leaving,
    /// Terminating for longer than its grace period and two minutes, and the policy says that the reboot goes on.
    Stuck(Blocker),
    /// Its controller is another pod that must leave this node. The garbage collector removes it after that pod.
    Follows,
    /// Work: waited for until it ends, and evicted after `jobs.deadline`.
    Completes(Blocker),
    /// Waited for like work, but never evicted: after `jobs.deadline` the node is cordoned, and `onTimeout` decides.
    Spared(Blocker),
    /// The policy forbids to evict it, so the node is not cordoned.
    Forbidden(Blocker),
    Evict,
}

impl Duty {
    /// Whether the node counts as drained only without the pod.
    pub fn must_leave(&self) -> bool {
        !matches!(self, Self::Skip | Self::Returns(_) | Self::Stuck(_))
    }
}

/// The label by which local volumes name their node.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What a drain does with a pod. Without a policy (it is gone) the defaults hold. Without `memory` it is not known
/// which pods keep coming back.
pub fn duty(cluster: &Cluster, memory: Option<&Memory>, pod: &Pod, policy: Option<&Policy>) -> Duty {
    let own = own_duty(cluster, memory, pod, policy);
    let leaves = |owner: &Pod| own_duty(cluster, memory, owner, policy).must_leave();
    let follows =
        own.must_leave() && own != Duty::Leaving && controlling_pod(cluster, pod).is_some_and(leaves);
    if follows { Duty::Follows } else { own }
}

/// The pod that controls this pod, if it is on the same node.
fn controlling_pod<'a>(cluster: &'a Cluster, pod: &Pod) -> Option<&'a Pod> {
    let owner = pod
        .owner
        .as_ref()
        .filter(|owner| owner.kind == WorkloadKind::Pod)?;
    let owner = cluster
        .pods
        .get(&PodKey::new(owner.namespace.clone(), owner.name.clone()))?;
    (owner.node.is_some() && owner.node == pod.node).then_some(owner.as_ref())
}

/// Why a pod that is never evicted is waited for. Until the deadline, work ends by itself and needs nobody.
pub fn why_spared(pod: &Pod, blocker: Blocker, deadline_is_over: bool) -> Blocker {
    if pod.ends && !deadline_is_over {
        return Blocker::new(Reason::JobRunning, blocker.object, Detail::WorkRuns);
    }
    blocker
}

/// What a drain does with a pod whose controller is no pod of the same node.
fn own_duty(cluster: &Cluster, memory: Option<&Memory>, pod: &Pod, policy: Option<&Policy>) -> Duty {
    let owner = pod.owner.as_ref();
    let blocker = |reason, detail| Blocker::new(reason, ObjectRef::Pod(pod.key.clone()), detail);
    if pod.is_mirror || owner.is_some_and(|owner| owner.kind == WorkloadKind::DaemonSet) {
        return Duty::Skip;
    }
    if pod.phase == PodPhase::Finished {
        return Duty::Skip;
    }
    if let Some(PodWish::Skip { .. }) = pod.wish {
        return Duty::Skip;
    }
    if pod.is_junban && !has_another_node(cluster, pod) {
        return Duty::Skip;
    }
    if pod.terminating {
        let reboots = policy.is_some_and(|policy| policy.drain.stuck_terminating == StuckTerminating::Reboot);
        let is_stuck = memory.is_some_and(|memory| memory.sightings.is_stuck(pod));
        if reboots && guard::holds(Guard::StuckPods, is_stuck) {
            let volumes = cluster.volumes_attached_for(pod);
            return Duty::Stuck(blocker(Reason::PodStuck, Detail::RebootsBeside { volumes }));
        }
        return Duty::Leaving;
    }
    if memory.is_some_and(|memory| memory.sightings.keeps_returning(cluster, pod)) {
        return Duty::Returns(blocker(Reason::PodReturns, Detail::Returns));
    }
    if !guard::stands(Guard::ForbiddenPods) {
        return Duty::Evict;
    }
    match &pod.wish {
        Some(PodWish::DoNotDisrupt { by }) => {
            let detail = Detail::DoNotDisrupt { by: by.clone() };
            return Duty::Spared(blocker(Reason::DoNotDisrupt, detail));
        }
        Some(PodWish::NotBefore { until, .. })
            if memory
                .and_then(|memory| memory.sightings.wall)
                .is_some_and(|now| now >= *until) => {}
        Some(PodWish::NotBefore { by, until }) => {
            let (by, until) = (by.clone(), *until);
            return Duty::Spared(blocker(
                Reason::DoNotDisrupt,
                Detail::DoNotDisruptUntil { by, until },
            ));
        }
        Some(PodWish::WaitCompleted { by }) => {
            let detail = Detail::WaitCompleted { by: by.clone() };
            return Duty::Completes(blocker(Reason::JobRunning, detail));
        }
        Some(PodWish::Skip { .. }) | None => {}
    }
    let bare = owner.is_none() && policy.is_none_or(|policy| policy.drain.bare == Leave::Block);
    let bare = bare.then(|| blocker(Reason::BarePod, Detail::Bare));
    let evicted = policy.and_then(|policy| policy.drain.jobs_evict.as_ref());
    let is_waited_for = pod.ends && !evicted.is_some_and(|selector| selector.selects(&pod.labels));
    match bare {
        Some(bare) if is_waited_for => return Duty::Spared(bare),
        Some(bare) => return Duty::Forbidden(bare),
        None if is_waited_for => return Duty::Completes(blocker(Reason::JobRunning, Detail::WorkRuns)),
        None => {}
    }
    let blocks_empty_dir = policy.is_some_and(|policy| policy.drain.empty_dir == Leave::Block);
    if let Some(volume) = pod.empty_dirs.first().filter(|_| blocks_empty_dir) {
        return Duty::Forbidden(blocker(Reason::EmptyDir, Detail::EmptyDir(volume.clone())));
    }
    Duty::Evict
}

pub fn must_leave(cluster: &Cluster, memory: &Memory, pod: &Pod, policy: Option<&Policy>) -> bool {
    duty(cluster, Some(memory), pod, policy).must_leave()
}

/// Whether some other node that is Ready and schedulable may take the pod.
fn has_another_node(cluster: &Cluster, pod: &Pod) -> bool {
    cluster.nodes.values().any(|node| {
        Some(&node.name) != pod.node.as_ref()
            && node.ready
            && !node.unschedulable
            && may_run_on(cluster, pod, node)
    })
}

/// Whether selectors, taints and volumes let the pod run on a node. The cordon and free room do not count.
fn may_run_on(cluster: &Cluster, pod: &Pod, node: &Node) -> bool {
    untolerated(pod, node).is_none() && belongs_on(cluster, pod, node)
}

/// The first taint of the node that keeps the pod out. The cordon does not count.
pub fn untolerated<'n>(pod: &Pod, node: &'n Node) -> Option<&'n Taint> {
    let tolerates = |taint: &Taint| {
        pod.tolerations
            .iter()
            .any(|toleration| toleration.tolerates(taint))
    };
    let mut taints = node.taints.iter().filter(|taint| taint.keeps_pods_out());
    taints.find(|taint| !tolerates(taint))
}

/// Whether the pod's node selector and its required node affinity select a node.
pub fn is_selected(pod: &Pod, node: &Node) -> bool {
    let mut selector = pod.node_selector.iter();
    selector.all(|(key, value)| node.labels.get(key) == Some(value))
        && matches_any(&pod.required_affinity, node)
}

fn matches_any(terms: &[Selector], node: &Node) -> bool {
    terms.is_empty() || terms.iter().any(|term| term.matches(&node.labels))
}

/// Whether selectors and volumes let the pod run on a node.
pub fn belongs_on(cluster: &Cluster, pod: &Pod, node: &Node) -> bool {
    let mut volumes = pod.claims.iter().filter_map(|claim| cluster.claims.get(claim));
    is_selected(pod, node) && volumes.all(|claim| matches_any(&claim.node_affinity, node))
}

/// Whether a pod cannot run on another node (docs/design/drain.md#pinned-pods).
pub fn is_pinned(cluster: &Cluster, node: &Node, pod: &Pod) -> bool {
    if cluster.template_node(pod) == Some(&node.name) {
        return true;
    }
    let volumes = pod.claims.iter().filter_map(|claim| cluster.claims.get(claim));
    let mut terms = volumes
        .map(|claim| &claim.node_affinity)
        .chain([&pod.required_affinity])
        .filter(|terms| !terms.is_empty())
        .peekable();
    if pod.node_selector.is_empty() && terms.peek().is_none() {
        return false;
    }
    // The usual case is a local volume. It is found without all other nodes: no two nodes have the same hostname.
    let host = node.labels.get(HOSTNAME);
    if host.is_some_and(|host| terms.any(|terms| terms.iter().all(|term| term.demands(HOSTNAME, host)))) {
        return true;
    }
    !cluster
        .nodes
        .values()
        .any(|other| other.name != node.name && belongs_on(cluster, pod, other))
}
