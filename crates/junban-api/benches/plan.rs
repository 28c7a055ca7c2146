//! How long one plan takes in a large cluster: `cargo bench -p junban-api --bench plan [NODES]`.
//!
//! 1,000 nodes of 32 CPU run 20,000 pods and are 62 % full. All nodes but one are queued, that one is proven, and no
//! limit but budgets and room binds: every gate is asked for every node. The times are of this machine: compare two
//! versions in one run. No test asserts them.

use std::time::{Duration, Instant};

use junban_api::convert;
use junban_core::cluster::{Cluster, QueueView};
use junban_core::memory::Memory;
use junban_core::plan::plan;
use junban_core::schedule::Schedule;
use junban_core::time::{Mono, Now, Reading};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const PODS_OF_A_NODE: usize = 20;
const PODS_OF_AN_OWNER: usize = 40;
const PLANS: usize = 200;
const GOAL: &str = "2026-11-30T00:00:00Z";

fn typed<T: DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("the benchmark writes valid objects")
}

fn add_node(cluster: &mut Cluster, index: usize) {
    let name = format!("node-{index}");
    let labels = json!({"role": "worker", "kubernetes.io/hostname": name, "zone": format!("z{}", index % 3)});
    let node = json!({
        "metadata": {"name": name, "uid": format!("n{index}"), "resourceVersion": "1", "creationTimestamp": GOAL, "labels": labels},
        "status": {
            "allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "400Gi"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "bootID": format!("boot-{index}"), "systemUUID": format!("machine-{index}"), "architecture": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
            },
        },
    });
    cluster.apply_node(convert::node::read(&typed(node)).expect("a node"));
    // The first node is proven already.
    let status = match index {
        0 => json!({"phase": "Succeeded", "reason": "Proven", "since": GOAL, "bootIDAfter": "boot-0"}),
        _ => json!({"phase": "Queued", "reason": "NoPlace"}),
    };
    let entry = json!({
        "apiVersion": "junban.dev/v1alpha1", "kind": "NodeReboot",
        "metadata": {"name": format!("{name}-1"), "uid": format!("e{index}"), "resourceVersion": "1", "generation": 1, "creationTimestamp": GOAL},
        "spec": {"nodeName": name, "nodeUID": format!("n{index}"), "policy": "workers", "bootedAfter": GOAL},
        "status": status,
    });
    cluster.apply_entry(convert::entry::read(&typed(entry)).expect("an entry"));
}

fn add_pod(cluster: &mut Cluster, index: usize, nodes: usize) {
    let owner = format!("app-{}", index / PODS_OF_AN_OWNER);
    let pod = json!({
        "metadata": {
            "name": format!("{owner}-{index}"), "namespace": "shop", "uid": format!("p{index}"), "resourceVersion": "1",
            "creationTimestamp": GOAL, "labels": {"app": owner},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": true}],
        },
        "spec": {
            "nodeName": format!("node-{}", index % nodes),
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    });
    cluster.apply_pod(convert::pod::read(&typed(pod), "junban").expect("a pod"));
}

fn add_budget(cluster: &mut Cluster, number: usize) {
    let name = format!("app-{number}");
    let healthy = PODS_OF_AN_OWNER;
    let budget = json!({
        "metadata": {"name": name, "namespace": "shop", "uid": format!("b{number}"), "resourceVersion": "1", "generation": 1},
        "spec": {"maxUnavailable": 4, "selector": {"matchLabels": {"app": name}}},
        "status": {
            "disruptionsAllowed": 4, "currentHealthy": healthy, "desiredHealthy": healthy - 4, "expectedPods": healthy,
            "observedGeneration": 1,
        },
    });
    cluster.apply_budget(convert::budget::read(&typed(budget)).expect("a budget"));
}

fn large(nodes: usize) -> Cluster {
    let mut cluster = Cluster::default();
    let queue = json!({
        "apiVersion": "junban.dev/v1alpha1", "kind": "RebootQueue",
        "metadata": {"name": "default", "uid": "q", "resourceVersion": "1", "generation": 1},
        "spec": {"maxUnavailable": "100%", "maxConcurrent": "100%"},
        "status": {"ledger": {"slots": {}}},
    });
    let queue = convert::queue::read(&typed(queue)).expect("a queue");
    cluster.apply_queue(QueueView::Present(Box::new(queue)));
    let policy = json!({
        "apiVersion": "junban.dev/v1alpha1", "kind": "RebootPolicy",
        "metadata": {"name": "workers", "uid": "w", "resourceVersion": "1", "generation": 1},
        "spec": {
            "nodeSelector": {"matchLabels": {"role": "worker"}}, "priority": 0, "bootedAfter": GOAL,
            "reboot": {"ladder": [{"driver": "command", "command": ["true"]}]},
        },
    });
    cluster.apply_policy(convert::policy::read(&typed(policy)).expect("a policy"));
    for index in 0..nodes {
        add_node(&mut cluster, index);
    }
    for number in 0..nodes * PODS_OF_A_NODE / PODS_OF_AN_OWNER {
        add_budget(&mut cluster, number);
    }
    for index in 0..nodes * PODS_OF_A_NODE {
        add_pod(&mut cluster, index, nodes);
    }
    cluster
}

fn main() {
    // Cargo passes --bench.
    let nodes = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1_000);
    let cluster = large(nodes);
    let mut memory = Memory::new("bench");
    let schedule = Schedule::by_scarce_budgets(1, &cluster);
    let mut times = Vec::with_capacity(PLANS);
    let mut granted = 0;
    for number in 0..PLANS {
        let span = Duration::from_millis(60_000 + 10 * number as u64);
        let now = Now {
            mono: Mono(span),
            clock: Reading::default().advanced(span, false),
            wall: "2026-11-30T12:00:00Z".parse().expect("a time"),
        };
        memory.observe(&cluster, now);
        let began = Instant::now();
        let made = plan(&cluster, &memory, &schedule, now);
        times.push(began.elapsed());
        granted = made.report.blockers.len();
    }
    times.sort();
    let at = |share: usize| times[(PLANS - 1) * share / 100].as_secs_f64() * 1_000.0;
    println!(
        "{nodes} nodes, {} pods, {PLANS} plans: p50 {:.1} ms, p99 {:.1} ms; {granted} entries wait",
        nodes * PODS_OF_A_NODE,
        at(50),
        at(99)
    );
}
