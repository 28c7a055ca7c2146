//! Owners: the objects whose controllers make pods.

use std::sync::Arc;

use super::meta::{Meta, Name, OwnerKind, Selector};
use super::pod::PodTemplate;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnerKey {
    pub kind: OwnerKind,
    pub namespace: Name,
    pub name: Name,
}

impl OwnerKey {
    pub fn new(kind: OwnerKind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// The object of a controller of any [`OwnerKind`]. A Deployment owns its one ReplicaSet, which owns the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub kind: OwnerKind,
    pub meta: Meta,
    /// The number of pods that it asks for; a DaemonSet does not use it.
    pub replicas: i64,
    pub selector: Selector,
    pub template: Arc<PodTemplate>,
    /// Whether this is a Job whose pods have all succeeded.
    pub complete: bool,
    /// `minReadySeconds`: a pod is available when it has been Ready for this long.
    pub min_ready_s: u64,
}

impl Owner {
    pub fn key(&self) -> OwnerKey {
        OwnerKey {
            kind: self.kind,
            namespace: self.meta.namespace.clone(),
            name: self.meta.name.clone(),
        }
    }

    /// Whether the kind has a scale subresource. A budget with a percentage or maxUnavailable needs one.
    pub fn scalable(&self) -> bool {
        matches!(
            self.kind,
            OwnerKind::Deployment
                | OwnerKind::ReplicaSet
                | OwnerKind::StatefulSet
                | OwnerKind::ReplicationController
        )
    }
}
