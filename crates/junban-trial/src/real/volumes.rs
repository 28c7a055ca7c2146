//! The volumes of a scenario's workloads and their claims. Nothing provisions volumes in the testbed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::scenario::model::{Kind, Workload};
use crate::testbed::ANNOTATION;

pub(super) fn has_volume(workload: &Workload) -> bool {
    workload.local_volume || workload.csi_volume.is_some()
}

pub(super) fn claim_templates(workload: &Workload) -> Value {
    if !has_volume(workload) {
        return json!([]);
    }
    json!([{"metadata": {"name": "data"}, "spec": claim_spec(workload)}])
}

fn claim_spec(workload: &Workload) -> Value {
    json!({
        "accessModes": ["ReadWriteOnce"], "storageClassName": class(workload),
        "resources": {"requests": {"storage": "1Gi"}},
    })
}

fn class(workload: &Workload) -> String {
    format!("{}-{}", workload.key.namespace, workload.key.name)
}

/// One volume for each pod. A local volume is on the node of its pod; if the scheduler chooses that node, there is a local
/// volume on each worker.
pub(super) fn volumes(workload: &Workload, nodes: &[String]) -> Vec<Value> {
    if !has_volume(workload) {
        return vec![];
    }
    let class = class(workload);
    let mut objects = vec![json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
    })];
    for index in 0..workload.replicas {
        let name = format!("{class}-{index}");
        if !workload.local_volume {
            let source = json!({"driver": "csi.testbed.junban.dev", "volumeHandle": name});
            objects.push(volume(workload, &name, "csi", &source));
            continue;
        }
        let place = workload.on.get(index as usize).or(workload.only_on.as_ref());
        let workers = nodes.iter().filter(|node| !node.starts_with("cp-"));
        let places: Vec<&String> = place.map_or_else(|| workers.collect(), |place| vec![place]);
        for node in places {
            let name = format!("{name}-{node}");
            let mut local = volume(
                workload,
                &name,
                "local",
                &json!({"path": format!("/data/{name}")}),
            );
            let expression = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
            local["spec"]["nodeAffinity"] =
                json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}});
            objects.push(local);
        }
    }
    if workload.kind != Kind::StatefulSet {
        objects.push(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": format!("data-{}", workload.key.name), "namespace": workload.key.namespace},
            "spec": claim_spec(workload),
        }));
    }
    objects
}

fn volume(workload: &Workload, name: &str, kind: &str, source: &Value) -> Value {
    let detach = workload.csi_volume.unwrap_or(Duration::from_secs(1));
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {format!("{ANNOTATION}detach-seconds"): detach.as_secs_f64().to_string()},
        },
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": class(workload),
            "persistentVolumeReclaimPolicy": "Retain", kind: source,
        },
    })
}
