//! What a drain does with each pod of a node (docs/design/drain.md#which-pods).

use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::guard::{self, Guard};
use crate::memory::Memory;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::pod::{Pod, PodPhase, PodWish};
use crate::policy::{Leave, Policy};
use crate::reason::Reason;
use crate::selector::Selector;
use crate::taint::{CORDON_TAINT, Taint};
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
    /// Waited for until it completes.
    Completes(Blocker),
    /// The policy or the pod itself forbids to evict it.
    Forbidden(Blocker),
    Evict,
}

impl Duty {
    /// Whether the node counts as drained only without the pod.
    pub fn must_leave(&self) -> bool {
        !matches!(self, Self::Skip | Self::Returns(_))
    }
}

/// The label by which local volumes name their node.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What a drain does with a pod. Without a policy (it is gone) the defaults hold. Without `memory` it is not known
/// which pods keep coming back.
pub fn duty(cluster: &Cluster, memory: Option<&Memory>, pod: &Pod, policy: Option<&Policy>) -> Duty {
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
            return Duty::Forbidden(blocker(Reason::DoNotDisrupt, detail));
        }
        Some(PodWish::NotBefore { until, .. })
            if memory
                .and_then(|memory| memory.sightings.wall)
                .is_some_and(|now| now >= *until) => {}
        Some(PodWish::NotBefore { by, until }) => {
            let (by, until) = (by.clone(), *until);
            return Duty::Forbidden(blocker(
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
    let is_job = owner.is_some_and(|owner| owner.kind == WorkloadKind::Job);
    if is_job && pod.phase == PodPhase::Running {
        let evicted = policy.and_then(|policy| policy.drain.jobs_evict.as_ref());
        if !evicted.is_some_and(|selector| selector.selects(&pod.labels)) {
            return Duty::Completes(blocker(Reason::JobRunning, Detail::JobRuns));
        }
    }
    if owner.is_none() && policy.is_none_or(|policy| policy.drain.bare == Leave::Block) {
        return Duty::Forbidden(blocker(Reason::BarePod, Detail::Bare));
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
    let mut taints = node
        .taints
        .iter()
        .filter(|taint| taint.keeps_out() && taint.key != CORDON_TAINT);
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
