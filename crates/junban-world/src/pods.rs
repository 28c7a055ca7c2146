//! Writes of pods: each goes to the truth, to the scheduler, and wakes the controllers that it concerns.

use std::sync::Arc;

use crate::api::{ObjKey, Pod};
use crate::observed;
use crate::truth::Removal;
use crate::world::World;

impl World {
    /// Changes the pod at `key`, if there is one and `change` changes it.
    pub(crate) fn update_pod(&mut self, key: &ObjKey, change: impl FnOnce(&mut Pod)) {
        let Some(old) = self.store.pods.get(key).cloned() else {
            return;
        };
        let mut new = (*old).clone();
        change(&mut new);
        if new != *old {
            let new = self.store.put_pod(self.now, new);
            self.pod_changed(Some(&old), Some(&new));
        }
    }

    /// Removes the pod from the store.
    pub(crate) fn drop_pod(&mut self, key: &ObjKey) {
        let Some(old) = self.store.remove_pod(self.now, key) else {
            return;
        };
        self.runs.remove(&old.meta.uid);
        self.pod_changed(Some(&old), None);
        // The garbage collector removes the pods that it controlled.
        let controlled: Vec<ObjKey> = self
            .store
            .pods_of(&old.meta.uid)
            .map(|pod| pod.meta.key())
            .collect();
        for key in controlled {
            self.remove_pod(&key, None, Removal::Collected);
        }
    }

    pub(crate) fn pod_changed(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        let Some(pod) = new.or(old) else { return };
        self.scheduler.account(old.map(|p| &**p), new.map(|p| &**p));
        let freed = old.is_some_and(|o| o.node.is_some() && new.is_none_or(|n| n.ended() && !o.ended()));
        if freed || new.is_some_and(|n| n.node.is_none() && old.is_none()) {
            self.wake_scheduler();
        }
        if let Some(event) = observed::pod(&self.store, old, new) {
            self.emit(event);
        }
        let state = |p: &Arc<Pod>| (p.status.ready, p.terminating(), p.status.phase);
        let is_relabelled = old.is_some_and(|old| new.is_some_and(|new| new.meta.labels != old.meta.labels));
        if let Some(old) = old.filter(|_| is_relabelled) {
            self.wake_budget_of(old);
        }
        if old.map(state) != new.map(state) || is_relabelled {
            self.wake_budget_of(pod);
            self.wake_owner_of(pod);
            self.emit_services_of(pod);
        }
    }
}
