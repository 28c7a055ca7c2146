//! The workload of the cluster: Deployments and StatefulSets of 2 to 20 replicas with a Service each, most with a
//! budget; a DaemonSet; a few single replicas; pods with volumes; one pinned pod.

use serde_json::{Value, json};

pub(super) const NAMESPACE: &str = "shop";

/// The label that holds the name of a pod's app.
pub(super) const APP: &str = "app";

/// The replicas of one app after the other, until all pods are used.
const SIZES: &[usize] = &[3, 2, 20, 10, 3, 5, 2, 7, 12, 4, 3, 6, 2, 8, 15];

pub(super) struct Workload {
    /// How many pods the Deployments and StatefulSets have.
    pub(super) pods: usize,
    pub(super) objects: Value,
}

/// The name of the app whose budget allows no disruption.
pub(super) const STUCK: &str = "stuck";

/// Makes `pods` pods. With `stuck_on` there is one more pod on that node, and its budget allows no disruption.
pub(super) fn generate(pods: usize, stuck_on: Option<&str>) -> Workload {
    let mut items = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        daemon_set(),
    ];
    with_volumes_and_pinned(&mut items);
    let mut left = pods.saturating_sub(WITH_VOLUMES_AND_PINNED);
    for index in 0.. {
        let size = match left {
            0 => break,
            1..=3 => 1,
            _ => SIZES[index % SIZES.len()].min(left - 3),
        };
        left -= size;
        let name = format!("app-{index}");
        let budget = (size >= 2).then(|| budget(index, size)).flatten();
        items.push(set(&name, size, index % 4 == 3, &Value::Null));
        items.push(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {APP: name}, "ports": [{"port": 80}]}}));
        if let Some(spec) = budget {
            items.push(pdb(&name, spec));
        }
    }
    if let Some(node) = stuck_on {
        items.push(set(STUCK, 1, false, &json!({"kubernetes.io/hostname": node})));
        items.push(pdb(STUCK, json!({"maxUnavailable": 0})));
    }
    Workload {
        pods: pods.max(WITH_VOLUMES_AND_PINNED) + usize::from(stuck_on.is_some()),
        objects: json!({"apiVersion": "v1", "kind": "List", "items": items}),
    }
}

/// Pods of [`with_volumes_and_pinned`].
const WITH_VOLUMES_AND_PINNED: usize = 4;
const FILES: usize = 3;

/// Pods for which a drain waits longer than for budgets: pods with network volumes, and a pod that can run on one server
/// only.
fn with_volumes_and_pinned(items: &mut Vec<Value>) {
    items.push(
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "files"},
            "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}),
    );
    for index in 0..FILES {
        let name = format!("files-{index}");
        items.push(
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "files",
                "persistentVolumeReclaimPolicy": "Retain",
                "csi": {"driver": "csi.testbed.junban.dev", "volumeHandle": name},
            }}),
        );
    }
    let mut files = set("files", FILES, true, &Value::Null);
    files["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "files",
        "resources": {"requests": {"storage": "1Gi"}},
    }}]);
    items.push(files);
    items.push(pdb("files", json!({"maxUnavailable": 1})));
    items.push(set(
        "pinned",
        1,
        false,
        &json!({"kubernetes.io/hostname": "node-1"}),
    ));
}

/// The budget of an app of this size, if it has one.
fn budget(index: usize, size: usize) -> Option<Value> {
    match index % 5 {
        0 | 2 => Some(json!({"maxUnavailable": 1})),
        1 => Some(json!({"maxUnavailable": "25%"})),
        3 => Some(json!({"minAvailable": (size / 2).max(1)})),
        _ => None,
    }
}

fn pdb(name: &str, budget: Value) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {APP: name}}});
    if let (Value::Object(spec), Value::Object(budget)) = (&mut spec, budget) {
        spec.extend(budget);
    }
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

fn set(name: &str, replicas: usize, stateful: bool, selector: &Value) -> Value {
    let mut spec = json!({
        "replicas": replicas,
        "selector": {"matchLabels": {APP: name}},
        "template": {
            "metadata": {"labels": {APP: name}, "annotations": {
                "testbed.junban.dev/start-seconds": "1",
                "testbed.junban.dev/ready-seconds": "1",
                "testbed.junban.dev/terminate-seconds": "1",
            }},
            "spec": {
                "nodeSelector": selector,
                "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                    "weight": 100,
                    "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {APP: name}}},
                }]}},
                "containers": [{"name": "main", "image": "example/app",
                    "resources": {"requests": {"cpu": "300m", "memory": "256Mi"}}}],
            },
        },
    });
    if stateful {
        spec["serviceName"] = json!(name);
        spec["podManagementPolicy"] = json!("Parallel");
    }
    json!({"apiVersion": "apps/v1", "kind": if stateful { "StatefulSet" } else { "Deployment" },
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

fn daemon_set() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": NAMESPACE},
    "spec": {"selector": {"matchLabels": {"daemon": "agent"}}, "template": {
        "metadata": {"labels": {"daemon": "agent"}},
        "spec": {"tolerations": [{"operator": "Exists"}], "containers": [{"name": "main", "image": "example/agent"}]},
    }}})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::generate;
    use crate::json::{items, text};

    #[test]
    fn as_many_pods_as_asked_for_are_made_and_each_budget_allows_a_disruption() {
        for pods in [10, 40, 300] {
            let workload = generate(pods, None);
            let name = |object: &serde_json::Value| text(&object["metadata"]["name"]).to_owned();
            let mut replicas = BTreeMap::new();
            for set in items(&workload.objects["items"]) {
                if let Some(number) = set["spec"]["replicas"].as_u64() {
                    replicas.insert(name(set), number);
                }
            }
            assert_eq!(replicas.values().sum::<u64>(), pods as u64);
            assert_eq!(workload.pods, pods);
            for budget in items(&workload.objects["items"]) {
                let needs_all =
                    budget["spec"]["minAvailable"].as_u64() >= replicas.get(&name(budget)).copied();
                let is_budget = budget["kind"] == "PodDisruptionBudget";
                let is_stuck = needs_all && budget["spec"]["minAvailable"].is_u64();
                assert!(
                    !is_budget || !is_stuck && budget["spec"]["maxUnavailable"] != 0,
                    "{budget}"
                );
            }
        }
    }
}
