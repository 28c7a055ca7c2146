//! The store: all objects, the indexes for lookups, and the log of changes.
//!
//! Every write of an object goes through the store and takes the next resource version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::budget::Budget;
use super::changes::{Change, ChangeLog, Object};
use super::custom::Custom;
use super::meta::{Map, Ms, Name, ObjKey, Selector};
use super::node::{Lease, Node};
use super::owner::{Owner, OwnerKey};
use super::pod::Pod;
use super::volume::{Attachment, Claim, Service, Volume};

#[derive(Debug, Default)]
pub struct Store {
    pub(crate) rv: u64,
    pub(crate) nodes: BTreeMap<Name, Arc<Node>>,
    pub(crate) leases: BTreeMap<Name, Arc<Lease>>,
    pub(crate) pods: BTreeMap<ObjKey, Arc<Pod>>,
    pods_by_node: BTreeMap<Name, BTreeSet<ObjKey>>,
    pods_by_owner: BTreeMap<Name, BTreeSet<ObjKey>>,
    /// By the namespace and the key of a label, then by its value.
    pods_by_label: BTreeMap<ObjKey, BTreeMap<Name, BTreeSet<ObjKey>>>,
    pub(crate) budgets: BTreeMap<ObjKey, Arc<Budget>>,
    pub(crate) owners: BTreeMap<OwnerKey, Arc<Owner>>,
    pub(crate) owner_keys: BTreeMap<Name, OwnerKey>,
    pub(crate) volumes: BTreeMap<Name, Arc<Volume>>,
    pub(crate) claims: BTreeMap<ObjKey, Arc<Claim>>,
    pub(crate) attachments: BTreeMap<Name, Arc<Attachment>>,
    pub(crate) services: BTreeMap<ObjKey, Arc<Service>>,
    pub(crate) customs: BTreeMap<(String, String), Arc<Custom>>,
    pub(crate) log: ChangeLog,
}

impl Store {
    pub(crate) fn new(history: usize) -> Self {
        Self {
            log: ChangeLog::new(history),
            ..Self::default()
        }
    }

    pub fn resource_version(&self) -> u64 {
        self.rv
    }

    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(name)
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    pub fn lease(&self, node: &str) -> Option<&Arc<Lease>> {
        self.leases.get(node)
    }

