//! The requests that a caller can send to the API server. Each is counted and meets the caller's faults first. The
//! caller's name is also its field manager.

use std::sync::Arc;

use serde_json::Value;

use crate::api::custom::merge;
use crate::api::faults::Delivery;
use crate::api::{
    ApiError, Attachment, Budget, Custom, Lease, Meta, NewCustom, Node, NodeOp, ObjKey, OwnerKey, Pod,
    Preconditions, Verb,
};
use crate::eviction::EvictOptions;
use crate::truth::Removal;
use crate::world::World;

/// The API server, as one caller reaches it.
pub struct Client<'w> {
    world: &'w mut World,
    who: &'w str,
}

#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    pub uid: Option<String>,
    pub grace_s: Option<u64>,
}

impl World {
    /// The API server, as `who` reaches it.
    pub fn client<'w>(&'w mut self, who: &'w str) -> Client<'w> {
        Client { world: self, who }
    }
}

impl Client<'_> {
    fn read<T>(
        &mut self,
        verb: Verb,
        resource: &str,
        namespace: &str,
        answer: impl FnOnce(&World) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.world.now();
        self.world
            .callers
            .let_through(now, self.who, verb, resource, namespace)?;
        answer(self.world)
    }

    fn write<T>(
        &mut self,
        verb: Verb,
        resource: &str,
        namespace: &str,
        act: impl FnOnce(&mut World, &str) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.world.now();
        let fate = self
            .world
            .callers
            .let_through(now, self.who, verb, resource, namespace)?;
        let answer = act(self.world, self.who);
        match fate {
            Delivery::Answered => answer,
            Delivery::AnswerLost => Err(ApiError::Timeout {
                text: "connection reset by peer".into(),
            }),
        }
    }

    pub fn node(&mut self, name: &str) -> Result<Arc<Node>, ApiError> {
        self.read(Verb::Get, "nodes", "", |w| {
            w.store
                .nodes
                .get(name)
                .cloned()
                .ok_or_else(|| ApiError::not_found(format!("nodes \"{name}\"")))
        })
    }

    /// LIST of Nodes, and its resource version.
    pub fn nodes(&mut self) -> Result<(u64, Vec<Arc<Node>>), ApiError> {
        self.read(Verb::List, "nodes", "", |w| {
            Ok((w.store.rv, w.store.nodes.values().cloned().collect()))
        })
    }

    /// PATCH of a Node. Either all operations take effect, or none.
    pub fn patch_node(&mut self, name: &str, ops: &[NodeOp]) -> Result<Arc<Node>, ApiError> {
        self.write(Verb::Patch, "nodes", "", |w, who| w.patch_node(name, ops, who))
    }

    pub fn delete_node(&mut self, name: &str) -> Result<(), ApiError> {
        self.write(Verb::Delete, "nodes", "", |w, _| w.remove_node(name))
    }

    pub fn lease(&mut self, node: &str) -> Result<Arc<Lease>, ApiError> {
        self.read(Verb::Get, "leases", "kube-node-lease", |w| {
            w.store
                .leases
                .get(node)
                .cloned()
                .ok_or_else(|| ApiError::not_found(format!("leases \"{node}\"")))
        })
    }

    /// LIST of pods by `spec.nodeName`, and its resource version.
    pub fn pods_on(&mut self, node: &str) -> Result<(u64, Vec<Arc<Pod>>), ApiError> {
        self.read(Verb::List, "pods", "", |w| {
            Ok((w.store.rv, w.store.pods_on(node).cloned().collect()))
        })
    }

    pub fn pod(&mut self, namespace: &str, name: &str) -> Result<Arc<Pod>, ApiError> {
        let key = ObjKey::new(namespace, name);
        self.read(Verb::Get, "pods", namespace, |w| {
            w.store
                .pods
                .get(&key)
                .cloned()
                .ok_or_else(|| ApiError::not_found(format!("pods \"{name}\"")))
        })
    }

    pub fn evict(&mut self, namespace: &str, name: &str, options: &EvictOptions) -> Result<(), ApiError> {
        self.write(Verb::Create, "pods/eviction", namespace, |w, who| {
            w.evict(who, namespace, name, options)
        })
    }

    pub fn delete_pod(
        &mut self,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        let key = ObjKey::new(namespace, name);
        self.write(Verb::Delete, "pods", namespace, |w, who| {
            let pod = w
                .store
                .pods
                .get(&key)
                .ok_or_else(|| ApiError::not_found(format!("pods \"{name}\"")))?;
            if options.uid.as_deref().is_some_and(|u| *u != *pod.meta.uid) {
                return Err(ApiError::conflict(format!("pods \"{name}\"")));
            }
            let (uid_given, grace_s) = (options.uid.is_some(), options.grace_s);
            w.remove_pod(
                &key,
                grace_s,
                Removal::Deleted {
                    by: who.to_owned(),
                    uid_given,
                    grace_s,
                },
            );
            Ok(())
        })
    }

    pub fn attachments(&mut self) -> Result<Vec<Arc<Attachment>>, ApiError> {
        self.read(Verb::List, "volumeattachments", "", |w| {
            Ok(w.store.attachments.values().cloned().collect())
        })
    }

    /// Creates a budget or replaces its spec. The status stays, and a change of the spec raises the generation.
    pub fn apply_budget(&mut self, budget: Budget) -> Result<(), ApiError> {
        let namespace = budget.meta.namespace.clone();
        self.write(Verb::Patch, "poddisruptionbudgets", &namespace, |w, _| {
            w.apply_budget(budget);
            Ok(())
        })
    }

    pub fn scale(&mut self, key: &OwnerKey, replicas: i64) -> Result<(), ApiError> {
        self.write(Verb::Patch, key.kind.as_str(), &key.namespace, |w, _| {
            w.scale(key, replicas)
        })
    }

    pub fn delete_owner(&mut self, key: &OwnerKey) -> Result<(), ApiError> {
        self.write(Verb::Delete, key.kind.as_str(), &key.namespace, |w, _| {
            w.remove_owner(key)
        })
    }

    pub fn custom(&mut self, kind: &str, name: &str) -> Result<Arc<Custom>, ApiError> {
        self.read(Verb::Get, kind, "", |w| w.find_custom(kind, name).cloned())
    }

    /// LIST of the custom objects of a kind, and its resource version.
    pub fn customs(&mut self, kind: &str) -> Result<(u64, Vec<Arc<Custom>>), ApiError> {
        self.read(Verb::List, kind, "", |w| {
            let from = (kind.to_owned(), String::new());
            let mine = w.store.customs.range(from..).take_while(|((k, _), _)| k == kind);
            Ok((w.store.rv, mine.map(|(_, c)| c.clone()).collect()))
        })
    }

    /// POST of a custom object; 409 AlreadyExists if the name is taken.
    pub fn create_custom(&mut self, new: NewCustom) -> Result<Arc<Custom>, ApiError> {
        let kind = new.kind.clone();
        self.write(Verb::Create, &kind, "", |w, _| w.create_custom(new))
    }

    /// Merge patch (RFC 7386) of `spec`. A change raises the generation.
    pub fn patch_custom(
        &mut self,
        kind: &str,
        name: &str,
        patch: &Value,
        pre: &Preconditions,
    ) -> Result<Arc<Custom>, ApiError> {
        self.write(Verb::Patch, kind, "", |w, _| {
            w.write_custom(kind, name, pre, |c| {
                let before = c.spec.clone();
                merge(&mut c.spec, patch);
                c.meta.generation += u64::from(c.spec != before);
            })
        })
    }

    /// PUT of `spec`. A change raises the generation.
    pub fn replace_custom(
        &mut self,
        kind: &str,
        name: &str,
        spec: Value,
        pre: &Preconditions,
    ) -> Result<Arc<Custom>, ApiError> {
        self.write(Verb::Update, kind, "", |w, _| {
            w.write_custom(kind, name, pre, |c| {
                c.meta.generation += u64::from(c.spec != spec);
                c.spec = spec;
            })
        })
    }

    pub fn write_status(
        &mut self,
        kind: &str,
        name: &str,
        status: Value,
        pre: &Preconditions,
    ) -> Result<Arc<Custom>, ApiError> {
        let resource = format!("{kind}/status");
        self.write(Verb::Update, &resource, "", |w, _| {
            w.write_custom(kind, name, pre, |c| c.status = status)
        })
    }

    pub fn delete_custom(&mut self, kind: &str, name: &str, pre: &Preconditions) -> Result<(), ApiError> {
        self.write(Verb::Delete, kind, "", |w, _| {
            if !pre.met(&w.find_custom(kind, name)?.meta) {
                return Err(ApiError::conflict(format!("{kind} \"{name}\"")));
            }
            let old = w
                .store
                .remove::<Custom>(w.now, &(kind.to_owned(), name.to_owned()));
            w.note_custom(old.as_deref(), None);
            Ok(())
        })
    }
}

