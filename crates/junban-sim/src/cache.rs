//! The [`Cluster`] that an engine in the simulated world sees. It comes from the world's change log, which each watch
//! shows with a lag of its own, and from the answers to the process's own requests. The higher resourceVersion wins.

use std::collections::{BTreeMap, VecDeque};

use junban_core::cluster::{Cluster, QueueView};
use junban_core::ids::{ClaimKey, EntryName, NodeName, PdbKey, PodKey, PolicyName, Version};
use junban_world::{self as world, Change, Object, World};

use crate::objects::{self, ENTRY, POLICY, QUEUE};
use crate::watch::{Lags, Watch};

/// The cluster as a command sees it that lists everything now.
pub fn cluster(world: &World) -> Cluster {
    ClusterCache::listed(world).cluster
}

/// What an answer showed. The number is the resourceVersion at which it was true.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// An object after a write or a read.
    Is(Object),
    NoNode(NodeName, u64),
    NoEntry(EntryName, u64),
    NoPod(PodKey, u64),
    NoQueue(u64),
    /// All pods of a node.
    PodsOf(NodeName, Vec<std::sync::Arc<world::Pod>>, u64),
    /// All VolumeAttachments of a node.
    AttachmentsOf(NodeName, Vec<std::sync::Arc<world::Attachment>>, u64),
}

/// What one process knows of the cluster.
#[derive(Debug, Default)]
pub(crate) struct ClusterCache {
    pub(crate) cluster: Cluster,
    /// The changes up to this resourceVersion have been read from the log.
    rv: u64,
    /// Changes that have been read and that their watch has not shown yet, oldest first.
    coming: BTreeMap<Watch, VecDeque<Change>>,
    /// Objects that are known to be gone, and the version at which they were gone: a watch that is behind must not bring
    /// them back.
    gone: BTreeMap<String, u64>,
    volumes: BTreeMap<String, std::sync::Arc<world::Volume>>,
    claims: BTreeMap<ClaimKey, std::sync::Arc<world::Claim>>,
}

impl ClusterCache {
    /// A cache with all objects of the moment.
    pub(crate) fn listed(world: &World) -> Self {
        let mut listed = Self::default();
        let store = world.store();
        // Volumes before their claims, and nodes before their Leases.
        let volumes = store.volumes().cloned().map(Object::Volume);
        let objects = volumes
            .chain(store.claims().cloned().map(Object::Claim))
            .chain(store.nodes().cloned().map(Object::Node))
            .chain(store.leases().cloned().map(Object::Lease))
            .chain(store.owners().cloned().map(Object::Owner))
            .chain(store.budgets().cloned().map(Object::Budget))
            .chain(store.attachments().cloned().map(Object::Attachment))
            .chain(store.pods().cloned().map(Object::Pod))
            .chain(store.customs().cloned().map(Object::Custom));
        objects.for_each(|object| listed.put(&object));
        listed.rv = store.resource_version();
        listed
    }

    /// Takes in what the watches show until `now`. Returns whether a plan can depend on one of the changes.
    pub(crate) fn follow(&mut self, world: &World, now: world::Ms, lags: &Lags) -> bool {
        if !self.read_log(world) {
            *self = Self::listed(world);
            return true;
        }
        let mut due = Vec::new();
        for (watch, coming) in &mut self.coming {
            let until = now.saturating_sub(lags.of(*watch));
            let shown = coming.partition_point(|change| change.at <= until);
            due.extend(coming.drain(..shown));
        }
        let mut news = false;
        for change in due {
            news |= self.is_news(&change.object);
            if change.deleted {
                self.remove(&change.object, change.rv);
            } else {
                self.put(&change.object);
            }
        }
        news
    }

    /// Reads new changes from the log. Returns false if the log no longer has all of them.
    fn read_log(&mut self, world: &World) -> bool {
        let Ok(changes) = world.changes_since(self.rv) else {
            return false;
        };
        for change in changes {
            self.rv = change.rv;
            let coming = self.coming.entry(Watch::of(&change.object)).or_default();
            coming.push_back(change.clone());
        }
        true
    }

    /// When a watch shows its next change.
    pub(crate) fn next_shown_at(&self, lags: &Lags) -> Option<world::Ms> {
        let first = |(watch, coming): (&Watch, &VecDeque<Change>)| Some(coming.front()?.at + lags.of(*watch));
        self.coming.iter().filter_map(first).min()
    }

    /// A renewed Lease is no news, unless a turn of its node is under way.
    fn is_news(&self, object: &Object) -> bool {
        let Object::Lease(lease) = object else { return true };
        let node = NodeName::from(&*lease.node);
        let queue = self.cluster.queue.present();
        let ledger = queue.and_then(|queue| queue.ledger.as_ref());
        let known = self.cluster.nodes.get(&node);
        let is_marked = known.is_some_and(|node| node.mark_text.is_some());
        is_marked || ledger.is_some_and(|ledger| ledger.slots.contains_key(&node))
    }