    pub fn leases(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.leases.values()
    }

    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        self.pods.get(&ObjKey::new(namespace, name))
    }

    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    pub fn budget(&self, namespace: &str, name: &str) -> Option<&Arc<Budget>> {
        self.budgets.get(&ObjKey::new(namespace, name))
    }

    pub fn budgets(&self) -> impl Iterator<Item = &Arc<Budget>> {
        self.budgets.values()
    }

    /// All owners: Deployments and their ReplicaSets, StatefulSets and so on.
    pub fn owners(&self) -> impl Iterator<Item = &Arc<Owner>> {
        self.owners.values()
    }

    pub fn volumes(&self) -> impl Iterator<Item = &Arc<Volume>> {
        self.volumes.values()
    }

    pub fn claims(&self) -> impl Iterator<Item = &Arc<Claim>> {
        self.claims.values()
    }

    pub fn attachments(&self) -> impl Iterator<Item = &Arc<Attachment>> {
        self.attachments.values()
    }

    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    pub fn custom(&self, kind: &str, name: &str) -> Option<&Arc<Custom>> {
        self.customs.get(&(kind.to_owned(), name.to_owned()))
    }

    pub fn customs(&self) -> impl Iterator<Item = &Arc<Custom>> {
        self.customs.values()
    }

    /// Adds or replaces an object.
    pub(crate) fn put<T: Stored>(&mut self, at: Ms, mut object: T) -> Arc<T> {
        *object.version() = self.rv + 1;
        let object = Arc::new(object);
        T::map(self).insert(object.key(), object.clone());
        self.log_write(at, false, T::object(object.clone()));
        object
    }

    pub(crate) fn remove<T: Stored>(&mut self, at: Ms, key: &T::Key) -> Option<Arc<T>> {
        let object = T::map(self).remove(key)?;
        self.log_write(at, true, T::object(object.clone()));
        Some(object)
    }

    fn log_write(&mut self, at: Ms, deleted: bool, object: Object) {
        self.rv += 1;
        self.log.push(Change {
            rv: self.rv,
            at,
            deleted,
            object,
        });
    }

    pub(crate) fn put_pod(&mut self, at: Ms, pod: Pod) -> Arc<Pod> {
        let key = pod.meta.key();
        let old = self.pods.get(&key).cloned();
        let pod = self.put(at, pod);
        let same_index = old.as_ref().is_some_and(|o| {
            o.node == pod.node && o.meta.labels == pod.meta.labels && o.meta.owner == pod.meta.owner
        });
        if !same_index {
            if let Some(old) = &old {
                self.unindex(&key, old);
            }
            self.index(&key, &pod);
        }
        pod
    }

    pub(crate) fn remove_pod(&mut self, at: Ms, key: &ObjKey) -> Option<Arc<Pod>> {
        let pod = self.remove::<Pod>(at, key)?;
        self.unindex(key, &pod);
        Some(pod)
    }

    fn index(&mut self, key: &ObjKey, pod: &Pod) {
        if let Some(node) = &pod.node {
            self.pods_by_node
                .entry(node.clone())
                .or_default()
                .insert(key.clone());
        }
        if let Some(owner) = &pod.meta.owner {
            self.pods_by_owner
                .entry(owner.uid.clone())
                .or_default()
                .insert(key.clone());
        }
        for (label, value) in &pod.meta.labels {
            self.pods_by_label
                .entry(ObjKey::new(&key.namespace, label))
                .or_default()
                .entry(value.as_str().into())
                .or_default()
                .insert(key.clone());
        }
    }

    fn unindex(&mut self, key: &ObjKey, pod: &Pod) {
        if let Some(node) = &pod.node {
            drop_from(&mut self.pods_by_node, node, key);
        }
        if let Some(owner) = &pod.meta.owner {
            drop_from(&mut self.pods_by_owner, &owner.uid, key);
        }
        for (label, value) in &pod.meta.labels {
            if let Some(values) = self.pods_by_label.get_mut(&ObjKey::new(&key.namespace, label)) {
                drop_from(values, value, key);
            }
        }
    }

    pub fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        self.pods_by_node
            .get(node)
            .into_iter()
            .flatten()
            .filter_map(|k| self.pods.get(k))
    }

    /// The pods whose owner has this UID.
    pub fn pods_of<'a>(&'a self, owner_uid: &str) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        self.pods_by_owner
            .get(owner_uid)
            .into_iter()
            .flatten()
            .filter_map(|k| self.pods.get(k))
    }

    /// The pods of `namespace` that `selector` selects.
    pub fn pods_selected<'a>(&'a self, namespace: &str, selector: &Selector) -> Vec<&'a Arc<Pod>> {
        self.candidates(namespace, &selector.match_labels)
            .into_iter()
            .filter(|p| selector.matches(&p.meta.labels))
            .collect()
    }

    /// The smallest set of pods in the index that contains every pod with `labels`.
    fn candidates<'a>(&'a self, namespace: &str, labels: &Map) -> Vec<&'a Arc<Pod>> {
        let sets = labels.iter().map(|(k, v)| {
            self.pods_by_label
                .get(&ObjKey::new(namespace, k))
                .and_then(|m| m.get(v.as_str()))
        });
        match sets.min_by_key(|s| s.map_or(0, BTreeSet::len)) {
            Some(set) => set
                .into_iter()
                .flatten()
                .filter_map(|k| self.pods.get(k))
                .collect(),
            None => of_namespace(&self.pods, namespace).collect(),
        }
    }

    /// The budgets of the pod's namespace that select it.
    pub fn budgets_of<'a>(&'a self, pod: &Pod) -> Vec<&'a Arc<Budget>> {
        of_namespace(&self.budgets, &pod.meta.namespace)
            .filter(|b| b.selector.as_ref().is_some_and(|s| s.matches(&pod.meta.labels)))
            .collect()
    }

    pub(crate) fn claims_of(&self, pod: &Pod) -> impl Iterator<Item = &Arc<Claim>> {
        let keys = pod
            .claims
            .iter()
            .map(|name| ObjKey::new(&pod.meta.namespace, name));
        keys.filter_map(|key| self.claims.get(&key))
    }

    /// The owner with this UID.
    pub fn owner_by_uid(&self, uid: &str) -> Option<&Arc<Owner>> {
        self.owners.get(self.owner_keys.get(uid)?)
    }

    /// The topmost owner of a pod: the Deployment, not its ReplicaSet.
    pub fn topmost<'a>(&'a self, pod: &Pod) -> Option<&'a Arc<Owner>> {
        let first = self.owner_by_uid(&pod.meta.owner.as_ref()?.uid)?;
        let above = first.meta.owner.as_ref().and_then(|o| self.owner_by_uid(&o.uid));
        Some(above.unwrap_or(first))
    }

    pub(crate) fn put_owner(&mut self, at: Ms, owner: Owner) -> Arc<Owner> {
        self.owner_keys.insert(owner.meta.uid.clone(), owner.key());
        self.put(at, owner)
    }

    pub(crate) fn remove_owner(&mut self, at: Ms, key: &OwnerKey) -> Option<Arc<Owner>> {
        let owner = self.remove::<Owner>(at, key)?;
        self.owner_keys.remove(&owner.meta.uid);
        Some(owner)
    }
}

