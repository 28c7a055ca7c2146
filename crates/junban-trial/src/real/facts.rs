//! The facts of a real cluster, from an administrator's watches and the power log of the machines.

use std::collections::{BTreeMap, BTreeSet};

use junban_api::names;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::testbed::Testbed;
use super::watches::Seen;
use crate::json::{has_condition, items, text};
use crate::scenario::facts::{EntryFacts, Facts, NodeFacts, PodFacts};

/// The label of a node's rack.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

type Key = (&'static str, String);

#[derive(Default)]
pub(super) struct Collector {
    objects: BTreeMap<Key, DynamicObject>,
    /// The objects that an unfinished list has shown so far.
    listed: BTreeMap<&'static str, BTreeSet<Key>>,
    boots: BTreeMap<String, u32>,
    boot_ids: BTreeMap<String, String>,
    /// For each entry, by UID, how many entries were seen before it.
    order: BTreeMap<String, u64>,
    power: BTreeMap<String, u32>,
    power_lines_before: usize,
}

/// A budget in the API: `namespace/name`, healthy pods, needed pods.
pub(super) type BudgetState = (String, i64, i64);

impl Collector {
    pub(super) fn apply(&mut self, seen: Seen) {
        let kind = seen.kind;
        match seen.event {
            Event::Apply(object) => drop(self.put(kind, object)),
            Event::Delete(object) => drop(self.objects.remove(&key(kind, &object))),
            Event::Init => drop(self.listed.insert(kind, BTreeSet::new())),
            Event::InitApply(object) => {
                let key = self.put(kind, object);
                self.listed.entry(kind).or_default().insert(key);
            }
            Event::InitDone => {
                if let Some(listed) = self.listed.remove(kind) {
                    self.objects
                        .retain(|key, _| key.0 != kind || listed.contains(key));
                }
            }
        }
    }

    fn put(&mut self, kind: &'static str, object: DynamicObject) -> Key {
        let key = key(kind, &object);
        if kind == "Node" {
            let boot = text(&object.data["status"]["nodeInfo"]["bootID"]).to_owned();
            let name = key.1.clone();
            let known = self.boot_ids.insert(name.clone(), boot.clone());
            if !boot.is_empty() && known.is_some_and(|known| !known.is_empty() && known != boot) {
                *self.boots.entry(name).or_default() += 1;
            }
        }
        if kind == "NodeReboot" {
            let next = self.order.len() as u64;
            self.order
                .entry(object.metadata.uid.clone().unwrap_or_default())
                .or_insert(next);
        }
        self.objects.insert(key.clone(), object);
        key
    }

    /// Starts counting boots and power actions.
    pub(super) fn begin(&mut self, bed: &Testbed) {
        self.boots.clear();
        self.power_lines_before = lines(bed).len();
    }

    pub(super) fn read_power_log(&mut self, bed: &Testbed) {
        self.power.clear();
        for line in lines(bed).into_iter().skip(self.power_lines_before) {
            let Ok(line) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            let took_effect = text(&line["effect"]).starts_with("reset");
            if took_effect && line["action"] == "reset" {
                *self.power.entry(text(&line["node"]).to_owned()).or_default() += 1;
            }
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let queue = self.of("RebootQueue").next();
        Facts {
            nodes: self.of("Node").map(|node| self.node(node)).collect(),
            entries: self.entries(),
            pods: self.of("Pod").map(pod).collect(),
            replicas: self.replicas(),
            power: self.power.clone(),
            ..Facts::of_queue(queue.map(|queue| (&queue.data["spec"], &queue.data["status"])))
        }
    }

    pub(super) fn budgets(&self) -> Vec<BudgetState> {
        let state = |budget: &DynamicObject| {
            let number = |field: &str| budget.data["status"][field].as_i64().unwrap_or_default();
            (
                full_name(budget),
                number("currentHealthy"),
                number("desiredHealthy"),
            )
        };
        self.of("PodDisruptionBudget").map(state).collect()
    }

    /// The spec of the queue, if there is one.
    pub(super) fn queue(&self) -> Option<&Value> {
        self.of("RebootQueue").next().map(|queue| &queue.data["spec"])
    }

    /// The specs of the policies, by name.
    pub(super) fn policies(&self) -> BTreeMap<String, Value> {
        self.of("RebootPolicy")
            .map(|policy| (full_name(policy), policy.data["spec"].clone()))
            .collect()
    }

    fn of(&self, kind: &'static str) -> impl Iterator<Item = &DynamicObject> {
        self.objects
            .range((kind, String::new())..)
            .take_while(move |(key, _)| key.0 == kind)
            .map(|(_, object)| object)
    }

    fn node(&self, node: &DynamicObject) -> (String, NodeFacts) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let annotations = node.metadata.annotations.as_ref();
        let mut taints = items(&node.data["spec"]["taints"]).iter();
        let facts = NodeFacts {
            ready: has_condition(&node.data, "Ready"),
            cordoned: node.data["spec"]["unschedulable"].as_bool().unwrap_or_default(),
            marked: annotations.is_some_and(|all| all.contains_key(names::MARK)),
            steered: taints.any(|taint| taint["key"] == names::PENDING),
            off_load_balancers: label(node, names::EXCLUDE_FROM_LOAD_BALANCERS).is_some(),
            with_volume: self
                .of("VolumeAttachment")
                .any(|attachment| attachment.data["spec"]["nodeName"] == name),
            control_plane: [names::CONTROL_PLANE, names::ETCD]
                .iter()
                .any(|role| label(node, role).is_some()),
            rack: label(node, ZONE).map_or_else(|| name.clone(), str::to_owned),
            boots: self.boots.get(&name).copied().unwrap_or_default(),
        };
        (name, facts)
    }

    fn entries(&self) -> Vec<EntryFacts> {
        let entry = |object: &DynamicObject| {
            let uid = object.metadata.uid.clone().unwrap_or_default();
            EntryFacts {
                name: object.metadata.name.clone().unwrap_or_default(),
                order: self.order.get(&uid).copied().unwrap_or_default(),
                uid,
                ..EntryFacts::read(&object.data["spec"], &object.data["status"])
            }
        };
        self.of("NodeReboot").map(entry).collect()
    }

    fn replicas(&self) -> BTreeMap<String, u32> {
        let of = |kind| {
            self.of(kind).map(|object| {
                let replicas = object.data["spec"]["replicas"].as_u64().unwrap_or_default();
                (full_name(object), u32::try_from(replicas).unwrap_or_default())
            })
        };
        of("Deployment").chain(of("StatefulSet")).collect()
    }
}

fn lines(bed: &Testbed) -> Vec<String> {
    let log = std::fs::read_to_string(&bed.ready().power_log).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

fn key(kind: &'static str, object: &DynamicObject) -> Key {
    (kind, full_name(object))
}

/// `namespace/name`, or the name of an object without a namespace.
fn full_name(object: &DynamicObject) -> String {
    let name = object.metadata.name.clone().unwrap_or_default();
    match &object.metadata.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    }
}

fn label<'a>(object: &'a DynamicObject, key: &str) -> Option<&'a str> {
    object.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn pod(pod: &DynamicObject) -> (String, PodFacts) {
    let key = full_name(pod);
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let owner = pod
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true));
    let workload = owner.map(|owner| {
        // The name of a ReplicaSet is the name of its Deployment and the hash of the template.
        let hash = label(pod, "pod-template-hash")
            .map(|hash| format!("-{hash}"))
            .unwrap_or_default();
        let name = owner.name.strip_suffix(&hash).unwrap_or(&owner.name);
        format!("{namespace}/{name}")
    });
    let facts = PodFacts {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        node: text(&pod.data["spec"]["nodeName"]).to_owned(),
        workload: workload.unwrap_or_else(|| key.clone()),
        ready: has_condition(&pod.data, "Ready"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
    };
    (key, facts)
}
