//! Workload controllers: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job.
//!
//! A ReplicaSet does not count terminating pods, so it makes a successor at once. A StatefulSet makes it only when
//! the old pod of that name is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::store::of_namespace;
use crate::api::{
    ApiError, Claim, Effect, Map, Meta, Name, ObjKey, Owner, OwnerKey, OwnerKind, OwnerRef, Phase, Pod,
    PodTemplate, Taint, Toleration,
};
use crate::observed;
use crate::truth::Removal;
use crate::world::World;

impl World {
    /// Adds or replaces an owner, and wakes its controller.
    pub(crate) fn put_owner(&mut self, mut owner: Owner) -> Arc<Owner> {
        let key = owner.key();
        owner.meta.generation = self.store.owners.get(&key).map_or(1, |o| o.meta.generation + 1);
        if owner.meta.uid.is_empty() {
            owner.meta.uid = self.new_uid();
            owner.meta.created = self.now;
        }
        let owner = self.store.put_owner(self.now, owner);
        if let Some(event) = observed::owner(&owner) {
            self.emit(event);
        }
        self.wake_owner(key.clone());
        // A budget depends on the replicas of its owners.
        let budgets = of_namespace(&self.store.budgets, &key.namespace);
        for budget in Vec::from_iter(budgets.map(|b| b.meta.key())) {
            self.wake_budget(budget);
        }
        owner
    }

    pub(crate) fn scale(&mut self, key: &OwnerKey, replicas: i64) -> Result<(), ApiError> {
        let Some(owner) = self.store.owners.get(key) else {
            return Err(ApiError::not_found(&key.name));
        };
        let mut owner = (**owner).clone();
        owner.replicas = replicas;
        self.put_owner(owner);
        Ok(())
    }

    /// Deletes an owner, the owners below it, and their pods.
    pub(crate) fn remove_owner(&mut self, key: &OwnerKey) -> Result<(), ApiError> {
        let owner = self
            .store
            .remove_owner(self.now, key)
            .ok_or_else(|| ApiError::not_found(&key.name))?;
        self.emit(observed::owner_gone(key));
        let below: Vec<OwnerKey> = self
            .store
            .owners
            .values()
            .filter(|o| o.meta.owner.as_ref().is_some_and(|r| r.uid == owner.meta.uid))
            .map(|o| o.key())
            .collect();
        for key in below {
            self.remove_owner(&key)?;
        }
        let pods: Vec<ObjKey> = self
            .store
            .pods_of(&owner.meta.uid)
            .map(|p| p.meta.key())
            .collect();
        for key in pods {
            self.remove_pod(&key, None, Removal::Controller);
        }
        Ok(())
    }

    pub(crate) fn on_owner(&mut self, key: &OwnerKey) {
        self.woken_owners.remove(key);
        let Some(owner) = self.store.owners.get(key).cloned() else {
            return;
        };
        match owner.kind {
            OwnerKind::Deployment => self.sync_deployment(&owner),
            OwnerKind::ReplicaSet | OwnerKind::ReplicationController | OwnerKind::Foreign => {
                self.sync_replicas(&owner);
            }
            OwnerKind::StatefulSet => self.sync_stateful(&owner),
            OwnerKind::DaemonSet => self.sync_daemons(&owner),
            OwnerKind::Job => self.sync_job(&owner),
            OwnerKind::Pod | OwnerKind::Node => {}
        }
    }

    fn sync_deployment(&mut self, owner: &Owner) {
        let below = self
            .store
            .owners
            .values()
            .find(|o| o.meta.owner.as_ref().is_some_and(|r| r.uid == owner.meta.uid))
            .cloned();
        if let Some(below) = below {
            if below.replicas != owner.replicas {
                let mut new = (*below).clone();
                new.replicas = owner.replicas;
                self.put_owner(new);
            }
            return;
        }
        let name: Name = format!("{}-{}", owner.meta.name, self.rng.suffix(9)).into();
        let meta = Meta {
            name,
            namespace: owner.meta.namespace.clone(),
            labels: owner.meta.labels.clone(),
            owner: Some(reference(owner)),
            ..Meta::default()
        };
        self.put_owner(Owner {
            kind: OwnerKind::ReplicaSet,
            meta,
            ..owner.clone()
        });
    }

