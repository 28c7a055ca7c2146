//! Pods, the templates that they are made from, and how their programs behave.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meta::{Map, Meta, Ms, Name, OwnerKind};
use super::node::{Taint, Toleration};
use crate::rng::Span;

/// The annotation of mirror (static) pods.
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
    /// On one node's disk: bound where its pod first lands, with node affinity there for ever.
    Local,
    /// On the network: attached to the node of its pod by a VolumeAttachment.
    Network,
}

/// How a pod's program behaves. Not visible to the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// From bound to running.
    pub start: Span,
    /// From running to Ready.
    pub ready: Span,
    /// From SIGTERM to its end; the grace period is the most.
    pub stop: Span,
    /// Ends only when the grace period kills it.
    pub ignores_sigterm: bool,
    pub never_ready: bool,
    /// Ends by itself, as a Job does.
    pub runs_for: Option<Span>,
    /// From its end to the detachment of its network volumes; the cluster's own time where none is given.
    pub detach: Option<Span>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            start: Span::ms(500, 2000),
            ready: Span::ms(3000, 10_000),
            stop: Span::ms(500, 3000),
            ignores_sigterm: false,
            never_ready: false,
            runs_for: None,
            detach: None,
        }
    }
}

/// What pods of an owner are made from.
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
    /// Not beside a pod of the same namespace with these labels, by hostname.
    pub anti_affinity: Option<Map>,
    pub tolerations: Vec<Toleration>,
    pub claims: Vec<(String, VolumeKind)>,
    pub empty_dir: bool,
    pub finalizers: Vec<String>,
    pub behaviour: Behaviour,
}

/// What the kubelet reports of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodStatus {
    pub phase: Phase,
    pub ready: bool,
    /// When `ready` last changed.
    pub ready_since: Ms,
    /// Of the running containers.
    pub container_ids: Vec<String>,
    pub restarts: u32,
    pub started: Option<Ms>,
    /// Why it is not scheduled, or why it failed.
    pub reason: String,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    pub meta: Meta,
    pub template: Arc<PodTemplate>,
    pub node: Option<Name>,
    /// Names of PersistentVolumeClaims in the pod's namespace.
    pub claims: Vec<Name>,
    /// Whole seconds, as the deletion asked for them.
    pub deletion_grace_s: u64,
    pub status: PodStatus,
}

impl Pod {
    /// Asked to go, and still there.
    pub fn terminating(&self) -> bool {
        self.meta.deleted.is_some()
    }

    /// Succeeded or Failed.
    pub fn ended(&self) -> bool {
        matches!(self.status.phase, Phase::Succeeded | Phase::Failed)
    }

    /// A static pod's mirror.
    pub fn mirror(&self) -> bool {
        self.meta.annotations.contains_key(MIRROR)
    }

    /// Whether its controller is of this kind.
    pub fn owned_by(&self, kind: OwnerKind) -> bool {
        self.meta.owner.as_ref().is_some_and(|o| o.kind == kind)
    }

    /// Whether it tolerates `taint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.template.tolerations.iter().any(|t| t.tolerates(taint))
    }
}
