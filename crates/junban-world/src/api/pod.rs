//! Pods, their templates, and how their programs behave.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meta::{Map, Meta, Ms, Name, OwnerKind};
use super::node::{Taint, Toleration};
use crate::rng::Span;

/// The annotation of mirror pods, which stand for static pods.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Phase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
}

/// Where a claim's data lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeKind {
    /// On the disk of one node: the node where its pod is bound first. The pod can run on no other node after that.
    Local,
    /// On the network: a VolumeAttachment attaches it to the node of its pod.
    Network,
}

/// How a pod's program behaves. The API does not show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// From bound to running.
    pub start: Span,
    /// From running to Ready.
    pub ready: Span,
    /// From SIGTERM to its end, but never longer than the grace period.
    pub stop: Span,
    /// It ends only when the grace period is over.
    pub ignores_sigterm: bool,
    /// Nothing but a boot of its machine ends it, as a process that waits for a dead mount.
    pub never_stops: bool,
    pub never_ready: bool,
    /// It ends by itself after this time, as the pod of a Job does.
    pub runs_for: Option<Span>,
    /// From its end to the detachment of its network volumes; `None` takes `Config::detach`.
    pub detach: Option<Span>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            start: Span::ms(500, 2000),
            ready: Span::ms(3000, 10_000),
            stop: Span::ms(500, 3000),
            ignores_sigterm: false,
            never_stops: false,
            never_ready: false,
            runs_for: None,
            detach: None,
        }
    }
}

/// A topology spread constraint with `DoNotSchedule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// The label of nodes whose value is the domain.
    pub topology_key: String,
    pub max_skew: i64,
    /// `nodeTaintsPolicy: Honor`. Without it a cordoned node is a domain.
    pub honors_taints: bool,
}

/// What the pods of an owner look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodTemplate {
    pub labels: Map,
    pub annotations: Map,
    /// CPU in milli-CPUs, memory in bytes.
    pub requests: BTreeMap<String, i64>,
    pub priority: i32,
    pub grace_s: u64,
    pub node_selector: Map,
    pub node_name: Option<String>,
    /// The pod does not run on a node that has a pod of its namespace with these labels.
    pub anti_affinity: Option<Map>,
    /// Its one constraint of `topologySpreadConstraints` with `DoNotSchedule`. It counts pods with the template's labels.
    pub spread: Option<Spread>,
    pub tolerations: Vec<Toleration>,
    pub claims: Vec<(String, VolumeKind)>,
    pub empty_dir: bool,
    pub finalizers: Vec<String>,
    /// Whether `restartPolicy` is Never.
    pub restarts_never: bool,
    pub behaviour: Behaviour,
}

/// What the kubelet reports about a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodStatus {
    pub phase: Phase,
    pub ready: bool,
    /// When `ready` changed last.
    pub ready_since: Ms,
    /// The IDs of the running containers.
    pub container_ids: Vec<String>,
    pub restarts: u32,
    pub started: Option<Ms>,
    /// When it was bound to its node.
    pub bound: Option<Ms>,
    /// Why the pod has no node, or why it failed.
    pub reason: String,
}

impl PodStatus {
    /// The containers have ended, and they do not start again.
    pub(crate) fn end(&mut self, phase: Phase, now: Ms) {
        self.phase = phase;
        self.ready = false;
        self.ready_since = now;
        self.container_ids.clear();
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    pub meta: Meta,
    pub template: Arc<PodTemplate>,
    pub node: Option<Name>,
    /// Names of PersistentVolumeClaims in the pod's namespace.
    pub claims: Vec<Name>,
    /// The grace period of the deletion, in seconds.
    pub deletion_grace_s: u64,
    pub status: PodStatus,
}

impl Pod {
    /// A pod as its template says, not yet in the store. `meta` holds its name and its owner.
    pub(crate) fn new(meta: Meta, template: Arc<PodTemplate>, node: Option<Name>, claims: Vec<Name>) -> Self {
        Self {
            meta: Meta {
                labels: template.labels.clone(),
                annotations: template.annotations.clone(),
                finalizers: template.finalizers.clone(),
                ..meta
            },
            template,
            node,
            claims,
            ..Self::default()
        }
    }

    /// Whether somebody deleted or evicted the pod. The object is still there.
    pub fn terminating(&self) -> bool {
        self.meta.deleted.is_some()
    }

    /// Whether the phase is Succeeded or Failed.
    pub fn ended(&self) -> bool {
        matches!(self.status.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether this is the mirror of a static pod.
    pub fn mirror(&self) -> bool {
        self.meta.annotations.contains_key(MIRROR)
    }

    pub fn owned_by(&self, kind: OwnerKind) -> bool {
        self.meta.owner.as_ref().is_some_and(|o| o.kind == kind)
    }

    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.template.tolerations.iter().any(|t| t.tolerates(taint))
    }
}
