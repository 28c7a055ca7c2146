//! Nodes: registration, Leases, conditions and their taints, eviction by taint, and the removal of pods whose Node
//! was deleted.

use crate::api::node::{self, HOSTNAME, NOT_READY, UNREACHABLE, UNSCHEDULABLE};
use crate::api::{
    ApiError, Effect, Lease, Meta, Name, Node, NodeOp, NodeStatus, ObjKey, OwnerKind, Ready, Taint,
};
use crate::events::Event;
use crate::observed;
use crate::rng::Span;
use crate::truth::{Removal, Truth};
use crate::world::World;

impl World {
    /// The kubelet of the machine registers its Node, with a new UID and schedulable. Nothing happens if the Node
    /// exists or the kubelet is down.
    pub fn register_node(&mut self, name: &str) {
        let Some(m) = self.machines.get(name).filter(|m| m.kubelet_up) else {
            return;
        };
        if self.store.nodes.contains_key(name) {
            return;
        }
        let mut labels = m.labels.clone();
        labels.insert(HOSTNAME.into(), name.into());
        let ready = m.reported_ready();
        let status = NodeStatus {
            ready,
            ready_since: self.now(),
            boot_id: m.boot_id.clone(),
            system_uuid: m.system_uuid.clone(),
            allocatable: m.allocatable.clone(),
        };
        let (name, epoch, taints) = (m.name.clone(), m.epoch, m.taints.clone());
        let uid = self.new_uid();
        let meta = Meta {
            name: name.clone(),
            uid,
            labels,
            generation: 1,
            created: self.now(),
            ..Meta::default()
        };
        let node = self.store.put(
            self.now(),
            Node {
                meta,
                status,
                taints,
                ..Node::default()
            },
        );
        self.emit_node(None, Some(&node), "kubelet");
        self.scheduler.set_node(&node);
        self.start_lease(&name, epoch);
        self.queue.push(
            self.now() + self.config.node_grace_ms,
            Event::LeaseCheck { node: name.clone() },
        );
        self.wake_daemon_sets();
        self.wake_scheduler();
    }

    /// Deletes the Node. Its machine keeps running; the garbage collector removes its pods.
    pub(crate) fn remove_node(&mut self, name: &str) -> Result<(), ApiError> {
        let now = self.now();
        let node = self
            .store
            .remove::<Node>(now, &name.into())
            .ok_or_else(|| ApiError::not_found(name))?;
        self.store.remove::<Lease>(now, &node.meta.name);
        self.scheduler.remove_node(name);
        self.emit_node(Some(&node), None, "");
        let after = self.delay(Span::ms(1000, 20_000));
        self.queue.push(
            now + after,
            Event::Collect {
                node: node.meta.name.clone(),
            },
        );
        Ok(())
    }

    pub(crate) fn on_collect(&mut self, name: &Name) {
        if self.store.nodes.contains_key(name) {
            return;
        }
        let keys: Vec<ObjKey> = self.store.pods_on(name).map(|p| p.meta.key()).collect();
        for key in keys {
            self.emit_removal(&key, Removal::Collected);
            self.drop_pod(&key);
        }
    }

    pub(crate) fn start_lease(&mut self, name: &Name, epoch: u64) {
        let first = if self.instant {
            // Spread the renewals: not all kubelets write in the same millisecond.
            self.rng.below(self.config.lease_interval_ms)
        } else {
            0
        };
        if self.instant {
            self.renew_lease(name);
        }
        self.queue.push(
            self.now() + first,
            Event::Lease {
                node: name.clone(),
                epoch,
            },
        );
    }

    fn renew_lease(&mut self, node: &Name) {
        let lease = Lease {
            node: node.clone(),
            resource_version: 0,
            renewed: self.now,
        };
        self.store.put(self.now, lease);
    }

    pub(crate) fn on_lease(&mut self, name: &Name, epoch: u64) {
        let Some(m) = self.machines.get(name) else { return };
        if m.epoch != epoch || !m.kubelet_up {
            return;
        }
        self.queue.push(
            self.now() + self.config.lease_interval_ms,
            Event::Lease {
                node: name.clone(),
                epoch,
            },
        );
        let Some(node) = self.store.nodes.get(name).cloned() else {
            return;
        };
        self.renew_lease(name);
        // The kubelet may renew the Lease before it reports the new bootID. Such a renewal proves nothing.
        let boot_id = &node.status.boot_id;
        if let Some(m) = self.machines.get_mut(name)
            && m.boot_id == *boot_id
            && m.leased_boot != *boot_id
        {
            m.leased_boot.clone_from(boot_id);
            let (node, boot_id) = (name.to_string(), boot_id.clone());
            self.emit(Truth::LeaseAfterBoot { node, boot_id });
        }
        if node.status.ready == Ready::Unknown {
            self.report_node(name);
        }
    }

    /// The kubelet writes the status of its Node: bootID and Ready in one update.
    pub(crate) fn report_node(&mut self, name: &Name) {
        let Some(m) = self.machines.get(name) else { return };
        let (boot_id, uuid) = (m.boot_id.clone(), m.system_uuid.clone());
        let ready = m.reported_ready();
        let allocatable = m.allocatable.clone();
        self.write_node_status(name, move |status| {
            status.allocatable = allocatable;
            status.boot_id = boot_id;
            status.system_uuid = uuid;
            status.ready = ready;
        });
    }