    fn sync_replicas(&mut self, owner: &Owner) {
        let mut active: Vec<Arc<Pod>> = self
            .store
            .pods_of(&owner.meta.uid)
            .filter(|p| !p.terminating() && !p.ended())
            .cloned()
            .collect();
        for _ in active.len()..usize::try_from(owner.replicas).unwrap_or(0) {
            let name = format!("{}-{}", owner.meta.name, self.rng.suffix(5));
            self.make_pod(owner, &name, None);
        }
        // Scaled down: remove pods without a node first, then unready ones, then the newest.
        active.sort_by_key(|p| {
            (
                p.node.is_some(),
                p.status.ready,
                std::cmp::Reverse(p.meta.created),
            )
        });
        let surplus = active
            .len()
            .saturating_sub(usize::try_from(owner.replicas).unwrap_or(0));
        for pod in active.iter().take(surplus) {
            self.remove_pod(&pod.meta.key(), None, Removal::Controller);
        }
    }

    /// `podManagementPolicy: OrderedReady`: makes a pod when all pods before it are Ready. When all pods that stay
    /// are Ready, removes the surplus pods one at a time, the last one first.
    fn sync_stateful(&mut self, owner: &Owner) {
        let name = |ordinal: i64| format!("{}-{ordinal}", owner.meta.name);
        for ordinal in 0..owner.replicas {
            let key = ObjKey::new(&owner.meta.namespace, &name(ordinal));
            match self.store.pods.get(&key).cloned() {
                None => return self.make_pod(owner, &name(ordinal), None),
                Some(pod) if pod.terminating() => return,
                Some(pod) if pod.ended() => return self.remove_pod(&key, Some(0), Removal::Controller),
                Some(pod) if !pod.status.ready => return,
                Some(_) => {}
            }
        }
        let ordinal = |pod: &Pod| {
            let number = pod.meta.name.rsplit('-').next();
            number.and_then(|number| number.parse::<i64>().ok())
        };
        let pods = self.store.pods_of(&owner.meta.uid);
        let surplus = pods.filter(|pod| ordinal(pod).is_none_or(|number| number >= owner.replicas));
        let last = surplus.max_by_key(|pod| ordinal(pod)).cloned();
        if let Some(pod) = last.filter(|pod| !pod.terminating()) {
            self.remove_pod(&pod.meta.key(), None, Removal::Controller);
        }
    }

    fn sync_daemons(&mut self, owner: &Owner) {
        let mut have: BTreeSet<Name> = BTreeSet::new();
        let mut ended = Vec::new();
        for pod in self.store.pods_of(&owner.meta.uid) {
            if pod.ended() && !pod.terminating() {
                ended.push(pod.meta.key());
            } else if let Some(node) = &pod.node {
                // The real controller makes no successor before a terminating pod is gone.
                have.insert(node.clone());
            }
        }
        for key in ended {
            self.remove_pod(&key, Some(0), Removal::Controller);
        }
        let nodes: Vec<Name> = self
            .store
            .nodes
            .values()
            .filter(|n| crate::api::meta::contains(&n.meta.labels, &owner.template.node_selector))
            .filter(|n| n.taints.iter().all(|taint| tolerated(&owner.template, taint)))
            .map(|n| n.meta.name.clone())
            .filter(|n| !have.contains(n))
            .collect();
        for node in nodes {
            let name = format!("{}-{}", owner.meta.name, self.rng.suffix(5));
            self.make_pod(owner, &name, Some(node));
        }
    }

    fn sync_job(&mut self, owner: &Owner) {
        if owner.complete {
            return;
        }
        let (mut succeeded, mut active) = (0, 0);
        for pod in self.store.pods_of(&owner.meta.uid) {
            succeeded += i64::from(pod.status.phase == Phase::Succeeded);
            active += i64::from(!pod.ended() && !pod.terminating());
        }
        if succeeded >= owner.replicas {
            let mut new = owner.clone();
            new.complete = true;
            self.store.put_owner(self.now, new);
            return;
        }
        for _ in succeeded + active..owner.replicas {
            let name = format!("{}-{}", owner.meta.name, self.rng.suffix(5));
            self.make_pod(owner, &name, None);
        }
    }