/// A kind of object in the store. Pods and owners are also in indexes: [`Store::put_pod`], [`Store::remove_pod`],
/// [`Store::put_owner`] and [`Store::remove_owner`] keep these.
pub(crate) trait Stored: Sized {
    type Key: Ord;
    fn key(&self) -> Self::Key;
    fn version(&mut self) -> &mut u64;
    fn map(store: &mut Store) -> &mut BTreeMap<Self::Key, Arc<Self>>;
    fn object(this: Arc<Self>) -> Object;
}

macro_rules! stored {
    ($($kind:ident in $map:ident by $key_type:ty: |$this:ident| $key:expr, $($version:ident).+;)+) => {$(
        impl Stored for $kind {
            type Key = $key_type;

            fn key(&self) -> Self::Key {
                let $this = self;
                $key
            }

            fn version(&mut self) -> &mut u64 {
                &mut self.$($version).+
            }

            fn map(store: &mut Store) -> &mut BTreeMap<Self::Key, Arc<Self>> {
                &mut store.$map
            }

            fn object(this: Arc<Self>) -> Object {
                Object::$kind(this)
            }
        }
    )+};
}

stored! {
    Node in nodes by Name: |node| node.meta.name.clone(), meta.resource_version;
    Lease in leases by Name: |lease| lease.node.clone(), resource_version;
    Pod in pods by ObjKey: |pod| pod.meta.key(), meta.resource_version;
    Budget in budgets by ObjKey: |budget| budget.meta.key(), meta.resource_version;
    Owner in owners by OwnerKey: |owner| owner.key(), meta.resource_version;
    Volume in volumes by Name: |volume| volume.meta.name.clone(), meta.resource_version;
    Claim in claims by ObjKey: |claim| claim.meta.key(), meta.resource_version;
    Attachment in attachments by Name: |attachment| attachment.meta.name.clone(), meta.resource_version;
    Service in services by ObjKey: |service| service.meta.key(), meta.resource_version;
    Custom in customs by (String, String): |custom| custom.key(), meta.resource_version;
}

/// The objects of one namespace.
pub(crate) fn of_namespace<'a, T>(
    map: &'a BTreeMap<ObjKey, Arc<T>>,
    namespace: &str,
) -> impl Iterator<Item = &'a Arc<T>> {
    let all_from = map.range(ObjKey::new(namespace, "")..);
    all_from
        .take_while(move |(key, _)| *key.namespace == *namespace)
        .map(|(_, object)| object)
}

fn drop_from(index: &mut BTreeMap<Name, BTreeSet<ObjKey>>, at: &str, key: &ObjKey) {
    if let Some(set) = index.get_mut(at) {
        set.remove(key);
        if set.is_empty() {
            index.remove(at);
        }
    }
}
