//! The controller of an object, which is one of its owners.

use junban_core::cluster::{WorkloadKey, WorkloadKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The owner with `controller: true`. It is in the object's own namespace.
pub(super) fn controller(meta: &ObjectMeta) -> Option<WorkloadKey> {
    let owner = reference(meta)?;
    let kind = kind(&owner.api_version, &owner.kind);
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    Some(WorkloadKey::new(kind, namespace, owner.name.as_str()))
}

/// Whether a Node controls the object: then it is the mirror of a static pod.
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
        ("", "Pod") => WorkloadKind::Pod,
        ("batch", "Job") => WorkloadKind::Job,
        // A kind of another group. For example, Kubernetes does not scale an operator's own StatefulSet.
        _ => WorkloadKind::Other(kind.to_lowercase()),
    }
}
