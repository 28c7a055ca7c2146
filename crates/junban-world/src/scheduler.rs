//! The scheduler: filters and scores as kube-scheduler's default plugins do, as far as drains depend
//! on them: requests, taints, selectors, anti-affinity by hostname, volumes' node affinity; then
//! PreferNoSchedule, spreading of an owner's pods, and least-allocated.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::meta::contains;
use crate::api::{
    Effect, Map, Meta, Ms, Name, Node, ObjKey, Pod, PodTemplate, Selector, Taint, Volume, VolumeKind,
};
use crate::events::Event;
use crate::world::World;

/// Weights of the score plugins, as in the default profile.
const WEIGHT_TAINTS: i64 = 3;
const WEIGHT_SPREAD: i64 = 2;

#[derive(Debug, Clone)]
struct Slot {
    allocatable: BTreeMap<String, i64>,
    used: BTreeMap<String, i64>,
    pods: i64,
    unschedulable: bool,
    taints: Vec<Taint>,
    labels: Map,
}

impl Slot {
    fn fits(&self, template: &PodTemplate) -> bool {
        self.allocatable.get("pods").is_none_or(|max| self.pods < *max)
            && template.requests.iter().all(|(r, want)| {
                let free =
                    self.allocatable.get(r).copied().unwrap_or(0) - self.used.get(r).copied().unwrap_or(0);
                *want <= free
            })
    }

    fn tolerated(&self, pod: &Pod) -> bool {
        let cordon = || Taint::new(crate::api::node::UNSCHEDULABLE, "", Effect::NoSchedule);
        (!self.unschedulable || pod.tolerates(&cordon()))
            && self
                .taints
                .iter()
                .all(|t| t.effect == Effect::PreferNoSchedule || pod.tolerates(t))
    }

    /// Mean free share of CPU and memory after the pod, 0 to 100.
    fn least_allocated(&self, template: &PodTemplate) -> i64 {
        let mut sum = 0;
        for resource in ["cpu", "memory"] {
            let total = self.allocatable.get(resource).copied().unwrap_or(0).max(1);
            let used = self.used.get(resource).copied().unwrap_or(0);
            let want = template.requests.get(resource).copied().unwrap_or(0);
            sum +=
                i64::try_from(i128::from(total - used - want).max(0) * 100 / i128::from(total)).unwrap_or(0);
        }
        sum / 2
    }
}

/// The scheduler's view of nodes, kept up to date by every write of a pod or Node.
#[derive(Debug, Default)]
pub struct Scheduler {
    slots: BTreeMap<Name, Slot>,
    /// By priority, then age.
    pending: BTreeSet<(Reverse<i32>, Ms, ObjKey)>,
    poked: bool,
}

impl Scheduler {
    pub(crate) fn set_node(&mut self, node: &Node) {
        let (used, pods) = self
            .slots
            .remove(&node.meta.name)
            .map_or_else(Default::default, |s| (s.used, s.pods));
        let slot = Slot {
            allocatable: node.status.allocatable.clone(),
            used,
            pods,
            unschedulable: node.unschedulable,
            taints: node.taints.clone(),
            labels: node.meta.labels.clone(),
        };
        self.slots.insert(node.meta.name.clone(), slot);
    }

    pub(crate) fn remove_node(&mut self, name: &str) {
        self.slots.remove(name);
    }

    pub(crate) fn account(&mut self, old: Option<&Pod>, new: Option<&Pod>) {
        if let (Some(o), Some(n)) = (old, new)
            && o.node == n.node
            && o.ended() == n.ended()
            && o.terminating() == n.terminating()
        {
            return;
        }
        for (pod, sign) in [(old, -1), (new, 1)] {
            let Some(pod) = pod else { continue };
            let place = (Reverse(pod.template.priority), pod.meta.created, pod.meta.key());
            if sign > 0 && pod.node.is_none() && !pod.ended() && !pod.terminating() {
                self.pending.insert(place);
            } else {
                self.pending.remove(&place);
            }
            let Some(slot) = pod.node.as_ref().and_then(|n| self.slots.get_mut(n)) else {
                continue;
            };
            if pod.ended() {
                continue;
            }
            slot.pods += sign;
            for (resource, want) in &pod.template.requests {
                *slot.used.entry(resource.clone()).or_default() += sign * want;
            }
        }
    }

    /// How much of `resource` the pods on `node` have requested.
    pub fn used(&self, node: &str, resource: &str) -> i64 {
        self.slots
            .get(node)
            .and_then(|s| s.used.get(resource))
            .copied()
            .unwrap_or(0)
    }