    /// Takes in what answers showed.
    pub(crate) fn take(&mut self, shown: Vec<Shown>) {
        for shown in shown {
            self.take_one(shown);
        }
    }

    fn take_one(&mut self, shown: Shown) {
        match shown {
            Shown::Is(object) => self.put(&object),
            Shown::NoNode(name, rv) => {
                let known = self.cluster.nodes.get(&name);
                if known.is_some_and(|node| node.version.0 <= rv) {
                    self.cluster.nodes.remove(&name);
                }
                self.gone.insert(format!("node {name}"), rv);
            }
            Shown::NoEntry(name, rv) => {
                let known = self.cluster.entries.get(&name);
                if known.is_some_and(|entry| entry.version.0 <= rv) {
                    self.cluster.entries.remove(&name);
                }
                self.gone.insert(format!("NodeReboot {name}"), rv);
            }
            Shown::NoPod(key, rv) => self.no_pod(&key, rv),
            Shown::NoQueue(rv) => {
                let known = self.cluster.queue.present();
                if known.is_none_or(|queue| queue.version.0 <= rv) {
                    self.cluster.queue = QueueView::Absent;
                }
                self.gone.insert("RebootQueue default".into(), rv);
            }
            Shown::PodsOf(node, pods, rv) => {
                let listed: Vec<PodKey> = pods.iter().map(|pod| pod_key(pod)).collect();
                let known = self.cluster.pods_of(&node).filter(|pod| pod.version.0 <= rv);
                let vanished: Vec<(PodKey, u64)> = known
                    .filter(|pod| !listed.contains(&pod.key))
                    .map(|pod| (pod.key.clone(), pod.version.0))
                    .collect();
                // Use the pod's own version, not the version of the list: since then a pod of the same name may have
                // come up on another node.
                for (key, version) in vanished {
                    self.no_pod(&key, version);
                }
                for pod in pods {
                    self.put(&Object::Pod(pod));
                }
            }
            Shown::AttachmentsOf(node, attachments, rv) => {
                let listed = |name: &str| attachments.iter().any(|found| *found.meta.name == *name);
                self.cluster.attachments.retain(|name, attachment| {
                    attachment.node != node || attachment.version.0 > rv || listed(name)
                });
                for attachment in attachments {
                    self.put(&Object::Attachment(attachment));
                }
            }
        }
    }

    fn no_pod(&mut self, key: &PodKey, rv: u64) {
        if self.cluster.pods.get(key).is_some_and(|pod| pod.version.0 <= rv) {
            self.cluster.remove_pod(key);
        }
        self.gone.insert(format!("pod {key}"), rv);
    }

    fn put(&mut self, object: &Object) {
        let (name, version) = identity(object);
        if self.gone.get(&name).is_some_and(|gone| version <= *gone) {
            return;
        }
        match object {
            Object::Node(node) => {
                if let Some(node) = objects::node(node) {
                    self.cluster.apply_node(node);
                }
            }
            Object::Lease(lease) => {
                if let Some(node) = self.cluster.nodes.get_mut(&NodeName::from(&*lease.node)) {
                    node.lease = objects::renewal(lease);
                }
            }
            Object::Pod(pod) => {
                if let Some(pod) = objects::pod(pod) {
                    self.cluster.apply_pod(pod);
                }
            }
            Object::Budget(budget) => {
                if let Some(budget) = objects::budget(budget) {
                    self.cluster.apply_budget(budget);
                }
            }
            Object::Owner(owner) => {
                if let Some(workload) = objects::workload(owner) {
                    self.cluster.apply_workload(workload);
                }
            }
            Object::Volume(volume) => {
                self.volumes.insert(volume.meta.name.to_string(), volume.clone());
                let claims: Vec<_> = self.claims.values().cloned().collect();
                let bound = claims
                    .iter()
                    .filter(|claim| claim.volume.as_deref() == Some(&*volume.meta.name));
                bound.for_each(|claim| self.put_claim(claim));
            }
            Object::Claim(claim) => {
                self.claims.insert(claim_key(claim), claim.clone());
                self.put_claim(claim);
            }
            Object::Attachment(attachment) => {
                self.cluster.apply_attachment(objects::attachment(attachment));
            }
            Object::Service(_) => {}
            Object::Custom(custom) => self.put_custom(custom),
        }
    }

    fn put_claim(&mut self, claim: &world::Claim) {
        let volume = claim.volume.as_ref().and_then(|name| self.volumes.get(&**name));
        let read = objects::claim(claim, volume.map(|volume| &**volume));
        self.cluster.claims.insert(claim_key(claim), read);
    }