impl World {
    fn find_custom(&self, kind: &str, name: &str) -> Result<&Arc<Custom>, ApiError> {
        let key = (kind.to_owned(), name.to_owned());
        self.store
            .customs
            .get(&key)
            .ok_or_else(|| ApiError::not_found(format!("{kind} \"{name}\"")))
    }

    fn create_custom(&mut self, new: NewCustom) -> Result<Arc<Custom>, ApiError> {
        if self.find_custom(&new.kind, &new.name).is_ok() {
            return Err(ApiError::AlreadyExists {
                text: format!("{} \"{}\" already exists", new.kind, new.name),
            });
        }
        let meta = Meta {
            name: new.name.as_str().into(),
            uid: self.new_uid(),
            generation: 1,
            labels: new.labels,
            annotations: new.annotations,
            created: self.now,
            ..Meta::default()
        };
        let custom = Custom {
            kind: new.kind,
            meta,
            spec: new.spec,
            status: Value::Null,
        };
        self.admitted(None, &custom)?;
        let custom = self.store.put(self.now, custom);
        self.note_custom(None, Some(&custom));
        Ok(custom)
    }

    fn write_custom(
        &mut self,
        kind: &str,
        name: &str,
        pre: &Preconditions,
        change: impl FnOnce(&mut Custom),
    ) -> Result<Arc<Custom>, ApiError> {
        let old = self.find_custom(kind, name)?.clone();
        if !pre.met(&old.meta) {
            return Err(ApiError::conflict(format!(
                "{kind} \"{name}\": the object has been modified"
            )));
        }
        let mut new = (*old).clone();
        change(&mut new);
        self.admitted(Some(&old), &new)?;
        if new == *old {
            return Ok(old);
        }
        let new = self.store.put(self.now, new);
        self.note_custom(Some(&old), Some(&new));
        Ok(new)
    }

    pub(crate) fn apply_budget(&mut self, mut budget: Budget) {
        let key = budget.meta.key();
        match self.store.budgets.get(&key) {
            Some(old) => {
                let same = old.selector == budget.selector
                    && old.demand == budget.demand
                    && old.unhealthy == budget.unhealthy;
                budget.meta = Meta {
                    generation: old.meta.generation + u64::from(!same),
                    ..old.meta.clone()
                };
                budget.status = old.status.clone();
            }
            None => {
                budget.meta.uid = self.new_uid();
                budget.meta.generation = 1;
                budget.meta.created = self.now;
            }
        }
        self.store.put(self.now, budget);
        self.wake_budget(key);
    }
}
