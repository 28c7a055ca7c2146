//! What runs on the cluster: Deployments and StatefulSets of 2 to 20 replicas under budgets of every form, some
//! without, with a Service each; a DaemonSet; a few single replicas; pods with volumes, and a pinned one. The needs are computed here, not read back.

use serde_json::{Value, json};

pub(super) const NAMESPACE: &str = "shop";

/// The label by which a pod's app is known.
pub(super) const APP: &str = "app";

/// Sizes in the order in which apps get them, until the pods are used up.
const SIZES: &[usize] = &[3, 2, 20, 10, 3, 5, 2, 7, 12, 4, 3, 6, 2, 8, 15];

/// One Deployment or StatefulSet.
pub(super) struct App {
    pub(super) name: String,
    pub(super) replicas: usize,
    /// Ready pods that its budget demands; none without a budget.
    pub(super) need: Option<usize>,
}

pub(super) struct Workload {
    pub(super) apps: Vec<App>,
    pub(super) objects: Value,
}

/// The name of the app whose budget allows nothing.
pub(super) const STUCK: &str = "stuck";

/// About `pods` pods; with `stuck_on`, one more on that node whose budget allows no disruption.
pub(super) fn generate(pods: usize, stuck_on: Option<&str>) -> Workload {
    let mut apps = Vec::new();
    let mut items = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        daemon_set(),
    ];
    apps.extend(beside(&mut items));
    let mut left = pods.saturating_sub(BESIDE);
    for index in 0.. {
        let size = match left {
            0 => break,
            1..=3 => 1,
            _ => SIZES[index % SIZES.len()].min(left - 3),
        };
        left -= size;
        let name = format!("app-{index}");
        let (budget, need) = if size < 2 {
            (None, None)
        } else {
            budget(index, size)
        };
        items.push(set(&name, size, index % 4 == 3, &Value::Null));
        items.push(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {APP: name}, "ports": [{"port": 80}]}}));
        if let Some(spec) = budget {
            items.push(pdb(&name, spec));
        }
        apps.push(App {
            name,
            replicas: size,
            need,
        });
    }
    if let Some(node) = stuck_on {
        items.push(set(STUCK, 1, false, &json!({"kubernetes.io/hostname": node})));
        items.push(pdb(STUCK, json!({"maxUnavailable": 0})));
        apps.push(App {
            name: STUCK.to_owned(),
            replicas: 1,
            need: Some(1),
        });
    }
    Workload {
        apps,
        objects: json!({"apiVersion": "v1", "kind": "List", "items": items}),
    }
}

/// Pods of [`beside`].
const BESIDE: usize = 4;
const FILES: usize = 3;

/// What makes a drain wait for more than budgets: pods with volumes of the network, and one that can run on one
/// server only.
fn beside(items: &mut Vec<Value>) -> [App; 2] {
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
    let app = |name: &str, replicas, need| App {
        name: name.to_owned(),
        replicas,
        need,
    };
    [app("files", FILES, Some(FILES - 1)), app("pinned", 1, None)]
}

/// Percentages of a budget round up, also those of maxUnavailable.
fn budget(index: usize, size: usize) -> (Option<Value>, Option<usize>) {
    match index % 5 {
        0 | 2 => (Some(json!({"maxUnavailable": 1})), Some(size - 1)),
        1 => (
            Some(json!({"maxUnavailable": "25%"})),
            Some(size - size.div_ceil(4)),
        ),
        3 => {
            let least = (size / 2).max(1);
            (Some(json!({"minAvailable": least})), Some(least))
        }
        _ => (None, None),
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
    use super::generate;

    #[test]
    fn the_pods_asked_for_are_made_and_each_budget_leaves_room() {
        for pods in [10, 40, 300] {
            let workload = generate(pods, None);
            assert_eq!(workload.apps.iter().map(|app| app.replicas).sum::<usize>(), pods);
            assert!(
                workload
                    .apps
                    .iter()
                    .all(|app| app.need.is_none_or(|need| need < app.replicas))
            );
        }
    }
}