    /// Pods that have no node.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

impl World {
    /// The scheduler's view.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    pub(crate) fn poke_scheduler(&mut self) {
        if !self.scheduler.poked && !self.scheduler.pending.is_empty() {
            self.scheduler.poked = true;
            let after = self.delay(self.config.scheduler_lag);
            self.queue.push(self.now + after, Event::Schedule);
        }
    }

    pub(crate) fn on_schedule(&mut self) {
        self.scheduler.poked = false;
        let queue: Vec<ObjKey> = self
            .scheduler
            .pending
            .iter()
            .map(|(_, _, key)| key.clone())
            .collect();
        // What did not fit a moment ago does not fit now: room only shrinks within one pass.
        let mut hopeless: Vec<Arc<PodTemplate>> = Vec::new();
        for key in queue {
            let Some(pod) = self.store.pods.get(&key).cloned() else {
                continue;
            };
            if hopeless.iter().any(|t| Arc::ptr_eq(t, &pod.template)) {
                continue;
            }
            if let Some(node) = self.choose(&pod) {
                self.bind(&key, &node);
            } else {
                if pod.claims.is_empty() {
                    hopeless.push(pod.template.clone());
                }
                self.update_pod(&key, |p| p.status.reason = "Unschedulable".into());
            }
        }
    }

    /// The best node for the pod, or none.
    fn choose(&mut self, pod: &Pod) -> Option<Name> {
        let template = &*pod.template;
        let at = match self.volume_nodes(pod).as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            [first, rest @ ..] if rest.iter().all(|n| n == first) => Some(first.clone()),
            _ => return None,
        };
        let apart: BTreeSet<Name> = match &template.anti_affinity {
            Some(labels) => {
                let selector = Selector {
                    match_labels: labels.clone(),
                    expressions: Vec::new(),
                };
                let beside = self.store.pods_selected(&pod.meta.namespace, &selector);
                beside
                    .into_iter()
                    .filter(|p| !p.ended())
                    .filter_map(|p| p.node.clone())
                    .collect()
            }
            None => BTreeSet::new(),
        };
        let mut siblings: BTreeMap<Name, i64> = BTreeMap::new();
        if let Some(owner) = &pod.meta.owner {
            for node in self
                .store
                .pods_of(&owner.uid)
                .filter(|p| !p.terminating())
                .filter_map(|p| p.node.clone())
            {
                *siblings.entry(node).or_default() += 1;
            }
        }
        let most = siblings.values().copied().max().unwrap_or(0).max(1);
        let mut best: Option<(i64, u64, &Name)> = None;
        for (name, slot) in &self.scheduler.slots {
            if at.as_ref().is_some_and(|a| a != name)
                || !slot.fits(template)
                || !slot.tolerated(pod)
                || !contains(&slot.labels, &template.node_selector)
                || apart.contains(name)
            {
                continue;
            }
            let avoided = slot
                .taints
                .iter()
                .any(|t| t.effect == Effect::PreferNoSchedule && !pod.tolerates(t));
            let spread = 100 - 100 * siblings.get(name).copied().unwrap_or(0) / most;
            let score = WEIGHT_TAINTS * if avoided { 0 } else { 100 }
                + WEIGHT_SPREAD * spread
                + slot.least_allocated(template);
            let candidate = (score, self.rng.u64(), name);
            if best.is_none_or(|b| candidate > b) {
                best = Some(candidate);
            }
        }
        best.map(|(_, _, name)| name.clone())
    }

    /// The nodes that the pod's volumes are bound to.
    fn volume_nodes(&self, pod: &Pod) -> Vec<Name> {
        let key = |c: &Name| ObjKey {
            namespace: pod.meta.namespace.clone(),
            name: c.clone(),
        };
        let claims = pod.claims.iter().filter_map(|c| self.store.claims.get(&key(c)));
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
        self.update_pod(key, |p| {
            p.node = Some(node.clone());
            p.status.reason.clear();
        });
        self.pod_bound(key);
    }

    /// Binds the pod's claims that have no volume yet: local ones to this node.
    pub(crate) fn provision(&mut self, pod: &Pod, node: &Name) {
        for claim in &pod.claims {
            let key = ObjKey {
                namespace: pod.meta.namespace.clone(),
                name: claim.clone(),
            };
            let Some(old) = self
                .store
                .claims
                .get(&key)
                .filter(|c| c.volume.is_none())
                .cloned()
            else {
                continue;
            };
            let name: Name = format!("pv-{}-{}", key.namespace, key.name).into();
            let meta = Meta {
                name: name.clone(),
                uid: self.new_uid(),
                created: self.now,
                ..Meta::default()
            };
            let node = (old.kind == VolumeKind::Local).then(|| node.clone());
            self.store.put_volume(self.now, Volume { meta, node });
            let mut new = (*old).clone();
            new.volume = Some(name);
            self.store.put_claim(self.now, new);
        }
    }
}
