//! Writes of pods: each goes to the truth, to the scheduler, and wakes the controllers that it concerns.

use std::sync::Arc;

use crate::api::node::UNSCHEDULABLE;
use crate::api::{Effect, ObjKey, OwnerKind, Pod, Taint};
use crate::truth::{PodFacts, Removal, Truth};
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
        self.emit_pod(old, new);
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

    fn emit_pod(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        match (old, new) {
            (None, Some(new)) => {
                let facts = self.facts(new);
                self.emit(Truth::PodAdded(facts));
            }
            (Some(old), None) => {
                let (pod, uid) = (old.meta.key().to_string(), old.meta.uid.to_string());
                self.emit(Truth::PodGone { pod, uid });
            }
            (Some(old), Some(new)) => {
                let facts_of = |p: &Pod| (p.node.clone(), p.status.phase, p.status.ready, p.terminating());
                if facts_of(old) != facts_of(new) || old.meta.labels != new.meta.labels {
                    let facts = self.facts(new);
                    self.emit(Truth::PodChanged(facts));
                }
            }
            (None, None) => {}
        }
    }

    /// What the checkers read about the pod.
    fn facts(&self, pod: &Pod) -> PodFacts {
        let topmost = self.store.topmost(pod);
        let cordon = Taint::new(UNSCHEDULABLE, "", Effect::NoSchedule);
        PodFacts {
            pod: pod.meta.key().to_string(),
            uid: pod.meta.uid.to_string(),
            namespace: pod.meta.namespace.to_string(),
            labels: pod.meta.labels.clone(),
            owner_kind: pod.meta.owner.as_ref().map_or("", |o| o.kind.as_str()).to_owned(),
            topmost: topmost.map_or_else(String::new, |o| {
                format!("{}/{}/{}", o.kind.as_str(), o.meta.namespace, o.meta.name)
            }),
            owner_pod: (pod.meta.owner.as_ref())
                .filter(|owner| owner.kind == OwnerKind::Pod)
                .map(|owner| owner.uid.to_string()),
            work: pod.template.restarts_never,
            gone_by: (pod.meta.deleted).map(|deleted| deleted + pod.deletion_grace_s * 1000),
            mirror: pod.mirror(),
            tolerates_cordon: pod.tolerates(&cordon),
            node: pod.node.as_ref().map(ToString::to_string),
            phase: pod.status.phase,
            ready: pod.status.ready,
            terminating: pod.terminating(),
        }
    }
}
