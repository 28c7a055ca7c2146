//! Small objects for the tests of the commands.

use jiff::Timestamp;
use junban_core::cluster::{Cluster, Node, QueueView};
use junban_core::entry::{Entry, EntrySpec, Record};
use junban_core::goal::entry_name;
use junban_core::ids::{EntryUid, NodeUid, Version};
use junban_core::policy::Policy;
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
        spec["bootedAfter"] = json!(junban_api::convert::format_goal(at(goal)));
    }
    let object = read("RebootPolicy", name, &spec, &json!({"observedGeneration": 1}));
    junban_api::convert::policy::read(&object).unwrap()
}

/// A worker that is Ready and was seen first at second 1.
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
    junban_api::convert::node::read(&object).unwrap()
}

/// The Queued entry of a node for a goal, made by the controller at that very second.
pub(crate) fn entry(node: &str, goal: i64) -> Entry {
    let uid = NodeUid::new(format!("uid of {node}"));
    Entry {
        name: entry_name(&node.into(), &uid, &"workers".into(), at(goal)),
        uid: EntryUid::new(format!("uid of the entry of {node} for {goal}")),
        version: Version(1),
        generation: 1,
        created: at(goal),
        spec: EntrySpec {
            node: node.into(),
            node_uid: uid,
            policy: "workers".into(),
            booted_after: at(goal),
            reason: String::new(),
            requested_by: String::new(),
            priority: 0,
            cancel: false,
            retries: 0,
        },
        record: Record {
            observed_generation: 1,
            ..Record::default()
        },
    }
}

/// A queue, a policy `workers` with a goal, and nodes.
pub(crate) fn cluster(goal: Option<i64>, nodes: &[&str]) -> Cluster {
    let queue = read("RebootQueue", "default", &json!({}), &json!({}));
    let mut cluster = Cluster {
        queue: QueueView::Present(Box::new(junban_api::convert::queue::read(&queue).unwrap())),
        ..Cluster::default()
    };
    cluster.policies.insert("workers".into(), policy("workers", goal));
    for name in nodes {
        cluster.apply_node(node(name));
    }
    cluster
}
