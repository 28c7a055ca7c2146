//! An informer cache: what the watches of a caller have shown so far, which may be less than the store has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{
    Attachment, Budget, Change, Claim, Custom, Lease, Ms, Name, Node, ObjKey, Object, Owner, OwnerKey, Pod,
    Service, Volume,
};
use crate::world::World;

/// The objects at one resource version. It is empty before the first [`Cache::sync`].
#[derive(Debug, Clone, Default)]
pub struct Cache {
    pub rv: u64,
    pub nodes: BTreeMap<Name, Arc<Node>>,
    pub leases: BTreeMap<Name, Arc<Lease>>,
    pub pods: BTreeMap<ObjKey, Arc<Pod>>,
    pub pods_by_node: BTreeMap<Name, BTreeSet<ObjKey>>,
    pub budgets: BTreeMap<ObjKey, Arc<Budget>>,
    pub owners: BTreeMap<OwnerKey, Arc<Owner>>,
    pub volumes: BTreeMap<Name, Arc<Volume>>,
    pub claims: BTreeMap<ObjKey, Arc<Claim>>,
    pub attachments: BTreeMap<Name, Arc<Attachment>>,
    pub services: BTreeMap<ObjKey, Arc<Service>>,
    pub customs: BTreeMap<(String, String), Arc<Custom>>,
}

impl Cache {
    /// Applies all changes until `until`, or lists everything if the log no longer has all of them. Returns the
    /// number of changes that were not Lease renewals.
    pub fn sync(&mut self, world: &World, until: Ms) -> usize {
        let store = world.store();
        let Ok(changes) = (if self.rv == 0 {
            Err(())
        } else {
            store.log.since(self.rv).map_err(|_| ())
        }) else {
            return self.list(world);
        };
        let mut count = 0;
        for change in changes.take_while(|c| c.at <= until) {
            count += usize::from(!matches!(change.object, Object::Lease(_)));
            self.apply(change);
        }
        count
    }

    fn list(&mut self, world: &World) -> usize {
        let s = world.store();
        *self = Self {
            rv: s.rv,
            nodes: s.nodes.clone(),
            leases: s.leases.clone(),
            pods: s.pods.clone(),
            pods_by_node: BTreeMap::new(),
            budgets: s.budgets.clone(),
            owners: s.owners.clone(),
            volumes: s.volumes.clone(),
            claims: s.claims.clone(),
            attachments: s.attachments.clone(),
            services: s.services.clone(),
            customs: s.customs.clone(),
        };
        for (key, pod) in &s.pods {
            if let Some(node) = &pod.node {
                self.pods_by_node
                    .entry(node.clone())
                    .or_default()
                    .insert(key.clone());
            }
        }
        s.pods.len() + s.nodes.len() + s.customs.len()
    }

    fn apply(&mut self, change: &Change) {
        self.rv = change.rv;
        let gone = change.deleted;
        match &change.object {
            Object::Node(o) => put(&mut self.nodes, o.meta.name.clone(), o, gone),
            Object::Lease(o) => put(&mut self.leases, o.node.clone(), o, gone),
            Object::Pod(o) => self.apply_pod(o, gone),
            Object::Budget(o) => put(&mut self.budgets, o.meta.key(), o, gone),
            Object::Owner(o) => put(&mut self.owners, o.key(), o, gone),
            Object::Volume(o) => put(&mut self.volumes, o.meta.name.clone(), o, gone),
            Object::Claim(o) => put(&mut self.claims, o.meta.key(), o, gone),
            Object::Attachment(o) => put(&mut self.attachments, o.meta.name.clone(), o, gone),
            Object::Service(o) => put(&mut self.services, o.meta.key(), o, gone),
            Object::Custom(o) => {
                put(
                    &mut self.customs,
                    (o.kind.clone(), o.meta.name.to_string()),
                    o,
                    gone,
                );
            }
        }
    }

    fn apply_pod(&mut self, pod: &Arc<Pod>, gone: bool) {
        let key = pod.meta.key();
        let before = self.pods.get(&key).and_then(|p| p.node.clone());
        let after = if gone { None } else { pod.node.clone() };
        if before != after {
            if let Some(set) = before.and_then(|n| self.pods_by_node.get_mut(&n)) {
                set.remove(&key);
            }
            if let Some(node) = after {
                self.pods_by_node.entry(node).or_default().insert(key.clone());
            }
        }
        put(&mut self.pods, key, pod, gone);
    }

    pub fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        self.pods_by_node
            .get(node)
            .into_iter()
            .flatten()
            .filter_map(|k| self.pods.get(k))
    }
}

impl World {
    /// A cache with the present objects.
    pub fn cache(&self) -> Cache {
        let mut cache = Cache::default();
        cache.sync(self, self.now);
        cache
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, Arc<V>>, key: K, object: &Arc<V>, gone: bool) {
    if gone {
        map.remove(&key);
    } else {
        map.insert(key, object.clone());
    }
}
