//! A Pod as the cache shows it.

use std::collections::BTreeMap;
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
    /// The scheduler has found no node for it.
    pub fits_nowhere: bool,
    pub labels: Labels,
    pub phase: PodPhase,
    pub ready: bool,
    /// `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    pub created: Timestamp,
    pub grace: Duration,
    pub has_finalizers: bool,
    /// The pod's direct controller, if any.
    pub owner: Option<WorkloadKey>,
    /// The annotation `kubernetes.io/config.mirror`, or an owner of kind Node.
    pub is_mirror: bool,
    /// Names of its emptyDir volumes, less those that `safe-to-evict-local-volumes` names.
    pub empty_dirs: Vec<String>,
    /// What an annotation or label of the pod asks of whoever would evict it.
    pub wish: Option<PodWish>,
    pub claims: Vec<ClaimKey>,
    /// Containers that run now: IDs as reported.
    pub running_containers: Vec<String>,
    pub requests: BTreeMap<String, i64>,
    pub node_selector: Labels,
    /// `spec.affinity.nodeAffinity` that is required, flattened to match terms: any one must match.
    pub required_affinity: Vec<Selector>,
    pub tolerations: Vec<Toleration>,
    pub priority: i32,
    /// One of Junban's own controller pods.
    pub is_junban: bool,
}

impl Pod {
    /// Whether it tolerates the taint of a cordoned node, so that it may land there again.
    pub fn tolerates_cordon(&self) -> bool {
        self.tolerations.iter().any(|toleration| {
            let any_key = toleration.key.is_empty() && toleration.value.is_none();
            let effect = toleration.effect.is_empty() || toleration.effect == "NoSchedule";
            (any_key || toleration.key == CORDON_TAINT) && effect
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PodPhase {
    Pending,
    Running,
    /// Succeeded or Failed.
    Finished,
}

/// A pod's own wish, with the key that says so (drain.md, which pods).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PodWish {
    /// `safe-to-evict: "false"`, or `do-not-disrupt: "true"`.
    DoNotDisrupt { by: String },
    /// `do-not-disrupt` with a duration from the pod's start.
    NotBefore { by: String, until: Timestamp },
    /// `cluster.x-k8s.io/drain: skip`: treated like a DaemonSet's pod.
    Skip { by: String },
    /// `cluster.x-k8s.io/drain: wait-completed`: waited for like a Job's.
    WaitCompleted { by: String },
}
