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

#[derive(Debug)]
pub struct Store {
    pub(crate) rv: u64,
    pub(crate) nodes: BTreeMap<Name, Arc<Node>>,
    pub(crate) leases: BTreeMap<Name, Arc<Lease>>,
    pub(crate) pods: BTreeMap<ObjKey, Arc<Pod>>,
    pods_by_node: BTreeMap<Name, BTreeSet<ObjKey>>,
    pods_by_owner: BTreeMap<Name, BTreeSet<ObjKey>>,
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
            rv: 0,
            nodes: BTreeMap::new(),
            leases: BTreeMap::new(),
            pods: BTreeMap::new(),
            pods_by_node: BTreeMap::new(),
            pods_by_owner: BTreeMap::new(),
            pods_by_label: BTreeMap::new(),
            budgets: BTreeMap::new(),
            owners: BTreeMap::new(),
            owner_keys: BTreeMap::new(),
            volumes: BTreeMap::new(),
            claims: BTreeMap::new(),
            attachments: BTreeMap::new(),
            services: BTreeMap::new(),
            customs: BTreeMap::new(),
            log: ChangeLog::new(history),
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

    fn next(&mut self) -> u64 {
        self.rv += 1;
        self.rv
    }

    fn log(&mut self, at: Ms, deleted: bool, object: Object) {
        let rv = self.rv;
        self.log.push(Change {
            rv,
            at,
            deleted,
            object,
        });
    }

    pub(crate) fn put_node(&mut self, at: Ms, mut node: Node) -> Arc<Node> {
        node.meta.resource_version = self.next();
        let node = Arc::new(node);
        self.nodes.insert(node.meta.name.clone(), node.clone());
        self.log(at, false, Object::Node(node.clone()));
        node
    }

    pub(crate) fn remove_node(&mut self, at: Ms, name: &str) -> Option<Arc<Node>> {
        let node = self.nodes.remove(name)?;
        self.next();
        self.log(at, true, Object::Node(node.clone()));
        Some(node)
    }

    pub(crate) fn put_lease(&mut self, at: Ms, node: &Name) {
        let lease = Arc::new(Lease {
            node: node.clone(),
            resource_version: self.next(),
            renewed: at,
        });
        self.leases.insert(node.clone(), lease.clone());
        self.log(at, false, Object::Lease(lease));
    }

    pub(crate) fn remove_lease(&mut self, at: Ms, node: &str) {
        if let Some(lease) = self.leases.remove(node) {
            self.next();
            self.log(at, true, Object::Lease(lease));
        }
    }

    pub(crate) fn put_pod(&mut self, at: Ms, mut pod: Pod) -> Arc<Pod> {
        pod.meta.resource_version = self.next();
        let pod = Arc::new(pod);
        let key = pod.meta.key();
        let old = self.pods.insert(key.clone(), pod.clone());
        let same_index = old.as_ref().is_some_and(|o| {
            o.node == pod.node && o.meta.labels == pod.meta.labels && o.meta.owner == pod.meta.owner
        });
        if !same_index {
            if let Some(old) = &old {
                self.unindex(&key, old);
            }
            self.index(&key, &pod);
        }
        self.log(at, false, Object::Pod(pod.clone()));
        pod
    }