    fn make_pod(&mut self, owner: &Owner, name: &str, node: Option<Name>) {
        let key = ObjKey::new(&owner.meta.namespace, name);
        if self.store.pods.contains_key(&key) {
            return;
        }
        let template = owner.template.clone();
        let stateful = owner.kind == OwnerKind::StatefulSet;
        let claims = self.make_claims(&key.namespace, &template, stateful.then_some(name));
        let named = template.node_name.as_deref().map(Name::from);
        let node = node.or(named).or_else(|| self.placement(owner));
        let meta = Meta {
            name: key.name.clone(),
            namespace: key.namespace.clone(),
            owner: Some(reference(owner)),
            ..Meta::default()
        };
        self.add_pod(Pod::new(meta, template, node, claims));
    }

    /// The names of the template's claims; makes those that do not exist. With `of_pod` the pod has claims of its
    /// own.
    pub(crate) fn make_claims(
        &mut self,
        namespace: &Name,
        template: &PodTemplate,
        of_pod: Option<&str>,
    ) -> Vec<Name> {
        let mut claims = Vec::new();
        for (claim, kind) in &template.claims {
            let name: Name = match of_pod {
                Some(pod) => format!("{claim}-{pod}").into(),
                None => claim.as_str().into(),
            };
            let at = ObjKey {
                namespace: namespace.clone(),
                name: name.clone(),
            };
            if !self.store.claims.contains_key(&at) {
                let meta = Meta {
                    name: name.clone(),
                    namespace: namespace.clone(),
                    uid: self.new_uid(),
                    created: self.now,
                    ..Meta::default()
                };
                let claim = Claim {
                    meta,
                    kind: *kind,
                    volume: None,
                };
                self.store.put(self.now, claim);
            }
            claims.push(name);
        }
        claims
    }

    /// Adds a pod. If it names a node, it is bound at once.
    pub(crate) fn add_pod(&mut self, mut pod: Pod) {
        pod.meta.uid = self.new_uid();
        pod.meta.created = self.now;
        pod.meta.generation = 1;
        let key = pod.meta.key();
        if let Some(node) = pod.node.clone() {
            self.provision(&pod, &node);
        }
        let bound = pod.node.is_some();
        let pod = self.store.put_pod(self.now, pod);
        self.pod_changed(None, Some(&pod));
        if bound {
            self.pod_bound(&key);
        }
    }

    /// The node that the builder chose for the next pod of this owner.
    fn placement(&mut self, owner: &Owner) -> Option<Name> {
        let top = owner.meta.owner.as_ref().map_or(&owner.meta.name, |o| &o.name);
        let key = ObjKey {
            namespace: owner.meta.namespace.clone(),
            name: top.clone(),
        };
        self.placements
            .get_mut(&key)
            .and_then(std::collections::VecDeque::pop_front)
    }
}

/// The tolerations that the DaemonSet controller adds to its pods.
pub fn daemon_tolerations() -> Vec<Toleration> {
    [
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/disk-pressure",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/pid-pressure",
    ]
    .map(Toleration::key)
    .into()
}

/// Whether a pod of this template may run on a node with this taint.
fn tolerated(template: &PodTemplate, taint: &Taint) -> bool {
    let mut tolerations = template.tolerations.iter();
    taint.effect == Effect::PreferNoSchedule || tolerations.any(|toleration| toleration.tolerates(taint))
}

fn reference(owner: &Owner) -> OwnerRef {
    OwnerRef {
        kind: owner.kind,
        name: owner.meta.name.clone(),
        uid: owner.meta.uid.clone(),
    }
}

/// The label of the pods of a built owner.
pub(crate) fn app_label(name: &str) -> Map {
    Map::from([("app".to_owned(), name.to_owned())])
}
