//! Hand-made watches of a real cluster. A turn as it should be breaks no rule. Each planted mistake breaks its rule.

use std::sync::mpsc::{Sender, channel};

use junban_api::names;
use serde_json::{Value, json};

use super::*;

const ZONE: &str = "topology.kubernetes.io/zone";

/// A cluster of four nodes in two racks, with `shop/cart` on the first two. A watch shows each write at once.
struct Cluster {
    sender: Sender<Seen>,
    watched: Watched,
    log: PathBuf,
    at: Ms,
    version: u64,
}

impl Cluster {
    fn new(queue: Value) -> Self {
        let (sender, events) = channel();
        let number = std::process::id();
        let thread = format!("{:?}", std::thread::current().id());
        let log = std::env::temp_dir().join(format!("junban-watched-{number}-{thread}.log"));
        drop(std::fs::remove_file(&log));
        let mut cluster = Self {
            sender,
            watched: Watched::new(events, &log),
            log,
            at: now(),
            version: 100,
        };
        cluster.put("RebootQueue", "default", json!({"spec": queue, "status": {}}));
        cluster.put("RebootPolicy", "workers", json!({"spec": {}}));
        for node in ["n1", "n2", "n3", "n4"] {
            cluster.node(node, json!({}));
            cluster.lease(node);
            cluster.put("NodeReboot", node, entry(node, json!({})));
        }
        let cart = json!({"spec": {"replicas": 2}});
        cluster.put("StatefulSet", "shop/cart", cart);
        cluster.put("PodDisruptionBudget", "shop/cart", budget(2, 1));
        cluster.put("Pod", "shop/cart-0", pod("n1", true));
        cluster.put("Pod", "shop/cart-1", pod("n2", true));
        cluster.take_in();
        cluster.watched.begin();
        cluster.at = cluster.watched.began() + 1_000;
        cluster
    }

    fn take_in(&mut self) {
        self.watched.wait(Duration::ZERO).unwrap();
    }

    fn later(&mut self, seconds: u64) -> &mut Self {
        self.at += seconds * 1_000;
        self
    }

    fn object(&mut self, kind: &str, name: &str, object: Value) -> (usize, DynamicObject) {
        let kind = KINDS.iter().position(|(_, _, one)| *one == kind).unwrap();
        let mut object = object;
        self.version += 1;
        let (namespace, name) = name.split_once('/').map_or((None, name), |(a, b)| (Some(a), b));
        let metadata = json!({"name": name, "namespace": namespace, "uid": format!("uid-{name}"),
            "resourceVersion": self.version.to_string()});
        object["metadata"] = match object["metadata"].take() {
            Value::Object(more) => {
                let mut all = metadata;
                all.as_object_mut().unwrap().extend(more);
                all
            }
            _ => metadata,
        };
        (kind, serde_json::from_value(object).unwrap())
    }

    fn put(&mut self, kind: &str, name: &str, object: Value) -> &mut Self {
        let (kind, object) = self.object(kind, name, object);
        self.send(kind, self.at, Event::Apply(object))
    }

    fn gone(&mut self, kind: &str, name: &str) -> &mut Self {
        let (kind, object) = self.object(kind, name, json!({}));
        self.send(kind, self.at, Event::Delete(object))
    }

    fn send(&mut self, kind: usize, at: Ms, event: Event<DynamicObject>) -> &mut Self {
        self.sender.send(Seen { kind, at, event }).unwrap();
        self
    }

    /// A Ready node on its first boot, with these differences.
    fn node(&mut self, name: &str, other: Value) -> &mut Self {
        let ready = other["ready"].as_str().unwrap_or("True");
        let manager = other["cordonedBy"].as_str();
        let fields = json!({"f:spec": {"f:unschedulable": {}}});
        let managed = manager
            .map(|manager| json!([{"manager": manager, "fieldsType": "FieldsV1", "fieldsV1": fields}]));
        let marked = other["marked"].as_bool().unwrap_or_default();
        let annotations = if marked {
            json!({(names::MARK): "{}"})
        } else {
            json!({})
        };
        let mut labels = json!({});
        if other["controlPlane"] == true {
            labels[names::CONTROL_PLANE] = json!("");
        }
        labels[ZONE] = json!(if matches!(name, "n1" | "n2") { "a" } else { "b" });
        let node = json!({
            "metadata": {"annotations": annotations, "managedFields": managed, "labels": labels},
            "spec": {"unschedulable": manager.is_some()},
            "status": {"nodeInfo": {"bootID": other["boot"].as_str().unwrap_or("b0")},
                "conditions": [{"type": "Ready", "status": ready}]},
        });
        self.put("Node", name, node)
    }

