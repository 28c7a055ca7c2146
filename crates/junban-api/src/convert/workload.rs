//! Controllers of pods to core: Deployment, ReplicaSet, StatefulSet, ReplicationController, DaemonSet, Job.

use std::time::Duration;

use junban_core::cluster::{Workload, WorkloadKey, WorkloadKind};
use junban_core::ids::NodeName;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Incomplete, meta, owner};
use crate::names;

pub fn deployment(object: &Deployment) -> Result<Workload, Incomplete> {
    let replicas = scaled(object.spec.replicas);
    let deployment = workload(
        WorkloadKind::Deployment,
        "Deployment",
        &object.metadata,
        replicas,
        None,
    )?;
    Ok(available_after(deployment, object.spec.min_ready_seconds))
}

pub fn replica_set(object: &ReplicaSet) -> Result<Workload, Incomplete> {
    let (replicas, template) = (scaled(object.spec.replicas), object.spec.template.as_ref());
    let replica_set = workload(
        WorkloadKind::ReplicaSet,
        "ReplicaSet",
        &object.metadata,
        replicas,
        template,
    )?;
    Ok(available_after(replica_set, object.spec.min_ready_seconds))
}

pub fn stateful_set(object: &StatefulSet) -> Result<Workload, Incomplete> {
    let (replicas, template) = (scaled(object.spec.replicas), Some(&object.spec.template));
    let stateful_set = workload(
        WorkloadKind::StatefulSet,
        "StatefulSet",
        &object.metadata,
        replicas,
        template,
    )?;
    Ok(available_after(stateful_set, object.spec.min_ready_seconds))
}

pub fn replication_controller(object: &ReplicationController) -> Result<Workload, Incomplete> {
    let spec = object.spec.as_ref();
    let replicas = scaled(spec.and_then(|spec| spec.replicas));
    let template = spec.and_then(|spec| spec.template.as_ref());
    let (kind, name) = (WorkloadKind::ReplicationController, "ReplicationController");
    let controller = workload(kind, name, &object.metadata, replicas, template)?;
    Ok(available_after(
        controller,
        spec.and_then(|spec| spec.min_ready_seconds),
    ))
}

pub fn daemon_set(object: &DaemonSet) -> Result<Workload, Incomplete> {
    workload(WorkloadKind::DaemonSet, "DaemonSet", &object.metadata, None, None)
}

pub fn job(object: &Job) -> Result<Workload, Incomplete> {
    workload(WorkloadKind::Job, "Job", &object.metadata, None, None)
}

/// The node that kured's lock names, if this DaemonSet carries a lock that is held.
pub fn kured_lock_holder(object: &DaemonSet) -> Option<NodeName> {
    let text = object.metadata.annotations.as_ref()?.get(names::KURED_LOCK)?;
    let lock: serde_json::Value = serde_json::from_str(text).ok()?;
    let node = lock["nodeID"].as_str().filter(|node| !node.is_empty())?;
    Some(NodeName::new(node))
}

fn available_after(workload: Workload, min_ready_seconds: Option<i32>) -> Workload {
    let seconds = u64::try_from(min_ready_seconds.unwrap_or_default()).unwrap_or_default();
    Workload {
        min_ready: Duration::from_secs(seconds),
        ..workload
    }
}

/// In every kind with `replicas`, an absent value means 1.
fn scaled(replicas: Option<i32>) -> Option<u32> {
    Some(u32::try_from(replicas.unwrap_or(1)).unwrap_or_default())
}

fn workload(
    kind: WorkloadKind,
    name: &'static str,
    object: &ObjectMeta,
    replicas: Option<u32>,
    template: Option<&PodTemplateSpec>,
) -> Result<Workload, Incomplete> {
    let meta = meta::read(name, object)?;
    // Pods of a template that names a node bypass the scheduler.
    let node = template.and_then(|template| template.spec.as_ref()?.node_name.as_deref());
    Ok(Workload {
        key: WorkloadKey::new(kind, meta.namespace, meta.name),
        version: meta.version,
        replicas,
        owner: owner::controller(object),
        template_node: node.filter(|node| !node.is_empty()).map(NodeName::new),
        min_ready: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_node_that_a_template_names_is_read() {
        let metadata = json!({"name": "agent", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
        let of = |spec| {
            let object = json!({"metadata": metadata, "spec": {"selector": {}, "template": {"spec": spec}}});
            let replica_set: ReplicaSet = serde_json::from_value(object).unwrap();
            super::replica_set(&replica_set).unwrap().template_node
        };
        let node = of(json!({"containers": [], "nodeName": "node-1"}));
        assert_eq!(node, Some(NodeName::new("node-1")));
        assert_eq!(of(json!({"containers": []})), None);
    }

    #[test]
    fn min_ready_seconds_are_read() {
        let metadata = json!({"name": "warm", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
        let of = |spec| {
            let object = json!({"metadata": metadata, "spec": spec});
            let deployment: Deployment = serde_json::from_value(object).unwrap();
            super::deployment(&deployment).unwrap().min_ready
        };
        let spec = |seconds| json!({"selector": {}, "template": {}, "minReadySeconds": seconds});
        assert_eq!(of(spec(120)), Duration::from_secs(120));
        assert_eq!(of(json!({"selector": {}, "template": {}})), Duration::ZERO);
    }
}
