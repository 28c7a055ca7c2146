//! A Pod as the cache shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{ClaimKey, NodeName, PodKey, PodUid, Version};
use crate::selector::{Labels, Selector};
use crate::taint::{CORDON_TAINT, Toleration};
use crate::time::Timestamp;
use crate::workload::WorkloadKey;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    pub key: PodKey,
    pub uid: PodUid,
    pub version: Version,
    pub node: Option<NodeName>,
    /// Whether the scheduler has found no node for it.
    pub fits_nowhere: bool,
    pub labels: Labels,
    pub phase: PodPhase,
    pub ready: bool,
    /// Whether `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    pub created: Timestamp,
    pub grace: Duration,
    pub has_finalizers: bool,
    /// The direct controller of the pod.
    pub owner: Option<WorkloadKey>,
    /// Whether it is a static pod: annotation `kubernetes.io/config.mirror`, or an owner of kind Node.
    pub is_mirror: bool,
    /// The names of its emptyDir volumes that `safe-to-evict-local-volumes` does not name.
    pub empty_dirs: Vec<String>,
    pub wish: Option<PodWish>,
    pub claims: Vec<ClaimKey>,
    /// The IDs of the containers that run now.
    pub running_containers: Vec<String>,
    pub requests: BTreeMap<String, i64>,
    pub node_selector: Labels,
    /// The terms of the required node affinity. One of them must match.
    pub required_affinity: Vec<Selector>,
    /// What it demands of the pods around it.
    pub neighbours: Neighbours,
    /// Whether it has scheduling gates: no scheduler looks at it.
    pub is_gated: bool,
    pub tolerations: Vec<Toleration>,
    pub priority: i32,
    /// Whether it is a pod of Junban's controller.
    pub is_junban: bool,
    /// Whether it is work that ends: its `restartPolicy` is Never or OnFailure.
    pub ends: bool,
    /// When it was bound to its node. A pod can wait for a node for long.
    pub bound: Timestamp,
    /// When the condition Ready changed last.
    pub ready_since: Option<Timestamp>,
    /// When its grace period ends (`deletionTimestamp`), if it is terminating.
    pub gone_by: Option<Timestamp>,
}

impl Pod {
    /// When it is available: Ready for `minReadySeconds`. `None`: it is not Ready.
    pub fn available_at(&self, min_ready: Duration) -> Option<Timestamp> {
        let since = self.ready_since.filter(|_| self.ready)?;
        since.checked_add(min_ready).ok()
    }

    /// Whether it tolerates the taint of a cordoned node, and so may come back to it.
    pub fn tolerates_cordon(&self) -> bool {
        self.tolerations.iter().any(|toleration| {
            let any_key = toleration.key.is_empty() && toleration.value.is_none();
            let effect = toleration.effect.is_empty() || toleration.effect == "NoSchedule";
            (any_key || toleration.key == CORDON_TAINT) && effect
        })
    }
}

/// What a pod demands of the pods around it, as far as a scheduler must meet it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Neighbours {
    /// Such a pod must run in the same domain.
    pub affinity: Vec<PodTerm>,
    /// No such pod may run in the same domain.
    pub anti_affinity: Vec<PodTerm>,
    /// The constraints with `whenUnsatisfiable: DoNotSchedule`.
    pub spread: Vec<Spread>,
}

impl Neighbours {
    pub fn is_empty(&self) -> bool {
        self.affinity.is_empty() && self.anti_affinity.is_empty() && self.spread.is_empty()
    }
}

/// A term of a required pod affinity or anti-affinity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PodTerm {
    pub pods: PodGroup,
    /// The label of nodes whose value is the domain.
    pub topology_key: String,
}

/// Pods by namespace and labels.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PodGroup {
    /// `None`: every namespace.
    pub namespaces: Option<BTreeSet<String>>,
    pub selector: Selector,
}

impl PodGroup {
    pub fn has(&self, pod: &Pod) -> bool {
        let namespaces = self.namespaces.as_ref();
        namespaces.is_none_or(|names| names.contains(pod.key.namespace.as_str()))
            && self.selector.matches(&pod.labels)
    }
}

/// One of the `topologySpreadConstraints` with `whenUnsatisfiable: DoNotSchedule`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spread {
    pub pods: PodGroup,
    pub topology_key: String,
    pub max_skew: i64,
    pub min_domains: usize,
    /// `nodeAffinityPolicy`: only nodes that the pod's selector and affinity select are domains.
    pub honors_affinity: bool,
    /// `nodeTaintsPolicy`: only nodes whose taints the pod tolerates are domains. If not, a cordoned node is an empty
    /// domain.
    pub honors_taints: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PodPhase {
    Pending,
    Running,
    /// Succeeded or Failed.
    Finished,
}

/// What a label or annotation of a pod asks for. `by` is its key (docs/design/drain.md#which-pods).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PodWish {
    /// `safe-to-evict: "false"`, or `do-not-disrupt: "true"`.
    DoNotDisrupt { by: String },
    /// `do-not-disrupt` with a duration, which counts from the pod's start.
    NotBefore { by: String, until: Timestamp },
    /// `cluster.x-k8s.io/drain: skip`.
    Skip { by: String },
    /// `cluster.x-k8s.io/drain: wait-completed`.
    WaitCompleted { by: String },
}
