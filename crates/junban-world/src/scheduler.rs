//! The scheduler: filters and scores as kube-scheduler's default plugins do, as far as drains depend
//! on them: requests, taints, selectors, anti-affinity by hostname, volumes' node affinity; then
//! PreferNoSchedule, spreading of an owner's pods, and least-allocated.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::api::meta::contains;
use crate::api::{Effect, Map, Ms, Name, Node, ObjKey, Pod, PodTemplate, Taint, node};
use crate::rng::Rng;

/// Why a pod has no node, in its status.
pub const UNSCHEDULABLE: &str = "Unschedulable";
/// Weights of the score plugins, as in the default profile.
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
        let cordon = || Taint::new(node::UNSCHEDULABLE, "", Effect::NoSchedule);
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
pub(crate) type Place = (Reverse<i32>, Ms, ObjKey);

/// The scheduler's view of nodes, kept up to date by every write of a pod or Node.
#[derive(Debug)]
pub struct Scheduler {
    slots: Vec<Slot>,
    at: BTreeMap<Name, usize>,
    resources: Vec<String>,
    pending: BTreeSet<Place>,
    /// Pods bound to one node's disk that did not fit there: looked at again when that node changes.
    parked: BTreeMap<Name, BTreeSet<Place>>,
    woken: bool,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            at: BTreeMap::new(),
            resources: vec!["cpu".into(), "memory".into()],
            pending: BTreeSet::new(),
            parked: BTreeMap::new(),
            woken: false,
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

    /// Whether a run has to be queued: some pods wait, and no run is queued yet.
    pub(crate) fn wake(&mut self) -> bool {
        let wakes = !self.woken && !self.pending.is_empty();
        self.woken |= wakes;
        wakes
    }

    /// The run that was queued begins; these pods wait for it.
    pub(crate) fn begin(&mut self) -> Vec<Place> {
        self.woken = false;
        self.pending.iter().cloned().collect()
    }

    pub(crate) fn park(&mut self, node: &Name, place: Place) {
        self.pending.remove(&place);
        self.parked.entry(node.clone()).or_default().insert(place);
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn number_of(&self, node: &str) -> Option<usize> {
        self.at.get(node).copied()
    }

    /// The best of the nodes with the numbers `candidates`, or none. `siblings`: for each node, the pods of the same
    /// owner on it, or below 0 where anti-affinity forbids the node.
    pub(crate) fn best(
        &mut self,
        pod: &Pod,
        candidates: Range<usize>,
        siblings: &[i64],
        rng: &mut Rng,
    ) -> Option<Name> {
        let wants = self.wants(&pod.template);
        let most = siblings.iter().copied().max().unwrap_or(0).max(1);
        let mut best: Option<(i64, u64, usize)> = None;
        for at in candidates {
            let slot = &self.slots[at];
            if siblings[at] < 0
                || !slot.fits(&wants)
                || !slot.tolerated(pod)
                || !contains(&slot.labels, &pod.template.node_selector)
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
            let candidate = (score, rng.u64(), at);
            if best.is_none_or(|b| candidate > b) {
                best = Some(candidate);
            }
        }
        best.map(|(_, _, at)| self.slots[at].name.clone())
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