    pub(crate) fn remove_pod(&mut self, at: Ms, key: &ObjKey) -> Option<Arc<Pod>> {
        let pod = self.pods.remove(key)?;
        self.unindex(key, &pod);
        self.next();
        self.log(at, true, Object::Pod(pod.clone()));
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
                .entry(label_key(&key.namespace, label))
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
            if let Some(values) = self.pods_by_label.get_mut(&label_key(&key.namespace, label)) {
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
                .get(&label_key(namespace, k))
                .and_then(|m| m.get(v.as_str()))
        });
        match sets.min_by_key(|s| s.map_or(0, BTreeSet::len)) {
            Some(set) => set
                .into_iter()
                .flatten()
                .filter_map(|k| self.pods.get(k))
                .collect(),
            None => {
                let from = ObjKey::new(namespace, "");
                let mine = |(k, _): &(&ObjKey, &Arc<Pod>)| *k.namespace == *namespace;
                self.pods.range(from..).take_while(mine).map(|(_, p)| p).collect()
            }
        }
    }

    /// The budgets of the pod's namespace that select it.
    pub fn budgets_of<'a>(&'a self, pod: &Pod) -> Vec<&'a Arc<Budget>> {
        let from = ObjKey {
            namespace: pod.meta.namespace.clone(),
            name: "".into(),
        };
        self.budgets
            .range(from..)
            .take_while(|(k, _)| k.namespace == pod.meta.namespace)
            .map(|(_, b)| b)
            .filter(|b| b.selector.as_ref().is_some_and(|s| s.matches(&pod.meta.labels)))
            .collect()
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

    pub(crate) fn put_custom(&mut self, at: Ms, mut custom: Custom) -> Arc<Custom> {
        custom.meta.resource_version = self.next();
        let custom = Arc::new(custom);
        self.customs.insert(
            (custom.kind.clone(), custom.meta.name.to_string()),
            custom.clone(),
        );
        self.log(at, false, Object::Custom(custom.clone()));
        custom
    }

    pub(crate) fn remove_custom(&mut self, at: Ms, kind: &str, name: &str) -> Option<Arc<Custom>> {
        let custom = self.customs.remove(&(kind.to_owned(), name.to_owned()))?;
        self.next();
        self.log(at, true, Object::Custom(custom.clone()));
        Some(custom)
    }

    pub(crate) fn put_budget(&mut self, at: Ms, mut budget: Budget) -> Arc<Budget> {
        budget.meta.resource_version = self.next();
        let budget = Arc::new(budget);
        self.budgets.insert(budget.meta.key(), budget.clone());
        self.log(at, false, Object::Budget(budget.clone()));
        budget
    }

    pub(crate) fn put_owner(&mut self, at: Ms, mut owner: Owner) -> Arc<Owner> {
        owner.meta.resource_version = self.next();
        let owner = Arc::new(owner);
        self.owner_keys.insert(owner.meta.uid.clone(), owner.key());
        self.owners.insert(owner.key(), owner.clone());
        self.log(at, false, Object::Owner(owner.clone()));
        owner
    }

    pub(crate) fn remove_owner(&mut self, at: Ms, key: &OwnerKey) -> Option<Arc<Owner>> {
        let owner = self.owners.remove(key)?;
        self.owner_keys.remove(&owner.meta.uid);
        self.next();
        self.log(at, true, Object::Owner(owner.clone()));
        Some(owner)
    }

    pub(crate) fn put_volume(&mut self, at: Ms, mut volume: Volume) {
        volume.meta.resource_version = self.next();
        let volume = Arc::new(volume);
        self.volumes.insert(volume.meta.name.clone(), volume.clone());
        self.log(at, false, Object::Volume(volume));
    }

    pub(crate) fn put_claim(&mut self, at: Ms, mut claim: Claim) {
        claim.meta.resource_version = self.next();
        let claim = Arc::new(claim);
        self.claims.insert(claim.meta.key(), claim.clone());
        self.log(at, false, Object::Claim(claim));
    }

    pub(crate) fn put_attachment(&mut self, at: Ms, mut attachment: Attachment) {
        attachment.meta.resource_version = self.next();
        let attachment = Arc::new(attachment);
        self.attachments
            .insert(attachment.meta.name.clone(), attachment.clone());
        self.log(at, false, Object::Attachment(attachment));
    }

    pub(crate) fn remove_attachment(&mut self, at: Ms, name: &str) {
        if let Some(attachment) = self.attachments.remove(name) {
            self.next();
            self.log(at, true, Object::Attachment(attachment));
        }
    }

    pub(crate) fn put_service(&mut self, at: Ms, mut service: Service) {
        service.meta.resource_version = self.next();
        let service = Arc::new(service);
        self.services.insert(service.meta.key(), service.clone());
        self.log(at, false, Object::Service(service));
    }
}

fn label_key(namespace: &str, label: &str) -> ObjKey {
    ObjKey::new(namespace, label)
}

fn drop_from(index: &mut BTreeMap<Name, BTreeSet<ObjKey>>, at: &str, key: &ObjKey) {
    if let Some(set) = index.get_mut(at) {
        set.remove(key);
        if set.is_empty() {
            index.remove(at);
        }
    }
}