    fn lease(&mut self, node: &str) -> &mut Self {
        self.put("Lease", &format!("kube-node-lease/{node}"), json!({"spec": {}}))
    }

    fn slots(&mut self, queue: Value, nodes: &[&str]) -> &mut Self {
        let slot = |node: &&str| ((*node).to_owned(), json!({"entryUID": format!("uid-{node}")}));
        let slots: serde_json::Map<String, Value> = nodes.iter().map(slot).collect();
        self.put(
            "RebootQueue",
            "default",
            json!({"spec": queue, "status": {"ledger": {"slots": slots}}}),
        )
    }

    fn phase(&mut self, node: &str, phase: &str) -> &mut Self {
        self.put(
            "NodeReboot",
            node,
            entry(node, json!({"phase": phase, "attempt": 1})),
        )
    }

    fn cordon(&mut self, node: &str) -> &mut Self {
        self.node(node, json!({"cordonedBy": names::FIELD_MANAGER, "marked": true}))
    }

    fn evict(&mut self, name: &str, node: &str) -> &mut Self {
        let mut pod = pod(node, true);
        pod["metadata"]["deletionTimestamp"] = json!("2026-11-30T12:00:00Z");
        let reason = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"});
        pod["status"]["conditions"].as_array_mut().unwrap().push(reason);
        self.put("Pod", name, pod)
    }

    fn power(&mut self, node: &str) -> &mut Self {
        let time = jiff::Timestamp::from_millisecond(self.at.try_into().unwrap()).unwrap();
        let line = json!({"time": time.to_string(), "node": node, "bootIDBefore": "b0", "action": "reset",
            "effect": "reset"});
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        std::fs::write(&self.log, format!("{log}{line}\n")).unwrap();
        self
    }

    /// The first half of a turn of `n1`: up to the power action.
    fn powered(&mut self) -> &mut Self {
        self.slots(json!({}), &["n1"])
            .phase("n1", "Queued")
            .cordon("n1")
            .phase("n1", "Draining");
        self.later(5)
            .evict("shop/cart-0", "n1")
            .later(1)
            .gone("Pod", "shop/cart-0");
        self.put("Pod", "shop/cart-0", pod("n3", false)).later(2);
        self.phase("n1", "Rebooting").later(1).power("n1").later(1)
    }

    /// The rules that were broken.
    fn broken(&mut self) -> Vec<String> {
        self.take_in();
        let violations = self.watched.judge(|_, _| ()).unwrap();
        violations.into_iter().map(|violation| violation.rule).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.log));
    }
}

fn entry(node: &str, status: Value) -> Value {
    json!({"spec": {"nodeName": node, "nodeUID": format!("uid-{node}"), "policy": "workers",
        "bootedAfter": "2026-11-30T11:00:00Z"}, "status": status})
}

fn budget(healthy: u64, needed: u64) -> Value {
    json!({"spec": {"selector": {"matchLabels": {"app": "cart"}}}, "status": {"currentHealthy": healthy,
        "desiredHealthy": needed, "expectedPods": 2, "disruptionsAllowed": healthy - needed}})
}

