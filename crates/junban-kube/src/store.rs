//! What is observed, in one place: core's cluster, and beside it the little that only this adapter needs of an
//! object. Watches, live reads and the answers to our own writes all end here; the higher version stands.
//!
//! It knows nothing of watches or requests.

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

use crate::gone::{Gone, Graves};
use crate::patch::Shape;
use crate::resource::Kind;
use crate::volumes::Volumes;

/// Between two wake-ups that only a node's Lease asks for.
const LEASE_WAKE: Duration = Duration::from_secs(1);

/// Shared by the watches and the ports.
pub struct Store {
    pub cluster: Arc<Mutex<Cluster>>,
    /// Woken when the cluster has changed.
    pub changed: Arc<Notify>,
    /// The namespace that Junban runs in.
    namespace: String,
    side: Mutex<Side>,
}

/// Facts that core has no use for.
#[derive(Default)]
struct Side {
    /// Nodes without annotations or labels; all others are [`Shape::USUAL`].
    shapes: BTreeMap<NodeName, Shape>,
    /// `status.conditions` of our own objects, for the times in them.
    conditions: BTreeMap<String, Value>,
    volumes: Volumes,
    graves: Graves,
    /// By DaemonSet: the node that kured's lock names.
    kured: BTreeMap<WorkloadKey, NodeName>,
    /// When a node's Lease last woke the engine, or will.
    lease_woken: Option<Mono>,
    lease_wake_pending: bool,
}

/// What core calls the owner of a node that kured's lock names.
const KURED: &str = "kured: its lock names this node";

