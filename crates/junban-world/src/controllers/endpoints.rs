//! The endpoints of Services: what the API shows, and which pods really serve.

use crate::api::store::of_namespace;
use crate::api::{Pod, Service};
use crate::machine::PowerState;
use crate::truth::{DownCause, Truth};
use crate::world::World;

impl World {
    /// How many endpoints the API shows for the Service: its Ready pods that are not terminating.
    pub fn endpoints(&self, service: &Service) -> u64 {
        let pods = self
            .store
            .pods_selected(&service.meta.namespace, &service.selector);
        pods.iter().filter(|p| p.status.ready && !p.terminating()).count() as u64
    }

    pub(crate) fn emit_services_of(&mut self, pod: &Pod) {
        let services: Vec<_> = of_namespace(&self.store.services, &pod.meta.namespace)
            .filter(|s| s.selector.matches(&pod.meta.labels))
            .cloned()
            .collect();
        for service in services {
            self.emit_serving(&service);
        }
    }

    /// Emits how many pods of the Service serve, if that has changed.
    pub(crate) fn emit_serving(&mut self, service: &Service) {
        let (mut serving, mut lost, mut wanted) = (0, 0, 0);
        let mut owners = std::collections::BTreeSet::new();
        for pod in self
            .store
            .pods_selected(&service.meta.namespace, &service.selector)
        {
            if let Some(owner) = self.store.topmost(pod)
                && owners.insert(owner.meta.uid.clone())
            {
                wanted += owner.replicas.max(0) as u64;
            }
            let run = self.runs.get(&pod.meta.uid);
            serving += u64::from(pod.status.ready && !pod.terminating() && run.is_some_and(|r| r.serves));
            // Do not count a terminating pod as lost: it has a successor, or its owner waits for a person.
            let machine = pod.node.as_ref().filter(|_| !pod.terminating());
            let machine = machine.and_then(|n| self.machines.get(n));
            lost += u64::from(
                machine.is_some_and(|m| m.state != PowerState::Up && m.down_cause != DownCause::Power),
            );
        }
        let now = (serving, wanted, lost);
        if self.serving.insert(service.meta.key(), now) != Some(now) {
            let service = service.meta.key().to_string();
            self.emit(Truth::Serving {
                service,
                serving,
                wanted,
                lost,
            });
        }
    }
}