    fn put_custom(&mut self, custom: &world::Custom) {
        let object = objects::custom(custom);
        let cluster = &mut self.cluster;
        match custom.kind.as_str() {
            QUEUE => drop(cluster.apply_queue(objects::queue(custom))),
            POLICY => {
                let name = PolicyName::from(&*custom.meta.name);
                cluster.unreadable_policies.remove(&name);
                match junban_api::convert::policy::read(&object) {
                    Ok(policy) => drop(cluster.apply_policy(policy)),
                    Err(error) => {
                        cluster.policies.remove(&name);
                        let outline = junban_api::convert::policy::outline(&object);
                        cluster
                            .policies
                            .extend(outline.map(|outline| (name.clone(), outline)));
                        cluster.unreadable_policies.insert(name, error.to_string());
                    }
                }
            }
            ENTRY => {
                let name = EntryName::from(&*custom.meta.name);
                cluster.unreadable_entries.remove(&name);
                match junban_api::convert::entry::read(&object) {
                    Ok(entry) => drop(cluster.apply_entry(entry)),
                    Err(error) => drop(cluster.unreadable_entries.insert(name, error.to_string())),
                }
            }
            _ => {}
        }
    }

    fn remove(&mut self, object: &Object, rv: u64) {
        match object {
            Object::Node(node) => self.take_one(Shown::NoNode(NodeName::from(&*node.meta.name), rv)),
            Object::Pod(pod) => self.no_pod(&pod_key(pod), rv),
            Object::Budget(budget) => {
                let key = PdbKey::new(budget.meta.namespace.clone(), budget.meta.name.clone());
                self.cluster.remove_budget(&key);
            }
            Object::Owner(owner) => {
                if let Some(key) = objects::workload_key(owner) {
                    self.cluster.workloads.remove(&key);
                }
            }
            Object::Volume(volume) => {
                self.volumes.remove(&*volume.meta.name);
            }
            Object::Claim(claim) => {
                self.claims.remove(&claim_key(claim));
                self.cluster.claims.remove(&claim_key(claim));
            }
            Object::Attachment(attachment) => {
                self.cluster.attachments.remove(&*attachment.meta.name);
            }
            Object::Custom(custom) => match custom.kind.as_str() {
                QUEUE => self.take_one(Shown::NoQueue(rv)),
                ENTRY => self.take_one(Shown::NoEntry(EntryName::from(&*custom.meta.name), rv)),
                _ => {
                    self.cluster
                        .policies
                        .remove(&PolicyName::from(&*custom.meta.name));
                }
            },
            Object::Lease(_) | Object::Service(_) => {}
        }
    }
}

fn pod_key(pod: &world::Pod) -> PodKey {
    PodKey::new(pod.meta.namespace.clone(), pod.meta.name.clone())
}

fn claim_key(claim: &world::Claim) -> ClaimKey {
    ClaimKey::new(claim.meta.namespace.clone(), claim.meta.name.clone())
}

/// The name and version of an object. The name is empty for kinds that no answer can show to be gone.
fn identity(object: &Object) -> (String, u64) {
    match object {
        Object::Node(node) => (format!("node {}", node.meta.name), node.meta.resource_version),
        Object::Pod(pod) => (format!("pod {}", pod.meta.key()), pod.meta.resource_version),
        Object::Custom(custom) => (
            format!("{} {}", custom.kind, custom.meta.name),
            custom.meta.resource_version,
        ),
        _ => (String::new(), Version::default().0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The next pod of a StatefulSet runs on another node. It is older than the list of the first node, and its watch is
    /// behind.
    #[test]
    fn a_pod_on_another_node_is_shown_although_the_list_of_its_old_node_is_newer() {
        let pod = |uid: &str, node: &str, resource_version| {
            Object::Pod(Arc::new(world::Pod {
                meta: world::Meta {
                    name: "db-0".into(),
                    namespace: "shop".into(),
                    uid: uid.into(),
                    resource_version,
                    ..world::Meta::default()
                },
                node: Some(node.into()),
                ..world::Pod::default()
            }))
        };
        let mut cache = ClusterCache::default();
        cache.put(&pod("u1", "node-1", 5));
        cache.take(vec![Shown::PodsOf("node-1".into(), Vec::new(), 10)]);
        assert!(cache.cluster.pods.is_empty());
        cache.put(&pod("u1", "node-1", 5));
        assert!(cache.cluster.pods.is_empty());
        cache.put(&pod("u2", "node-2", 9));
        assert_eq!(cache.cluster.pods_of(&"node-2".into()).count(), 1);
    }
}
