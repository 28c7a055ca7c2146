//! Everything that Junban observes: core's cluster, and the few facts that only this adapter needs. Watches, live reads
//! and the answers to our own writes put objects in; the higher version wins.
//!
//! This file knows nothing of watches or requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use junban_api::{convert, names};
use junban_core::cluster::{Cluster, Node, Pod, QueueView, Workload, WorkloadKey};
use junban_core::entry::Entry;
use junban_core::ids::{EntryName, NodeName, PdbKey, PodKey, PodUid, PolicyName, Version};
use junban_core::time::Mono;
use junban_engine::clock::boottime;
use junban_engine::shell::locked;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use tokio::sync::Notify;

use crate::gone::{Gone, Tombstones};
use crate::patch::Shape;
use crate::resource::Kind;
use crate::volumes::Volumes;

/// The least time between two wake-ups for renewals of nodes' Leases.
const LEASE_WAKE: Duration = Duration::from_secs(1);

/// Shared by the watches and the ports.
pub struct Store {
    pub cluster: Arc<Mutex<Cluster>>,
    /// Notified when the cluster has changed.
    pub changed: Arc<Notify>,
    /// The namespace that Junban runs in.
    namespace: String,
    /// Lock order: this one first, then `cluster`.
    extra: Mutex<Extra>,
}

/// Facts that core does not need.
#[derive(Default)]
struct Extra {
    /// Nodes without annotations or without labels. All others have [`Shape::USUAL`].
    shapes: BTreeMap<NodeName, Shape>,
    /// `status.conditions` of our own objects, for the times in them.
    conditions: BTreeMap<String, Value>,
    volumes: Volumes,
    tombstones: Tombstones,
    /// For each DaemonSet of kured: the node that its lock names.
    kured: BTreeMap<WorkloadKey, NodeName>,
    /// When a node's Lease last woke the engine, or will wake it.
    lease_woken: Option<Mono>,
    lease_wake_pending: bool,
}

/// The owner that core reports for a node that kured's lock names.
const KURED: &str = "kured: its lock names this node";