    pub(crate) fn write_node_status(&mut self, name: &Name, change: impl FnOnce(&mut NodeStatus)) {
        let now = self.now();
        let Some(old) = self.store.nodes.get(name).cloned() else {
            return;
        };
        let mut new = (*old).clone();
        change(&mut new.status);
        if new.status == old.status {
            return;
        }
        if new.status.ready != old.status.ready {
            new.status.ready_since = now;
        }
        let new = self.store.put(now, new);
        self.node_changed(&old, &new, "kubelet");
        if !new.is_ready() && old.is_ready() {
            self.pods_not_ready(name);
        }
    }

    /// Patches a Node. A patch that changes nothing writes nothing.
    pub(crate) fn patch_node(
        &mut self,
        name: &str,
        ops: &[NodeOp],
        manager: &str,
    ) -> Result<std::sync::Arc<Node>, ApiError> {
        let old = self
            .store
            .nodes
            .get(name)
            .cloned()
            .ok_or_else(|| ApiError::not_found(name))?;
        let mut new = node::apply(&old, ops, manager)?;
        if new == *old {
            return Ok(old);
        }
        if new.unschedulable != old.unschedulable || new.taints != old.taints {
            new.meta.generation += 1;
        }
        let new = self.store.put(self.now(), new);
        self.node_changed(&old, &new, manager);
        Ok(new)
    }

    fn node_changed(&mut self, old: &Node, new: &Node, by: &str) {
        let name = new.meta.name.clone();
        self.emit_node(Some(old), Some(new), by);
        self.scheduler.set_node(new);
        if old.unschedulable != new.unschedulable || old.status.ready != new.status.ready {
            let after = self.delay(Span::ms(20, 200));
            self.queue.push(self.now() + after, Event::Taints { node: name });
        }
        if old.taints != new.taints || old.unschedulable != new.unschedulable {
            self.wake_scheduler();
        }
    }

    fn emit_node(&mut self, old: Option<&Node>, new: Option<&Node>, by: &str) {
        for event in observed::node(old, new, by) {
            self.emit(event);
        }
    }

    pub(crate) fn on_lease_check(&mut self, name: &Name) {
        let (now, grace) = (self.now(), self.config.node_grace_ms);
        if !self.store.nodes.contains_key(name) {
            return;
        }
        let renewed = self.store.leases.get(name).map_or(0, |l| l.renewed);
        if now < renewed + grace {
            self.queue
                .push(renewed + grace, Event::LeaseCheck { node: name.clone() });
            return;
        }
        self.write_node_status(name, |status| status.ready = Ready::Unknown);
        self.queue
            .push(now + grace, Event::LeaseCheck { node: name.clone() });
    }

    /// The node is not Ready: the node lifecycle controller sets its pods to not Ready.
    fn pods_not_ready(&mut self, name: &Name) {
        let now = self.now();
        let ready: Vec<ObjKey> = self
            .store
            .pods_on(name)
            .filter(|p| p.status.ready)
            .map(|p| p.meta.key())
            .collect();
        for key in ready {
            self.update_pod(&key, |p| {
                p.status.ready = false;
                p.status.ready_since = now;
            });
        }
    }

    pub(crate) fn on_taints(&mut self, name: &Name) {
        let Some(old) = self.store.nodes.get(name).cloned() else {
            return;
        };
        let mut new = (*old).clone();
        let ours = [UNSCHEDULABLE, NOT_READY, UNREACHABLE];
        let mut taints: Vec<Taint> = old
            .taints
            .iter()
            .filter(|t| !ours.contains(&t.key.as_str()))
            .cloned()
            .collect();
        if old.unschedulable {
            taints.push(Taint::new(UNSCHEDULABLE, "", Effect::NoSchedule));
        }
        let down = match old.status.ready {
            Ready::True => None,
            Ready::False => Some(NOT_READY),
            Ready::Unknown => Some(UNREACHABLE),
        };
        for effect in [Effect::NoSchedule, Effect::NoExecute] {
            taints.extend(down.map(|key| Taint::new(key, "", effect)));
        }
        if taints == old.taints {
            return;
        }
        new.taints = taints;
        let new = self.store.put(self.now(), new);
        self.node_changed(&old, &new, "node-controller");
        if down.is_some() {
            let at = self.now() + self.config.taint_eviction_ms;
            self.queue.push(
                at,
                Event::TaintEvict {
                    node: name.clone(),
                    since: old.status.ready_since,
                },
            );
        }
    }

    pub(crate) fn on_taint_evict(&mut self, name: &Name, since: crate::api::Ms) {
        let Some(node) = self.store.nodes.get(name) else {
            return;
        };
        if node.is_ready() || node.status.ready_since != since {
            return;
        }
        let leave: Vec<ObjKey> = self
            .store
            .pods_on(name)
            .filter(|p| !p.terminating() && !p.mirror() && !p.owned_by(OwnerKind::DaemonSet))
            .map(|p| p.meta.key())
            .collect();
        for key in leave {
            self.remove_pod(&key, None, Removal::Taint);
        }
    }
}
