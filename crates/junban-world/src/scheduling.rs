//! The scheduler's runs: a run finds nodes for the pods that have none, binds the pods and makes their volumes.

use std::sync::Arc;

use crate::api::{Meta, Name, ObjKey, Pod, PodTemplate, Selector, Volume, VolumeKind};
use crate::scheduler::{Scheduler, UNSCHEDULABLE};
use crate::world::World;

impl World {
    /// The scheduler's data.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    pub(crate) fn on_schedule(&mut self) {
        // A template that did not fit does not fit later in the same run, because a run only takes room.
        let mut fits_nowhere: Vec<Arc<PodTemplate>> = Vec::new();
        for queue_key in self.scheduler.begin() {
            let key = queue_key.2.clone();
            let Some(pod) = self.store.pods.get(&key).cloned() else {
                continue;
            };
            let known = fits_nowhere.iter().any(|t| Arc::ptr_eq(t, &pod.template));
            let node = if known { None } else { self.choose(&pod) };
            if let Some(node) = node {
                self.bind(&key, &node);
            } else {
                if !known && pod.claims.is_empty() {
                    fits_nowhere.push(pod.template.clone());
                }
                if pod.status.reason != UNSCHEDULABLE {
                    self.update_pod(&key, |p| p.status.reason = UNSCHEDULABLE.into());
                }
                if let [node] = self.volume_nodes(&pod).as_slice() {
                    self.scheduler.park(node, queue_key);
                }
            }
        }
    }

    /// The best node for the pod, if it fits on any.
    fn choose(&mut self, pod: &Pod) -> Option<Name> {
        let candidates = match self.volume_nodes(pod).as_slice() {
            [] => 0..self.scheduler.len(),
            // The pod's volumes are on the disk of one node, so only this node can take it.
            [first, rest @ ..] if rest.iter().all(|n| n == first) => {
                let at = self.scheduler.number_of(first)?;
                at..at + 1
            }
            _ => return None,
        };
        let siblings = self.siblings(pod);
        self.scheduler.best(pod, candidates, &siblings, &mut self.rng)
    }

    /// For each node, the number of the owner's pods on it, or below 0 if anti-affinity or a spread forbids the node.
    fn siblings(&self, pod: &Pod) -> Vec<i64> {
        let mut siblings = vec![0; self.scheduler.len()];
        let at = |p: &Pod| p.node.as_ref().and_then(|n| self.scheduler.number_of(n));
        if let Some(owner) = &pod.meta.owner {
            for at in self
                .store
                .pods_of(&owner.uid)
                .filter(|p| !p.terminating())
                .filter_map(|p| at(p))
            {
                siblings[at] += 1;
            }
        }
        if let Some(labels) = &pod.template.anti_affinity {
            let selector = Selector {
                match_labels: labels.clone(),
                expressions: Vec::new(),
            };
            let beside = self.store.pods_selected(&pod.meta.namespace, &selector);
            for at in beside.into_iter().filter(|p| !p.ended()).filter_map(|p| at(p)) {
                siblings[at] = -1;
            }
        }
        if let Some(spread) = &pod.template.spread {
            let counted = self.counted(pod);
            for at in self.scheduler.uneven(pod, spread, &counted) {
                siblings[at] = -1;
            }
        }
        siblings
    }

    /// The nodes of the pods that the pod's spread counts: those with its labels that run and do not terminate.
    fn counted(&self, pod: &Pod) -> Vec<usize> {
        let selector = Selector {
            match_labels: pod.template.labels.clone(),
            expressions: Vec::new(),
        };
        let alike = self
            .store
            .pods_selected(&pod.meta.namespace, &selector)
            .into_iter();
        let counts = alike.filter(|other| !other.ended() && !other.terminating());
        counts
            .filter_map(|other| self.scheduler.number_of(other.node.as_ref()?))
            .collect()
    }

    /// The nodes of the pod's local volumes.
    fn volume_nodes(&self, pod: &Pod) -> Vec<Name> {
        let claims = self.store.claims_of(pod);
        claims
            .filter_map(|c| self.store.volumes.get(c.volume.as_ref()?))
            .filter_map(|v| v.node.clone())
            .collect()
    }

    pub(crate) fn bind(&mut self, key: &ObjKey, node: &Name) {
        let Some(pod) = self.store.pods.get(key).cloned() else {
            return;
        };
        self.provision(&pod, node);
        let now = self.now;
        self.update_pod(key, |p| {
            p.node = Some(node.clone());
            p.status.bound = Some(now);
            p.status.reason.clear();
        });
        self.pod_bound(key);
    }

    /// Makes volumes for the pod's claims that have none; local volumes are on this node.
    pub(crate) fn provision(&mut self, pod: &Pod, node: &Name) {
        for claim in &pod.claims {
            let key = ObjKey::new(&pod.meta.namespace, claim);
            let unbound = self.store.claims.get(&key).filter(|c| c.volume.is_none());
            let Some(old) = unbound.cloned() else { continue };
            let name: Name = format!("pv-{}-{}", key.namespace, key.name).into();
            let meta = Meta {
                name: name.clone(),
                uid: self.new_uid(),
                created: self.now,
                ..Meta::default()
            };
            let node = (old.kind == VolumeKind::Local).then(|| node.clone());
            self.store.put(self.now, Volume { meta, node });
            let mut new = (*old).clone();
            new.volume = Some(name);
            self.store.put(self.now, new);
        }
    }
}