impl Store {
    pub fn new(namespace: &str) -> Self {
        Self {
            cluster: Arc::default(),
            changed: Arc::default(),
            namespace: namespace.to_owned(),
            extra: Mutex::default(),
        }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Cluster) -> T) -> T {
        look(&locked(&self.cluster))
    }

    /// Changes the cluster, and wakes the engine if `change` returns that something is new.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Cluster) -> bool) {
        if change(&mut locked(&self.cluster)) {
            self.changed.notify_one();
        }
    }

    /// Puts an object into the cluster, unless a tombstone says that this version is gone.
    fn put(&self, key: &str, version: Version, change: impl FnOnce(&mut Cluster) -> bool) {
        let extra = locked(&self.extra);
        if !extra.tombstones.cover(key, version) {
            self.change(change);
        }
    }

    /// Removes the known object of a name, if it is the one that is gone.
    fn remove(
        &self,
        key: &str,
        gone: Gone<'_>,
        known: impl FnOnce(&Cluster) -> Option<(&str, Version)>,
        remove: impl FnOnce(&mut Cluster),
    ) {
        let mut extra = locked(&self.extra);
        self.change(|cluster| {
            let known = known(cluster).filter(|(uid, version)| gone.covers(uid, *version));
            let known = known.map(|(_, version)| version);
            let as_of = match gone {
                Gone::AsOf(version) => Some(version),
                Gone::Uid(_) => known,
            };
            if let Some(as_of) = as_of {
                extra.tombstones.add(key, as_of, boottime());
            }
            if known.is_some() {
                remove(cluster);
            }
            known.is_some()
        });
    }

    /// Puts a Node in. `None`: it cannot be read, which is logged.
    pub(crate) fn apply_node(&self, object: &core::Node) -> Option<Node> {
        let mut node = reported(convert::node::read(object))?;
        {
            let mut extra = locked(&self.extra);
            let shape = Shape {
                annotations: object
                    .metadata
                    .annotations
                    .as_ref()
                    .is_some_and(|map| !map.is_empty()),
                labels: object.metadata.labels.as_ref().is_some_and(|map| !map.is_empty()),
            };
            if shape == Shape::USUAL {
                extra.shapes.remove(&node.name);
            } else {
                extra.shapes.insert(node.name.clone(), shape);
            }
            if node.foreign_owner.is_none() && extra.kured.values().any(|name| *name == node.name) {
                node.foreign_owner = Some(KURED.to_owned());
            }
        }
        self.put(&node_key(&node.name), node.version, |cluster| {
            cluster.apply_node(node.clone())
        });
        // The known Node also has its Lease.
        Some(
            self.with(|cluster| cluster.nodes.get(&node.name).cloned())
                .unwrap_or(node),
        )
    }

    pub(crate) fn shape(&self, node: &NodeName) -> Shape {
        locked(&self.extra)
            .shapes
            .get(node)
            .copied()
            .unwrap_or(Shape::USUAL)
    }

    pub(crate) fn remove_node(&self, name: &NodeName, gone: Gone<'_>) {
        self.remove(
            &node_key(name),
            gone,
            |cluster| {
                let node = cluster.nodes.get(name)?;
                Some((node.uid.as_str(), node.version))
            },
            |cluster| drop(cluster.nodes.remove(name)),
        );
    }

    /// Notes that a kubelet renewed its Lease. Wakes the engine only for nodes that a turn may wait for.
    pub(crate) fn apply_node_lease(self: &Arc<Self>, name: &NodeName, renewed: String) {
        let awaited = {
            let mut cluster = locked(&self.cluster);
            let Some(node) = cluster.nodes.get_mut(name) else {
                return;
            };
            node.lease = renewed;
            !node.ready || node.mark_text.is_some()
        };
        if !awaited {
            return;
        }
        let now = boottime();
        let wait = {
            let mut extra = locked(&self.extra);
            if extra.lease_wake_pending {
                return;
            }
            let wait = extra
                .lease_woken
                .map_or(Duration::ZERO, |last| LEASE_WAKE.saturating_sub(now.since(last)));
            extra.lease_woken = Some(now + wait);
            extra.lease_wake_pending = !wait.is_zero();
            wait
        };
        if wait.is_zero() {
            self.changed.notify_one();
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            locked(&store.extra).lease_wake_pending = false;
            store.changed.notify_one();
        });
    }

    pub(crate) fn apply_pod(&self, object: &core::Pod) -> Option<Pod> {
        let pod = reported(convert::pod::read(object, &self.namespace))?;
        self.put(&pod_key(&pod.key), pod.version, |cluster| {
            cluster.apply_pod(pod.clone())
        });
        Some(pod)
    }

    pub(crate) fn remove_pod(&self, key: &PodKey, gone: Gone<'_>) {
        self.remove(
            &pod_key(key),
            gone,
            |cluster| cluster.pods.get(key).map(|pod| (pod.uid.as_str(), pod.version)),
            |cluster| cluster.remove_pod(key),
        );
    }

    /// The server answered that the deletion of this pod has begun.
    pub(crate) fn pod_terminates(&self, key: &PodKey, uid: &PodUid) {
        self.change(|cluster| cluster.pod_terminates(key, uid));
    }

    pub(crate) fn apply_budget(&self, object: &PodDisruptionBudget) {
        let Some(budget) = reported(convert::budget::read(object)) else {
            return;
        };
        self.change(|cluster| cluster.apply_budget(budget));
    }

    pub(crate) fn remove_budget(&self, key: &PdbKey) {
        self.change(|cluster| cluster.remove_budget(key));
    }

    pub(crate) fn apply_workload(&self, read: Result<Workload, convert::Incomplete>) {
        let Some(workload) = reported(read) else { return };
        self.change(|cluster| cluster.apply_workload(workload));
    }

    pub(crate) fn remove_workload(&self, key: &WorkloadKey) {
        self.change(|cluster| cluster.workloads.remove(key).is_some());
        self.apply_kured_lock(key, None);
    }

    /// Notes the node that the lock of a kured DaemonSet names.
    pub(crate) fn apply_kured_lock(&self, set: &WorkloadKey, holder: Option<NodeName>) {
        let before = {
            let mut extra = locked(&self.extra);
            match &holder {
                Some(node) => extra.kured.insert(set.clone(), node.clone()),
                None => extra.kured.remove(set),
            }
        };
        if before == holder {
            return;
        }
        self.change(|cluster| {
            if let Some(node) = before.and_then(|name| cluster.nodes.get_mut(&name))
                && node.foreign_owner.as_deref() == Some(KURED)
            {
                node.foreign_owner = None;
            }
            if let Some(node) = holder.and_then(|name| cluster.nodes.get_mut(&name))
                && node.foreign_owner.is_none()
            {
                node.foreign_owner = Some(KURED.to_owned());
            }
            true
        });
    }

    /// Changes claims and volumes.
    pub(crate) fn volumes(&self, change: impl FnOnce(&mut Volumes, &mut Cluster)) {
        let mut extra = locked(&self.extra);
        change(&mut extra.volumes, &mut locked(&self.cluster));
        drop(extra);
        self.changed.notify_one();
    }

    pub(crate) fn volume_names(&self) -> impl Iterator<Item = String> {
        locked(&self.extra).volumes.volume_names().into_iter()
    }

    pub(crate) fn apply_attachment(
        &self,
        object: &VolumeAttachment,
    ) -> Option<junban_core::cluster::Attachment> {
        let attachment = reported(convert::attachment::read(object))?;
        let key = format!("VolumeAttachment/{}", attachment.name);
        self.put(&key, attachment.version, |cluster| {
            cluster.apply_attachment(attachment.clone())
        });
        Some(attachment)
    }

    pub(crate) fn remove_attachment(&self, name: &str, gone: Gone<'_>) {
        let key = format!("VolumeAttachment/{name}");
        self.remove(
            &key,
            gone,
            |cluster| cluster.attachments.get(name).map(|known| ("", known.version)),
            |cluster| drop(cluster.attachments.remove(name)),
        );
    }

    /// Puts the queue in. A queue that cannot be read counts as paused.
    pub(crate) fn apply_queue(&self, object: &DynamicObject) -> QueueView {
        let view = match convert::queue::read(object) {
            Ok(queue) => QueueView::Present(Box::new(queue)),
            Err(error) => QueueView::Unreadable(error.to_string()),
        };
        self.remember_conditions(Kind::Queue, object);
        self.put(&Kind::Queue.key(names::QUEUE), version_of(object), |cluster| {
            cluster.apply_queue(view.clone())
        });
        view
    }

    pub(crate) fn remove_queue(&self, gone: Gone<'_>) {
        self.remove(
            &Kind::Queue.key(names::QUEUE),
            gone,
            |cluster| match &cluster.queue {
                QueueView::Absent => None,
                QueueView::Unreadable(_) => Some(("", Version::default())),
                QueueView::Present(queue) => Some((queue.uid.as_str(), queue.version)),
            },
            |cluster| cluster.queue = QueueView::Absent,
        );
    }

    /// The UID of the known queue. Empty: that queue cannot be read.
    pub(crate) fn queue_uid(&self) -> Option<String> {
        self.with(|cluster| match &cluster.queue {
            QueueView::Absent => None,
            QueueView::Unreadable(_) => Some(String::new()),
            QueueView::Present(queue) => Some(queue.uid.as_str().to_owned()),
        })
    }

    /// Puts a policy in. A policy that cannot be read still governs its nodes, and nothing starts under it.
    pub(crate) fn apply_policy(&self, object: &DynamicObject) {
        self.remember_conditions(Kind::Policy, object);
        let (name, key) = (
            PolicyName::new(object.name_any()),
            Kind::Policy.key(&object.name_any()),
        );
        let version = version_of(object);
        match convert::policy::read(object) {
            Ok(policy) => self.put(&key, version, |cluster| {
                cluster.unreadable_policies.remove(&name);
                cluster.apply_policy(policy)
            }),
            Err(error) => self.put(&key, version, |cluster| {
                cluster.policies.remove(&name);
                if let Some(outline) = convert::policy::outline(object) {
                    cluster.policies.insert(name.clone(), outline);
                }
                let before = cluster.unreadable_policies.insert(name, error.to_string());
                before != Some(error.to_string())
            }),
        }
    }

    pub(crate) fn remove_policy(&self, name: &str, gone: Gone<'_>) {
        let key = Kind::Policy.key(name);
        let name = PolicyName::from(name);
        self.change(|cluster| cluster.unreadable_policies.remove(&name).is_some());
        self.remove(
            &key,
            gone,
            |cluster| cluster.policies.get(&name).map(|policy| ("", policy.version)),
            |cluster| drop(cluster.policies.remove(&name)),
        );
        locked(&self.extra).conditions.remove(&key);
    }

    /// Puts an entry in. The error says why it cannot be read.
    pub(crate) fn apply_entry(&self, object: &DynamicObject) -> Result<Entry, String> {
        self.remember_conditions(Kind::Entry, object);
        let key = Kind::Entry.key(&object.name_any());
        match convert::entry::read(object) {
            Ok(entry) => {
                self.put(&key, entry.version, |cluster| {
                    let unreadable = cluster.unreadable_entries.remove(&entry.name).is_some();
                    cluster.apply_entry(entry.clone()) || unreadable
                });
                Ok(entry)
            }
            Err(error) => {
                let text = error.to_string();
                self.put(&key, version_of(object), |cluster| {
                    let name = EntryName::new(object.name_any());
                    cluster.entries.remove(&name);
                    cluster.unreadable_entries.insert(name, text.clone()) != Some(text.clone())
                });
                Err(text)
            }
        }
    }

    pub(crate) fn remove_entry(&self, name: &EntryName, gone: Gone<'_>) {
        let key = Kind::Entry.key(name.as_str());
        self.change(|cluster| cluster.unreadable_entries.remove(name).is_some());
        self.remove(
            &key,
            gone,
            |cluster| {
                let entry = cluster.entries.get(name)?;
                Some((entry.uid.as_str(), entry.version))
            },
            |cluster| drop(cluster.entries.remove(name)),
        );
        locked(&self.extra).conditions.remove(&key);
    }

    /// What the next status needs of the current one: its conditions.
    pub(crate) fn previous_status(&self, kind: Kind, name: &str) -> Value {
        let extra = locked(&self.extra);
        let conditions = extra.conditions.get(&kind.key(name)).cloned().unwrap_or_default();
        serde_json::json!({ "conditions": conditions })
    }

    fn remember_conditions(&self, kind: Kind, object: &DynamicObject) {
        let conditions = object
            .data
            .pointer("/status/conditions")
            .cloned()
            .unwrap_or_default();
        locked(&self.extra)
            .conditions
            .insert(kind.key(&object.name_any()), conditions);
    }
}

fn node_key(name: &NodeName) -> String {
    format!("Node/{name}")
}

fn pod_key(key: &PodKey) -> String {
    format!("Pod/{key}")
}

/// The version of an object that may be unreadable otherwise.
fn version_of(object: &DynamicObject) -> Version {
    let text = object.metadata.resource_version.as_deref();
    Version(text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX))
}

/// Drops and logs an object that no real API server sends.
fn reported<T>(read: Result<T, convert::Incomplete>) -> Option<T> {
    read.inspect_err(|error| tracing::warn!(%error, "an object cannot be read and is left out"))
        .ok()
}

/// Whether this object is the one queue, by its name.
pub(crate) fn is_the_queue(object: &DynamicObject) -> bool {
    object.name_any() == names::QUEUE
}

#[cfg(test)]
mod tests;
