//! Small objects for the tests of the commands.

use jiff::Timestamp;
use junban_api::convert;
use junban_core::cluster::{Cluster, QueueView};
use junban_core::entry::{Entry, EntrySpec, Phase, Record};
use junban_core::goal::entry_name;
use junban_core::ids::{EntryUid, NodeUid, Version};
use junban_core::node::Node;
use junban_core::policy::Policy;
use junban_core::queue::Slot;
use junban_core::time::{Mono, Now, Reading};
use kube::core::DynamicObject;
use serde_json::{Value, json};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn now(second: i64) -> Now {
    Now {
        mono: Mono::from_millis(1_000_000),
        clock: Reading::default(),
        wall: at(second),
    }
}

fn read(kind: &str, name: &str, spec: &Value, status: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "junban.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "uid": format!("uid of {name}"),
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": "1970-01-01T00:00:00Z",
        },
        "spec": spec,
        "status": status,
    }))
    .unwrap()
}

/// A policy that selects `role=worker` with a driver, whose status is up to date.
pub(crate) fn policy(name: &str, goal: Option<i64>) -> Policy {
    let mut spec = json!({
        "nodeSelector": {"matchLabels": {"role": "worker"}},
        "priority": 0,
        "reboot": {"ladder": [{"driver": "command", "command": ["reboot-it"]}]},
    });
    if let Some(goal) = goal {
        spec["bootedAfter"] = json!(convert::format_goal(at(goal)));
    }
    let object = read("RebootPolicy", name, &spec, &json!({"observedGeneration": 1}));
    convert::policy::read(&object).unwrap()
}

/// Makes a policy unreadable: only its outline is known, and no controller ever wrote its status.
pub(crate) fn unreadable(cluster: &mut Cluster, name: &str) {
    if let Some(policy) = cluster.policies.get_mut(&name.into()) {
        policy.reboot.ladder.clear();
        policy.summary.observed_generation = 0;
    }
    let text = "spec.drain.jobs.evict: not a label".to_owned();
    cluster.unreadable_policies.insert(name.into(), text);
}

/// A worker that is Ready. Junban saw it first at second 1.
pub(crate) fn node(name: &str) -> Node {
    let object = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "uid": format!("uid of {name}"),
            "resourceVersion": "1",
            "creationTimestamp": "1970-01-01T00:00:00Z",
            "labels": {"role": "worker", "kubernetes.io/hostname": name},
            "annotations": {"junban.dev/boot": "boot-1 - 1970-01-01T00:00:01Z"},
        },
        "status": {
            "nodeInfo": {
                "bootID": "boot-1", "systemUUID": "s", "architecture": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                "operatingSystem": "", "osImage": "",
            },
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }))
    .unwrap();
    convert::node::read(&object).unwrap()
}

/// The Queued entry that the controller made for a node and a goal, at the second of the goal.
pub(crate) fn entry(node: &str, goal: i64) -> Entry {
    let uid = NodeUid::new(format!("uid of {node}"));
    Entry {
        name: entry_name(&node.into(), &uid, &"workers".into(), at(goal)),
        uid: EntryUid::new(format!("uid of the entry of {node} for {goal}")),
        version: Version(1),
        generation: 1,
        created: at(goal),
        spec: EntrySpec::new(node.into(), uid, "workers".into(), at(goal)),
        record: Record {
            observed_generation: 1,
            ..Record::default()
        },
    }
}

/// Ends the node's entry as a cancel does, and registers the Node again: only the entry holds the waiver.
pub(crate) fn cancel_and_register_again(cluster: &mut Cluster, name: &str, goal: i64) {
    let mut ended = entry(name, goal);
    ended.record.phase = Phase::Cancelled;
    ended.record.waived = Some(at(goal));
    cluster.apply_entry(ended);
    if let Some(node) = cluster.nodes.get_mut(&name.into()) {
        node.uid = NodeUid::new(format!("another uid of {name}"));
    }
}

/// Puts the entry's slot into the ledger.
pub(crate) fn grant(cluster: &mut Cluster, entry: &Entry) {
    let QueueView::Present(queue) = &mut cluster.queue else {
        return;
    };
    let slot = Slot {
        node_uid: entry.spec.node_uid.clone(),
        entry: entry.name.clone(),
        entry_uid: entry.uid.clone(),
        reserved: Vec::new(),
    };
    let ledger = queue.ledger.get_or_insert_default();
    ledger.slots.insert(entry.spec.node.clone(), slot);
}

/// Adds a Deployment with its ReplicaSet and one Ready pod on each of these nodes. `max_unavailable`: adds a budget that
/// allows so many disruptions.
pub(crate) fn deploy(cluster: &mut Cluster, app: &str, on: &[&str], max_unavailable: Option<usize>) {
    let meta = |name: &str, owner: Value| {
        json!({
            "name": name, "namespace": "shop", "uid": format!("uid of {name}"), "resourceVersion": "1",
            "creationTimestamp": "1970-01-01T00:00:00Z", "labels": {"app": app}, "ownerReferences": owner,
        })
    };
    let owner = |kind: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": app, "uid": "u", "controller": true}]);
    let spec = json!({"replicas": on.len(), "selector": {"matchLabels": {"app": app}}, "template": {}});
    let workloads = [
        json!({"metadata": meta(app, json!([])), "spec": spec}),
        json!({"metadata": meta(app, owner("Deployment")), "spec": spec}),
    ];
    let [deployment, replica_set] = workloads;
    let read = [
        convert::workload::deployment(&serde_json::from_value(deployment).unwrap()).unwrap(),
        convert::workload::replica_set(&serde_json::from_value(replica_set).unwrap()).unwrap(),
    ];
    for workload in read {
        cluster.workloads.insert(workload.key.clone(), workload);
    }
    for (number, node) in on.iter().enumerate() {
        let pod = json!({
            "metadata": meta(&format!("{app}-{number}"), owner("ReplicaSet")),
            "spec": {"nodeName": node, "containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let pod = serde_json::from_value(pod).unwrap();
        cluster.apply_pod(convert::pod::read(&pod, "junban").unwrap());
    }
    if let Some(allowed) = max_unavailable {
        let pods = on.len();
        let budget = json!({
            "metadata": meta(app, json!([])),
            "spec": {"maxUnavailable": allowed, "selector": {"matchLabels": {"app": app}}},
            "status": {
                "disruptionsAllowed": allowed, "currentHealthy": pods, "desiredHealthy": pods - allowed,
                "expectedPods": pods,
            },
        });
        let budget = serde_json::from_value(budget).unwrap();
        cluster.apply_budget(convert::budget::read(&budget).unwrap());
    }
}

/// A queue, a policy `workers` with a goal, and nodes.
pub(crate) fn cluster(goal: Option<i64>, nodes: &[&str]) -> Cluster {
    let queue = read("RebootQueue", "default", &json!({}), &json!({}));
    let mut cluster = Cluster {
        queue: QueueView::Present(Box::new(convert::queue::read(&queue).unwrap())),
        ..Cluster::default()
    };
    cluster.policies.insert("workers".into(), policy("workers", goal));
    for name in nodes {
        cluster.apply_node(node(name));
    }
    cluster
}
