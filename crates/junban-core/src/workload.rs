//! Workloads: the controllers of pods.

use std::fmt;
use std::time::Duration;

use smol_str::SmolStr;

use crate::ids::{NodeName, Version};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WorkloadKey {
    pub kind: WorkloadKind,
    pub namespace: SmolStr,
    pub name: SmolStr,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum WorkloadKind {
    Deployment,
    ReplicaSet,
    StatefulSet,
    ReplicationController,
    DaemonSet,
    Job,
    Pod,
    /// A custom resource.
    Other(String),
}

impl WorkloadKey {
    pub fn new(kind: WorkloadKind, namespace: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
        let (namespace, name) = (namespace.into(), name.into());
        Self {
            kind,
            namespace,
            name,
        }
    }
}

/// `deployment shop/cart`.
impl fmt::Display for WorkloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

impl WorkloadKind {
    const KNOWN: [Self; 7] = [
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::ReplicationController,
        Self::DaemonSet,
        Self::Job,
        Self::Pod,
    ];

    /// The kind as it is written in messages.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deployment => "deployment",
            Self::ReplicaSet => "replicaset",
            Self::StatefulSet => "statefulset",
            Self::ReplicationController => "replicationcontroller",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::Pod => "pod",
            Self::Other(kind) => kind,
        }
    }

    /// The kind of this name, as [`Self::as_str`] writes it.
    pub fn named(text: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|kind| kind.as_str() == text);
        known.unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    pub key: WorkloadKey,
    pub version: Version,
    /// `spec.replicas`. `None` for a kind without replicas.
    pub replicas: Option<u32>,
    /// The controller of this controller, as a ReplicaSet's Deployment.
    pub owner: Option<WorkloadKey>,
    /// `nodeName` of the template: its pods are bound to this node even if it is cordoned.
    pub template_node: Option<NodeName>,
    /// `minReadySeconds`: its pod is available when it has been Ready for this long.
    pub min_ready: Duration,
}
