//! The controllers of pods.

use smol_str::SmolStr;

use crate::ids::{NodeName, Version};

/// A controller of pods.
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
    /// A kind that Junban knows nothing of: an operator's own.
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

    /// `deployment shop/cart`.
    pub fn describe(&self) -> String {
        let kind = match &self.kind {
            WorkloadKind::Deployment => "deployment",
            WorkloadKind::ReplicaSet => "replicaset",
            WorkloadKind::StatefulSet => "statefulset",
            WorkloadKind::ReplicationController => "replicationcontroller",
            WorkloadKind::DaemonSet => "daemonset",
            WorkloadKind::Job => "job",
            WorkloadKind::Other(kind) => kind,
        };
        format!("{kind} {}/{}", self.namespace, self.name)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    pub key: WorkloadKey,
    pub version: Version,
    /// `spec.replicas`; `None` for kinds without.
    pub replicas: Option<u32>,
    /// The controller of this controller: a ReplicaSet's Deployment, a Job's CronJob.
    pub owner: Option<WorkloadKey>,
    /// `nodeName` of the template: its pods are made on this node, cordoned or not.
    pub template_node: Option<NodeName>,
}
