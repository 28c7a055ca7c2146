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
/// Why a pod has no node, in its status.
pub const UNSCHEDULABLE: &str = "Unschedulable";
const WEIGHT_TAINTS: i64 = 3;
const WEIGHT_SPREAD: i64 = 2;

/// CPU and memory come first; other resources follow as they are met.
const SCORED: [usize; 2] = [0, 1];

/// A node. Resources are numbered, for this is the innermost loop of the world.
#[derive(Debug)]
struct Slot {
    name: Name,
    total: Vec<i64>,
    used: Vec<i64>,
    pods: i64,
    pods_max: i64,
    unschedulable: bool,
    taints: Vec<Taint>,
    labels: Map,
}

impl Slot {
    fn free(&self, resource: usize) -> i64 {
        self.total.get(resource).copied().unwrap_or(0) - self.used.get(resource).copied().unwrap_or(0)
    }

    fn fits(&self, wants: &[(usize, i64)]) -> bool {
        self.pods < self.pods_max && wants.iter().all(|(r, want)| *want <= self.free(*r))
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
    fn least_allocated(&self, wants: &[(usize, i64)]) -> i64 {
        let share = |resource: usize| {
            let total = self.total.get(resource).copied().unwrap_or(0).max(1);
            let want = wants
                .iter()
                .find(|(r, _)| *r == resource)
                .map_or(0, |(_, want)| *want);
            // In 1,024ths first: bytes times 100 would be near the end of an i64.
            (self.free(resource) - want).max(0) / (total / 1024).max(1) * 100 / 1024
        };
        SCORED.iter().map(|r| share(*r)).sum::<i64>() / 2
    }
}

/// A pod's place in the queue: by priority, then age.
type Place = (Reverse<i32>, Ms, ObjKey);

/// The scheduler's view of nodes, kept up to date by every write of a pod or Node.
#[derive(Debug)]
pub struct Scheduler {
    slots: Vec<Slot>,
    at: BTreeMap<Name, usize>,
    resources: Vec<String>,
    pending: BTreeSet<Place>,
    /// Pods bound to one node's disk that did not fit there: looked at again when that node changes.
    parked: BTreeMap<Name, BTreeSet<Place>>,
    poked: bool,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            at: BTreeMap::new(),
            resources: vec!["cpu".into(), "memory".into()],
            pending: BTreeSet::new(),
            parked: BTreeMap::new(),
            poked: false,
        }
    }
}

impl Scheduler {
    fn unpark(&mut self, node: &str) {
        if let Some(places) = self.parked.remove(node) {
            self.pending.extend(places);
        }
    }

    fn number(&mut self, resource: &str) -> usize {
        if let Some(at) = self.resources.iter().position(|r| r == resource) {
            return at;
        }
        self.resources.push(resource.to_owned());
        self.resources.len() - 1
    }

    fn wants(&mut self, template: &PodTemplate) -> Vec<(usize, i64)> {
        template
            .requests
            .iter()
            .map(|(r, want)| (self.number(r), *want))
            .collect()
    }

    pub(crate) fn set_node(&mut self, node: &Node) {
        self.unpark(&node.meta.name);
        let mut total = Vec::new();
        for (resource, quantity) in node.status.allocatable.iter().filter(|(r, _)| *r != "pods") {
            let number = self.number(resource);
            add(&mut total, number, *quantity);
        }
        let slot = Slot {
            name: node.meta.name.clone(),
            total,
            used: Vec::new(),
            pods: 0,
            pods_max: node.status.allocatable.get("pods").copied().unwrap_or(i64::MAX),
            unschedulable: node.unschedulable,
            taints: node.taints.clone(),
            labels: node.meta.labels.clone(),
        };
        match self.at.get(&node.meta.name) {
            Some(at) => {
                let old = &mut self.slots[*at];
                let (used, pods) = (std::mem::take(&mut old.used), old.pods);
                *old = Slot { used, pods, ..slot };
            }
            None => {
                self.at.insert(node.meta.name.clone(), self.slots.len());
                self.slots.push(slot);
            }
        }
    }