fn pod(node: &str, ready: bool) -> Value {
    json!({
        "metadata": {"labels": {"app": "cart"}, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet",
            "name": "cart", "uid": "uid-cart", "controller": true}]},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

#[test]
fn a_turn_as_it_should_be_breaks_no_rule() {
    let mut cluster = Cluster::new(json!({}));
    cluster.powered().phase("n1", "Verifying");
    cluster.node("n1", json!({"cordonedBy": "junban", "marked": true, "boot": ""}));
    cluster
        .node(
            "n1",
            json!({"cordonedBy": "junban", "marked": true, "boot": "b1"}),
        )
        .lease("n1");
    cluster
        .later(5)
        .phase("n1", "Succeeded")
        .node("n1", json!({"boot": "b1"}))
        .slots(json!({}), &[]);
    assert_eq!(cluster.broken(), [""; 0]);
    let facts = cluster.watched.facts();
    // An empty bootID is no boot.
    assert_eq!((facts.nodes["n1"].boots, facts.power["n1"]), (1, 1));
    assert_eq!(
        (facts.ready_pods("shop/cart"), facts.replicas["shop/cart"]),
        (1, 2)
    );
}

#[test]
fn a_cordon_without_a_slot_is_found() {
    let mut cluster = Cluster::new(json!({}));
    assert_eq!(cluster.slots(json!({}), &["n2"]).cordon("n1").broken(), ["S4"]);
}

#[test]
fn a_start_above_a_limit_is_found_and_an_edit_holds_after_10_s() {
    let two = json!({"maxUnavailable": 2});
    for (seconds, broken) in [(5, &[""; 0] as &[&str]), (15, &["S4"])] {
        let mut cluster = Cluster::new(two.clone());
        cluster
            .slots(two.clone(), &["n1"])
            .cordon("n1")
            .slots(json!({"maxUnavailable": 1}), &["n1"]);
        cluster
            .later(seconds)
            .slots(json!({"maxUnavailable": 1}), &["n1", "n2"]);
        assert_eq!(cluster.broken(), *broken, "{seconds} s");
    }
    let one = json!({"maxUnavailable": 4, "maxConcurrent": 1});
    let mut cluster = Cluster::new(one.clone());
    assert_eq!(cluster.slots(one, &["n1", "n2"]).broken(), ["S4"]);
    let racks = json!({"spec": {"groups": {"by": ZONE, "atOnce": 1}}});
    for (nodes, broken) in [(["n1", "n2"], &[""; 0] as &[&str]), (["n1", "n3"], &["S4"])] {
        let many = json!({"maxUnavailable": 4});
        let mut cluster = Cluster::new(many.clone());
        cluster
            .put("RebootPolicy", "workers", racks.clone())
            .later(15)
            .slots(many, &nodes);
        assert_eq!(cluster.broken(), *broken, "{nodes:?}");
    }
}

#[test]
fn a_power_action_without_a_record_or_on_a_node_with_pods_is_found() {
    let mut cluster = Cluster::new(json!({}));
    cluster
        .slots(json!({}), &["n1"])
        .cordon("n1")
        .phase("n1", "Draining")
        .later(9)
        .power("n1")
        .later(1);
    assert_eq!(cluster.lease("n2").broken(), ["S3", "S6"]);
}

#[test]
fn a_second_power_action_on_one_boot_is_found() {
    let mut cluster = Cluster::new(json!({}));
    cluster.powered().later(30).power("n1");
    assert_eq!(cluster.broken(), ["S1", "S1"]);
}

#[test]
fn an_eviction_below_a_budget_is_found() {
    let mut cluster = Cluster::new(json!({}));
    cluster
        .evict("shop/cart-1", "n2")
        .later(9)
        .evict("shop/cart-0", "n1");
    assert_eq!(cluster.broken(), ["S7", "services"]);
}

#[test]
fn an_uncordon_of_another_cordon_or_of_an_unproven_node_is_found() {
    let mut cluster = Cluster::new(json!({}));
    cluster
        .node("n1", json!({"cordonedBy": "kubectl", "marked": true}))
        .node("n1", json!({}));
    assert_eq!(cluster.broken(), ["S9"]);
    let mut cluster = Cluster::new(json!({}));
    cluster.powered().node("n1", json!({}));
    assert_eq!(cluster.broken(), ["S10"]);
    // A person may do so.
    let mut cluster = Cluster::new(json!({}));
    cluster.powered().node("n1", json!({"marked": true}));
    assert_eq!(cluster.broken(), [""; 0]);
}

#[test]
fn a_lease_that_was_renewed_just_before_the_new_boot_id_was_shown_proves_the_boot() {
    for (seconds, broken) in [(0, &[""; 0] as &[&str]), (2, &["S10"])] {
        let mut cluster = Cluster::new(json!({}));
        cluster.powered().lease("n1").later(seconds);
        cluster.node(
            "n1",
            json!({"cordonedBy": "junban", "marked": true, "boot": "b1"}),
        );
        assert_eq!(
            cluster.node("n1", json!({"boot": "b1"})).broken(),
            *broken,
            "{seconds} s"
        );
    }
}

#[test]
fn a_cordon_after_the_pause_is_found() {
    for (seconds, broken) in [(4, &[""; 0] as &[&str]), (6, &["S11"])] {
        let mut cluster = Cluster::new(json!({}));
        cluster
            .slots(json!({}), &["n1"])
            .slots(json!({"paused": true}), &["n1"]);
        assert_eq!(
            cluster.later(seconds).cordon("n1").broken(),
            *broken,
            "{seconds} s"
        );
    }
}

#[test]
fn entries_that_share_a_node_jump_or_start_after_failures_are_found() {
    let mut cluster = Cluster::new(json!({}));
    cluster
        .phase("n1", "Queued")
        .put("NodeReboot", "other", entry("n1", json!({"phase": "Queued"})));
    assert_eq!(cluster.broken(), ["S13"]);
    let mut cluster = Cluster::new(json!({}));
    assert_eq!(
        cluster
            .phase("n1", "Queued")
            .phase("n1", "Verifying")
            .phase("n1", "Cancelled")
            .broken(),
        ["S16"]
    );
    let mut cluster = Cluster::new(json!({"failures": {"max": 0}}));
    cluster.slots(json!({"failures": {"max": 0}}), &["n1"]);
    for phase in ["Draining", "Failed"] {
        cluster.phase("n1", phase);
    }
    assert_eq!(
        cluster.slots(json!({"failures": {"max": 0}}), &["n3"]).broken(),
        ["S17"]
    );
}

#[test]
fn a_control_plane_node_beside_a_worker_is_found() {
    let wide = json!({"maxUnavailable": 5, "controlPlane": {"allowQuorumLoss": true}});
    let mut cluster = Cluster::new(wide.clone());
    cluster
        .node("cp", json!({"controlPlane": true}))
        .slots(wide, &["n1", "cp"])
        .phase("n1", "Draining");
    let marked = json!({"controlPlane": true, "cordonedBy": "junban", "marked": true});
    assert_eq!(cluster.node("cp", marked).broken(), ["S5"]);
}

#[test]
fn what_a_new_list_shows_is_taken_in_and_not_judged() {
    let mut cluster = Cluster::new(json!({}));
    let (kind, jumped) = cluster.object("NodeReboot", "n1", entry("n1", json!({"phase": "Failed"})));
    let (_, same) = cluster.object("NodeReboot", "n2", entry("n2", json!({})));
    let at = cluster.at;
    cluster.phase("n1", "Verifying").take_in();
    cluster.send(kind, at, Event::Init);
    cluster
        .send(kind, at, Event::InitApply(jumped))
        .send(kind, at, Event::InitApply(same));
    cluster.send(kind, at, Event::InitDone);
    assert_eq!(cluster.broken(), [""; 0]);
    let entries = cluster.watched.facts().entries;
    assert_eq!(entries.len(), 2, "the others are gone");
}

#[test]
fn a_watch_that_is_late_changes_no_order() {
    let mut cluster = Cluster::new(json!({}));
    let queue = json!({"spec": {}, "status": {"ledger": {"slots": {"n1": {"entryUID": "uid-n1"}}}}});
    let (kind, granted) = cluster.object("RebootQueue", "default", queue);
    cluster.cordon("n1").later(3).lease("n2");
    let at = cluster.at;
    assert_eq!(cluster.send(kind, at, Event::Apply(granted)).broken(), [""; 0]);
}

#[test]
fn a_workload_without_a_ready_pod_is_found_unless_junban_is_not_the_cause() {
    let unready = |cluster: &mut Cluster| {
        cluster
            .put("Pod", "shop/cart-0", pod("n1", false))
            .put("Pod", "shop/cart-1", pod("n2", false));
    };
    let mut cluster = Cluster::new(json!({}));
    unready(&mut cluster);
    assert_eq!(cluster.broken(), ["services"]);
    // A node fell over by itself.
    let mut cluster = Cluster::new(json!({}));
    cluster.node("n2", json!({"ready": "Unknown"}));
    unready(&mut cluster);
    assert_eq!(cluster.broken(), [""; 0]);
    // A node without one of these pods explains nothing.
    let mut cluster = Cluster::new(json!({}));
    cluster.node("n4", json!({"ready": "Unknown"}));
    unready(&mut cluster);
    assert_eq!(cluster.broken(), ["services"]);
    // A person deleted a pod.
    let mut cluster = Cluster::new(json!({}));
    let mut deleted = pod("n1", true);
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-30T12:00:00Z");
    cluster
        .put("Pod", "shop/cart-0", deleted)
        .put("Pod", "shop/cart-1", pod("n2", false));
    assert_eq!(cluster.broken(), [""; 0]);
    // The endpoints of the Service are empty.
    let mut cluster = Cluster::new(json!({}));
    let slice = |ready: bool| {
        json!({"metadata": {"labels": {"kubernetes.io/service-name": "cart"}},
            "endpoints": [{"conditions": {"ready": ready}}]})
    };
    cluster.put("EndpointSlice", "shop/cart-x", slice(true)).put(
        "EndpointSlice",
        "shop/cart-x",
        slice(false),
    );
    assert_eq!(cluster.broken(), ["services"]);
}