impl Store {
    pub fn new(namespace: &str) -> Self {
        Self {
            cluster: Arc::default(),
            changed: Arc::default(),
            namespace: namespace.to_owned(),
            side: Mutex::default(),
        }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Cluster) -> T) -> T {
        look(&locked(&self.cluster))
    }

    /// Changes the cluster and wakes the engine if the change says that there was one.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Cluster) -> bool) {
        if change(&mut locked(&self.cluster)) {
            self.changed.notify_one();
        }
    }

    /// Changes the cluster by what was shown of an object, unless that is known to be gone by now.
    fn put(&self, key: &str, version: Version, change: impl FnOnce(&mut Cluster) -> bool) {
        // In the order in which every other caller takes the two locks: side first.
        let side = locked(&self.side);
        if !side.graves.hold(key, version) {
            self.change(change);
        }
    }

    /// Forgets the object that is known under a name, if it is the one that is gone.
    fn forget(
        &self,
        key: &str,
        gone: Gone<'_>,
        known: impl FnOnce(&Cluster) -> Option<(&str, Version)>,
        remove: impl FnOnce(&mut Cluster),
    ) {
        let mut side = locked(&self.side);
        self.change(|cluster| {
            let known = known(cluster).filter(|(uid, version)| gone.means(uid, *version));
            let known = known.map(|(_, version)| version);
            let as_of = match gone {
                Gone::AsOf(version) => Some(version),
                Gone::Uid(_) => known,
            };
            if let Some(as_of) = as_of {
                side.graves.bury(key, as_of, boottime());
            }
            if known.is_some() {
                remove(cluster);
            }
            known.is_some()
        });
    }

    /// Applies a Node; `None`: it cannot be read, which is reported.
    pub(crate) fn node(&self, object: &core::Node) -> Option<Node> {
        let mut node = reported(convert::node::read(object))?;
        {
            let mut side = locked(&self.side);
            let shape = Shape {
                annotations: object
                    .metadata
                    .annotations
                    .as_ref()
                    .is_some_and(|map| !map.is_empty()),
                labels: object.metadata.labels.as_ref().is_some_and(|map| !map.is_empty()),
            };
            if shape == Shape::USUAL {
                side.shapes.remove(&node.name);
            } else {
                side.shapes.insert(node.name.clone(), shape);
            }
            if node.foreign_owner.is_none() && side.kured.values().any(|name| *name == node.name) {
                node.foreign_owner = Some(KURED.to_owned());
            }
        }
        self.put(&node_key(&node.name), node.version, |cluster| {
            let news = cluster
                .nodes
                .get(&node.name)
                .is_none_or(|known| known.version < node.version || known.uid != node.uid);
            cluster.apply_node(node.clone());
            news
        });
        // With the Lease that is known of it.
        Some(
            self.with(|cluster| cluster.nodes.get(&node.name).cloned())
                .unwrap_or(node),
        )
    }

    pub(crate) fn shape(&self, node: &NodeName) -> Shape {
        locked(&self.side)
            .shapes
            .get(node)
            .copied()
            .unwrap_or(Shape::USUAL)
    }

    pub(crate) fn no_node(&self, name: &NodeName, gone: Gone<'_>) {
        self.forget(
            &node_key(name),
            gone,
            |cluster| {
                cluster
                    .nodes
                    .get(name)
                    .map(|node| (node.uid.as_str(), node.version))
            },
            |cluster| {
                cluster.nodes.remove(name);
            },
        );
    }

    /// Takes note of a kubelet's renewal. Heartbeats of nodes for which nobody waits wake nobody.
    pub(crate) fn node_lease(self: &Arc<Self>, name: &NodeName, renewed: String) {
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
            let mut side = locked(&self.side);
            if side.lease_wake_pending {
                return;
            }
            let wait = side
                .lease_woken
                .map_or(Duration::ZERO, |last| LEASE_WAKE.saturating_sub(now.since(last)));
            side.lease_woken = Some(now + wait);
            side.lease_wake_pending = !wait.is_zero();
            wait
        };
        if wait.is_zero() {
            self.changed.notify_one();
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            locked(&store.side).lease_wake_pending = false;
            store.changed.notify_one();
        });
    }

    pub(crate) fn pod(&self, object: &core::Pod) -> Option<Pod> {
        let pod = reported(convert::pod::read(object, &self.namespace))?;
        self.put(&pod_key(&pod.key), pod.version, |cluster| {
            let news = cluster
                .pods
                .get(&pod.key)
                .is_none_or(|known| known.version < pod.version);
            cluster.apply_pod(pod.clone());
            news
        });
        Some(pod)
    }

    pub(crate) fn no_pod(&self, key: &PodKey, gone: Gone<'_>) {
        self.forget(
            &pod_key(key),
            gone,
            |cluster| cluster.pods.get(key).map(|pod| (pod.uid.as_str(), pod.version)),
            |cluster| cluster.remove_pod(key),
        );
    }

    /// The server has said that this pod's deletion has begun.
    pub(crate) fn pod_terminates(&self, key: &PodKey, uid: &PodUid) {
        self.change(|cluster| cluster.pod_terminates(key, uid));
    }

    pub(crate) fn budget(&self, object: &PodDisruptionBudget) {
        let Some(budget) = reported(convert::budget::read(object)) else {
            return;
        };
        self.change(|cluster| cluster.apply_budget(budget));
    }

    pub(crate) fn no_budget(&self, key: &PdbKey) {
        self.change(|cluster| cluster.remove_budget(key));
    }

    pub(crate) fn workload(&self, read: Result<Workload, convert::Incomplete>) {
        let Some(workload) = reported(read) else { return };
        self.change(|cluster| {
            newer(
                &mut cluster.workloads,
                workload.key.clone(),
                workload,
                |workload: &Workload| workload.version,
            )
        });
    }

    pub(crate) fn no_workload(&self, key: &WorkloadKey) {
        self.change(|cluster| cluster.workloads.remove(key).is_some());
        self.kured(key, None);
    }

    /// Takes note of the node that a DaemonSet of kured's locks.
    pub(crate) fn kured(&self, set: &WorkloadKey, holder: Option<NodeName>) {
        let before = {
            let mut side = locked(&self.side);
            match &holder {
                Some(node) => side.kured.insert(set.clone(), node.clone()),
                None => side.kured.remove(set),
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

    /// Changes what is known of claims and volumes.
    pub(crate) fn volumes(&self, change: impl FnOnce(&mut Volumes, &mut Cluster)) {
        // In the order in which every other caller takes the two locks: side first.
        let mut side = locked(&self.side);
        change(&mut side.volumes, &mut locked(&self.cluster));
        drop(side);
        self.changed.notify_one();
    }

    pub(crate) fn volume_names(&self) -> impl Iterator<Item = String> {
        locked(&self.side).volumes.volume_names().into_iter()
    }

    pub(crate) fn attachment(&self, object: &VolumeAttachment) -> Option<junban_core::cluster::Attachment> {
        let attachment = reported(convert::attachment::read(object))?;
        let key = format!("VolumeAttachment/{}", attachment.name);
        self.put(&key, attachment.version, |cluster| {
            newer(
                &mut cluster.attachments,
                attachment.name.clone(),
                attachment.clone(),
                |known| known.version,
            )
        });
        Some(attachment)
    }

    pub(crate) fn no_attachment(&self, name: &str, gone: Gone<'_>) {
        let key = format!("VolumeAttachment/{name}");
        self.forget(
            &key,
            gone,
            |cluster| cluster.attachments.get(name).map(|known| ("", known.version)),
            |cluster| {
                cluster.attachments.remove(name);
            },
        );
    }

    /// Applies the queue; an unreadable one counts as paused.
    pub(crate) fn queue(&self, object: &DynamicObject) -> QueueView {
        let view = match convert::queue::read(object) {
            Ok(queue) => QueueView::Present(Box::new(queue)),
            Err(error) => QueueView::Unreadable(error.to_string()),
        };
        self.remember_conditions(Kind::Queue, object);
        self.put(&Kind::Queue.key(names::QUEUE), version_of(object), |cluster| {
            let before = cluster.queue.clone();
            cluster.apply_queue(view.clone());
            cluster.queue != before
        });
        view
    }

    pub(crate) fn no_queue(&self, gone: Gone<'_>) {
        self.forget(
            &Kind::Queue.key(names::QUEUE),
            gone,
            |cluster| match &cluster.queue {
                QueueView::Absent => None,
                QueueView::Unreadable(_) => Some(("", Version::default())),
                QueueView::Present(queue) => Some((queue.uid.as_str(), queue.version)),
            },
            |cluster| {
                cluster.queue = QueueView::Absent;
            },
        );
    }

    /// The UID of the queue that is known; empty: of one that cannot be read.
    pub(crate) fn queue_uid(&self) -> Option<String> {
        self.with(|cluster| match &cluster.queue {
            QueueView::Absent => None,
            QueueView::Unreadable(_) => Some(String::new()),
            QueueView::Present(queue) => Some(queue.uid.as_str().to_owned()),
        })
    }

    /// Applies a policy. One that cannot be read still governs, and nothing starts under it.
    pub(crate) fn policy(&self, object: &DynamicObject) {
        self.remember_conditions(Kind::Policy, object);
        let (name, key) = (
            PolicyName::new(object.name_any()),
            Kind::Policy.key(&object.name_any()),
        );
        let version = version_of(object);
        match convert::policy::read(object) {
            Ok(policy) => self.put(&key, version, |cluster| {
                cluster.unreadable.remove(&key);
                newer(
                    &mut cluster.policies,
                    name,
                    policy,
                    |policy: &junban_core::policy::Policy| policy.version,
                )
            }),
            Err(error) => self.put(&key, version, |cluster| {
                cluster.policies.remove(&name);
                if let Some(outline) = convert::policy::outline(object) {
                    cluster.policies.insert(name, outline);
                }
                cluster.unreadable.insert(key.clone(), error.to_string()) != Some(error.to_string())
            }),
        }
    }

    pub(crate) fn no_policy(&self, name: &str, gone: Gone<'_>) {
        let key = Kind::Policy.key(name);
        self.change(|cluster| cluster.unreadable.remove(&key).is_some());
        let name = PolicyName::from(name);
        self.forget(
            &key,
            gone,
            |cluster| cluster.policies.get(&name).map(|policy| ("", policy.version)),
            |cluster| {
                cluster.policies.remove(&name);
            },
        );
        locked(&self.side).conditions.remove(&key);
    }

    /// Applies an entry; the error says why it cannot be read.
    pub(crate) fn entry(&self, object: &DynamicObject) -> Result<Entry, String> {
        self.remember_conditions(Kind::Entry, object);
        let key = Kind::Entry.key(&object.name_any());
        match convert::entry::read(object) {
            Ok(entry) => {
                self.put(&key, entry.version, |cluster| {
                    let unreadable = cluster.unreadable.remove(&key).is_some();
                    let known = cluster.entries.get(&entry.name);
                    let news = known.is_none_or(|known| known.version < entry.version);
                    cluster.apply_entry(entry.clone());
                    news || unreadable
                });
                Ok(entry)
            }
            Err(error) => {
                let text = error.to_string();
                self.put(&key, version_of(object), |cluster| {
                    cluster.entries.remove(&EntryName::new(object.name_any()));
                    cluster.unreadable.insert(key.clone(), text.clone()) != Some(text.clone())
                });
                Err(text)
            }
        }
    }

    pub(crate) fn no_entry(&self, name: &EntryName, gone: Gone<'_>) {
        let key = Kind::Entry.key(name.as_str());
        self.change(|cluster| cluster.unreadable.remove(&key).is_some());
        self.forget(
            &key,
            gone,
            |cluster| {
                let entry = cluster.entries.get(name)?;
                Some((entry.uid.as_str(), entry.version))
            },
            |cluster| {
                cluster.entries.remove(name);
            },
        );
        locked(&self.side).conditions.remove(&key);
    }

    /// The status as it stands, as far as the next one needs it: its conditions.
    pub(crate) fn previous_status(&self, kind: Kind, name: &str) -> Value {
        let side = locked(&self.side);
        let conditions = side.conditions.get(&kind.key(name)).cloned().unwrap_or_default();
        serde_json::json!({ "conditions": conditions })
    }

    fn remember_conditions(&self, kind: Kind, object: &DynamicObject) {
        let conditions = object
            .data
            .pointer("/status/conditions")
            .cloned()
            .unwrap_or_default();
        locked(&self.side)
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

/// Of an object that may not parse otherwise.
fn version_of(object: &DynamicObject) -> Version {
    let text = object.metadata.resource_version.as_deref();
    Version(text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX))
}

/// Puts in what is newer than what is known; whether it was.
fn newer<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, version: fn(&V) -> Version) -> bool {
    let news = map.get(&key).is_none_or(|known| version(known) < version(&value));
    if news {
        map.insert(key, value);
    }
    news
}

/// An object that no real API server sends is dropped, and said so.
fn reported<T>(read: Result<T, convert::Incomplete>) -> Option<T> {
    read.inspect_err(|error| tracing::warn!(%error, "an object is left out"))
        .ok()
}

/// Whether a name is the queue's.
pub(crate) fn is_the_queue(object: &DynamicObject) -> bool {
    object.name_any() == names::QUEUE
}

#[cfg(test)]
mod tests;