    pub(crate) fn remove_node(&mut self, name: &str) {
        if let Some(at) = self.at.remove(name) {
            self.slots.remove(at);
            self.at = self
                .slots
                .iter()
                .enumerate()
                .map(|(i, s)| (s.name.clone(), i))
                .collect();
        }
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
            } else if !self.pending.remove(&place) && pod.node.is_none() {
                for places in self.parked.values_mut() {
                    places.remove(&place);
                }
            }
            if let Some(node) = pod.node.as_ref().filter(|_| sign < 0) {
                self.unpark(node);
            }
            let Some(at) = pod.node.as_ref().and_then(|n| self.at.get(n)).copied() else {
                continue;
            };
            if pod.ended() {
                continue;
            }
            let wants = self.wants(&pod.template);
            let slot = &mut self.slots[at];
            slot.pods += sign;
            for (resource, want) in wants {
                add(&mut slot.used, resource, sign * want);
            }
        }
    }

    /// How much of `resource` the pods on `node` have requested.
    pub fn used(&self, node: &str, resource: &str) -> i64 {
        let number = self.resources.iter().position(|r| r == resource);
        let slot = self.at.get(node).map(|at| &self.slots[*at]);
        number.and_then(|n| slot?.used.get(n).copied()).unwrap_or(0)
    }

    /// Pods that have no node.
    pub fn pending(&self) -> usize {
        self.pending.len() + self.parked.values().map(BTreeSet::len).sum::<usize>()
    }
}

fn add(quantities: &mut Vec<i64>, resource: usize, quantity: i64) {
    if quantities.len() <= resource {
        quantities.resize(resource + 1, 0);
    }
    quantities[resource] += quantity;
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
        let queue: Vec<Place> = self.scheduler.pending.iter().cloned().collect();
        // What did not fit a moment ago does not fit now: room only shrinks within one pass.
        let mut hopeless: Vec<Arc<PodTemplate>> = Vec::new();
        for place in queue {
            let key = place.2.clone();
            let Some(pod) = self.store.pods.get(&key).cloned() else {
                continue;
            };
            let known = hopeless.iter().any(|t| Arc::ptr_eq(t, &pod.template));
            let node = if known { None } else { self.choose(&pod) };
            if let Some(node) = node {
                self.bind(&key, &node);
            } else {
                if !known && pod.claims.is_empty() {
                    hopeless.push(pod.template.clone());
                }
                if pod.status.reason != UNSCHEDULABLE {
                    self.update_pod(&key, |p| p.status.reason = UNSCHEDULABLE.into());
                }
                if let [node] = self.volume_nodes(&pod).as_slice() {
                    self.scheduler.pending.remove(&place);
                    self.scheduler
                        .parked
                        .entry(node.clone())
                        .or_default()
                        .insert(place);
                }
            }
        }
    }

    /// The best node for the pod, or none.
    fn choose(&mut self, pod: &Pod) -> Option<Name> {
        let template = &*pod.template;
        let candidates = match self.volume_nodes(pod).as_slice() {
            [] => 0..self.scheduler.slots.len(),
            // Bound to one node's disk: it, or none.
            [first, rest @ ..] if rest.iter().all(|n| n == first) => {
                let at = *self.scheduler.at.get(first)?;
                at..at + 1
            }
            _ => return None,
        };
        let wants = self.scheduler.wants(template);
        let siblings = self.siblings(pod);
        let most = siblings.iter().copied().max().unwrap_or(0).max(1);
        let mut best: Option<(i64, u64, usize)> = None;
        for at in candidates {
            let slot = &self.scheduler.slots[at];
            // A negative number of siblings: anti-affinity.
            if siblings[at] < 0
                || !slot.fits(&wants)
                || !slot.tolerated(pod)
                || !contains(&slot.labels, &template.node_selector)
            {
                continue;
            }
            let avoided = slot
                .taints
                .iter()
                .any(|t| t.effect == Effect::PreferNoSchedule && !pod.tolerates(t));
            let score = WEIGHT_TAINTS * if avoided { 0 } else { 100 }
                + WEIGHT_SPREAD * (100 - 100 * siblings[at] / most)
                + slot.least_allocated(&wants);
            let candidate = (score, self.rng.u64(), at);
            if best.is_none_or(|b| candidate > b) {
                best = Some(candidate);
            }
        }
        best.map(|(_, _, at)| self.scheduler.slots[at].name.clone())
    }

    /// For each slot, the pods of the same owner on it; below 0 where anti-affinity forbids it.
    fn siblings(&self, pod: &Pod) -> Vec<i64> {
        let mut siblings = vec![0; self.scheduler.slots.len()];
        let at = |p: &Pod| p.node.as_ref().and_then(|n| self.scheduler.at.get(n)).copied();
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
        siblings
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
