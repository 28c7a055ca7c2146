//! Controllers of pods to core: Deployment, ReplicaSet, StatefulSet, ReplicationController, DaemonSet, Job.

use junban_core::cluster::{Workload, WorkloadKey, WorkloadKind};
use junban_core::ids::NodeName;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Incomplete, meta, owner};
use crate::names;

/// Reads a Deployment.
pub fn deployment(object: &Deployment) -> Result<Workload, Incomplete> {
    let replicas = object.spec.replicas;
    workload(
        "Deployment",
        WorkloadKind::Deployment,
        &object.metadata,
        scaled(replicas),
    )
}

/// Reads a ReplicaSet.
pub fn replica_set(object: &ReplicaSet) -> Result<Workload, Incomplete> {
    let replicas = object.spec.replicas;
    let replica_set = workload(
        "ReplicaSet",
        WorkloadKind::ReplicaSet,
        &object.metadata,
        scaled(replicas),
    )?;
    let template_node = template_node(object.spec.template.as_ref());
    Ok(Workload {
        template_node,
        ..replica_set
    })
}

/// Reads a StatefulSet.
pub fn stateful_set(object: &StatefulSet) -> Result<Workload, Incomplete> {
    let replicas = object.spec.replicas;
    let stateful_set = workload(
        "StatefulSet",
        WorkloadKind::StatefulSet,
        &object.metadata,
        scaled(replicas),
    )?;
    let template_node = template_node(Some(&object.spec.template));
    Ok(Workload {
        template_node,
        ..stateful_set
    })
}

/// Reads a ReplicationController.
pub fn replication_controller(object: &ReplicationController) -> Result<Workload, Incomplete> {
    let replicas = object.spec.as_ref().and_then(|spec| spec.replicas);
    let kind = WorkloadKind::ReplicationController;
    let controller = workload("ReplicationController", kind, &object.metadata, scaled(replicas))?;
    let template = object.spec.as_ref().and_then(|spec| spec.template.as_ref());
    Ok(Workload {
        template_node: template_node(template),
        ..controller
    })
}

/// Reads a DaemonSet.
pub fn daemon_set(object: &DaemonSet) -> Result<Workload, Incomplete> {
    workload("DaemonSet", WorkloadKind::DaemonSet, &object.metadata, None)
}

/// Reads a Job.
pub fn job(object: &Job) -> Result<Workload, Incomplete> {
    workload("Job", WorkloadKind::Job, &object.metadata, None)
}

/// The node that kured's lock names, if this DaemonSet carries a lock that is held.
pub fn kured_lock_holder(object: &DaemonSet) -> Option<NodeName> {
    let text = object.metadata.annotations.as_ref()?.get(names::KURED_LOCK)?;
    let lock: serde_json::Value = serde_json::from_str(text).ok()?;
    let node = lock["nodeID"].as_str().filter(|node| !node.is_empty())?;
    Some(NodeName::new(node))
}

/// The node that a template names for its pods, which then bypass the scheduler.
fn template_node(template: Option<&PodTemplateSpec>) -> Option<NodeName> {
    let node = template?.spec.as_ref()?.node_name.as_deref();
    node.filter(|node| !node.is_empty()).map(NodeName::new)
}

/// In every kind with `replicas`, an absent value means 1.
fn scaled(replicas: Option<i32>) -> Option<u32> {
    Some(u32::try_from(replicas.unwrap_or(1)).unwrap_or_default())
}

fn workload(
    what: &'static str,
    kind: WorkloadKind,
    object: &ObjectMeta,
    replicas: Option<u32>,
) -> Result<Workload, Incomplete> {
    let meta = meta::read(what, object)?;
    Ok(Workload {
        key: WorkloadKey::new(kind, meta.namespace, meta.name),
        version: meta.version,
        replicas,
        owner: owner::controller(object),
        template_node: None,
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
}
