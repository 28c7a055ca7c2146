//! Wakes the scheduler and the controllers. A woken one runs a little later, and once for all changes until then.

use crate::api::{ObjKey, OwnerKey, OwnerKind, Pod};
use crate::events::Event;
use crate::world::World;

impl World {
    pub(crate) fn wake_scheduler(&mut self) {
        if self.scheduler.wake() {
            let after = self.delay(self.config.scheduler_lag);
            self.queue.push(self.now + after, Event::Schedule);
        }
    }

    pub(crate) fn wake_owner_of(&mut self, pod: &Pod) {
        let Some(owner) = &pod.meta.owner else { return };
        if let Some(key) = self.store.owner_keys.get(&owner.uid).cloned() {
            self.wake_owner(key);
        }
    }

    pub(crate) fn wake_owner(&mut self, key: OwnerKey) {
        if self.woken_owners.insert(key.clone()) {
            let after = self.delay(self.config.controller_lag);
            self.queue.push(self.now + after, Event::Owner(key));
        }
    }

    pub(crate) fn wake_daemon_sets(&mut self) {
        let keys: Vec<_> = self
            .store
            .owners
            .keys()
            .filter(|k| k.kind == OwnerKind::DaemonSet)
            .cloned()
            .collect();
        for key in keys {
            self.wake_owner(key);
        }
    }

    /// Wakes the disruption controller for a pod that changed. If two budgets select the pod, the real controller
    /// updates only one of them; the status of the other one stays as it is.
    pub(crate) fn wake_budget_of(&mut self, pod: &Pod) {
        if let Some(key) = self.store.budgets_of(pod).first().map(|b| b.meta.key()) {
            self.wake_budget(key);
        }
    }

    pub(crate) fn wake_budget(&mut self, key: ObjKey) {
        if self.woken_budgets.insert(key.clone()) {
            let after = self.delay(self.config.disruption_lag);
            self.queue.push(self.now + after, Event::Budget(key));
        }
    }
}
