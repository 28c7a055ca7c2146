//! The controller among an object's owners.

use junban_core::cluster::{WorkloadKey, WorkloadKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The owner with `controller: true`, in the object's own namespace.
pub(super) fn controller(meta: &ObjectMeta) -> Option<WorkloadKey> {
    let owner = reference(meta)?;
    let kind = kind(&owner.api_version, &owner.kind);
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    Some(WorkloadKey::new(kind, namespace, owner.name.as_str()))
}

/// Whether the object belongs to a Node: a static pod's mirror.
pub(super) fn is_node(meta: &ObjectMeta) -> bool {
    reference(meta).is_some_and(|owner| owner.kind == "Node" && owner.api_version == "v1")
}

fn reference(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

fn kind(api_version: &str, kind: &str) -> WorkloadKind {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("apps", "Deployment") => WorkloadKind::Deployment,
        ("apps", "ReplicaSet") => WorkloadKind::ReplicaSet,
        ("apps", "StatefulSet") => WorkloadKind::StatefulSet,
        ("apps", "DaemonSet") => WorkloadKind::DaemonSet,
        ("", "ReplicationController") => WorkloadKind::ReplicationController,
        ("batch", "Job") => WorkloadKind::Job,
        // Of another group, so another kind: an operator's own StatefulSet is not scaled by Kubernetes.
        _ => WorkloadKind::Other(kind.to_lowercase()),
    }
}
