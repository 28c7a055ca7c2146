//! The scheduler's data: the room on each node, and the pods that have no node.
//!
//! It filters and scores nodes as the default plugins of kube-scheduler do, as far as drains need it. It filters by
//! requests, taints, selectors, anti-affinity, hard topology spread and the volumes' nodes. It scores by PreferNoSchedule taints, the
//! spread of an owner's pods and the free share of resources.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::api::meta::contains;
use crate::api::{Effect, Map, Ms, Name, Node, ObjKey, Pod, PodTemplate, Spread, Taint, node};
use crate::rng::Rng;

/// The reason in the status of a pod that fits on no node.
pub const UNSCHEDULABLE: &str = "Unschedulable";
/// The weights of kube-scheduler's default profile.
const WEIGHT_TAINTS: i64 = 3;
const WEIGHT_SPREAD: i64 = 2;

/// The numbers of CPU and memory, which every scheduler numbers first.
const SCORED: [usize; 2] = [0, 1];

/// The room on one node. Resources have numbers, because this is the innermost loop of the world.
#[derive(Debug)]
struct NodeRoom {
    name: Name,
    total: Vec<i64>,
    used: Vec<i64>,
    pods: i64,
    pods_max: i64,
    unschedulable: bool,
    taints: Vec<Taint>,
    labels: Map,
}

impl NodeRoom {
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

    /// The mean free share of CPU and memory, 0 to 100, once the pod is on the node.
    fn least_allocated(&self, wants: &[(usize, i64)]) -> i64 {
        let share = |resource: usize| {
            let total = self.total.get(resource).copied().unwrap_or(0).max(1);
            let want = wants
                .iter()
                .find(|(r, _)| *r == resource)
                .map_or(0, |(_, want)| *want);
            // Divide first: bytes times 100 could overflow an i64.
            (self.free(resource) - want).max(0) / (total / 1024).max(1) * 100 / 1024
        };
        SCORED.iter().map(|r| share(*r)).sum::<i64>() / 2
    }
}

/// A pod's order in the queue: by priority, then by age.
pub(crate) type QueueKey = (Reverse<i32>, Ms, ObjKey);

/// What the scheduler knows. Every write of a pod or a Node updates it.
#[derive(Debug)]
pub struct Scheduler {
    rooms: Vec<NodeRoom>,
    /// The index of each node in `rooms`.
    numbers: BTreeMap<Name, usize>,
    resources: Vec<String>,
    pending: BTreeSet<QueueKey>,
    /// Pods whose volumes are on one node, and that did not fit there. They are tried again when that node changes.
    parked: BTreeMap<Name, BTreeSet<QueueKey>>,
    /// Whether a run is queued.
    woken: bool,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            rooms: Vec::new(),
            numbers: BTreeMap::new(),
            resources: vec!["cpu".into(), "memory".into()],
            pending: BTreeSet::new(),
            parked: BTreeMap::new(),
            woken: false,
        }
    }
}

impl Scheduler {
    fn unpark(&mut self, node: &str) {
        if let Some(keys) = self.parked.remove(node) {
            self.pending.extend(keys);
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
        let room = NodeRoom {
            name: node.meta.name.clone(),
            total,
            used: Vec::new(),
            pods: 0,
            pods_max: node.status.allocatable.get("pods").copied().unwrap_or(i64::MAX),
            unschedulable: node.unschedulable,
            taints: node.taints.clone(),
            labels: node.meta.labels.clone(),
        };
        match self.numbers.get(&node.meta.name) {
            Some(at) => {
                let old = &mut self.rooms[*at];
                let (used, pods) = (std::mem::take(&mut old.used), old.pods);
                *old = NodeRoom { used, pods, ..room };
            }
            None => {
                self.numbers.insert(node.meta.name.clone(), self.rooms.len());
                self.rooms.push(room);
            }
        }
    }

    pub(crate) fn remove_node(&mut self, name: &str) {
        if let Some(at) = self.numbers.remove(name) {
            self.rooms.remove(at);
            self.numbers = self
                .rooms
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
            let key = (Reverse(pod.template.priority), pod.meta.created, pod.meta.key());
            if sign > 0 && pod.node.is_none() && !pod.ended() && !pod.terminating() {
                self.pending.insert(key);
            } else if !self.pending.remove(&key) && pod.node.is_none() {
                for keys in self.parked.values_mut() {
                    keys.remove(&key);
                }
            }
            if let Some(node) = pod.node.as_ref().filter(|_| sign < 0) {
                self.unpark(node);
            }
            let Some(at) = pod.node.as_ref().and_then(|n| self.numbers.get(n)).copied() else {
                continue;
            };
            if pod.ended() {
                continue;
            }
            let wants = self.wants(&pod.template);
            let room = &mut self.rooms[at];
            room.pods += sign;
            for (resource, want) in wants {
                add(&mut room.used, resource, sign * want);
            }
        }
    }

    /// Whether the caller must queue a run: pods wait, and no run is queued yet.
    pub(crate) fn wake(&mut self) -> bool {
        let wakes = !self.woken && !self.pending.is_empty();
        self.woken |= wakes;
        wakes
    }

    /// Begins the queued run; returns the pods that wait for it.
    pub(crate) fn begin(&mut self) -> Vec<QueueKey> {
        self.woken = false;
        self.pending.iter().cloned().collect()
    }

    pub(crate) fn park(&mut self, node: &Name, key: QueueKey) {
        self.pending.remove(&key);
        self.parked.entry(node.clone()).or_default().insert(key);
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn number_of(&self, node: &str) -> Option<usize> {
        self.numbers.get(node).copied()
    }

    /// The best node among `candidates`, if the pod fits on any. `siblings` is, for each node, the number of the
    /// owner's pods on it, or below 0 if anti-affinity forbids the node.
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
            let room = &self.rooms[at];
            if siblings[at] < 0
                || !room.fits(&wants)
                || !room.tolerated(pod)
                || !contains(&room.labels, &pod.template.node_selector)
            {
                continue;
            }
            let avoided = room
                .taints
                .iter()
                .any(|t| t.effect == Effect::PreferNoSchedule && !pod.tolerates(t));
            let score = WEIGHT_TAINTS * if avoided { 0 } else { 100 }
                + WEIGHT_SPREAD * (100 - 100 * siblings[at] / most)
                + room.least_allocated(&wants);
            let candidate = (score, rng.u64(), at);
            if best.is_none_or(|b| candidate > b) {
                best = Some(candidate);
            }
        }
        best.map(|(_, _, at)| self.rooms[at].name.clone())
    }

    /// The nodes on which one more pod would make the spread too uneven, and those without its label. `counted`: the node
    /// of each pod that counts.
    pub(crate) fn uneven(&self, pod: &Pod, spread: &Spread, counted: &[usize]) -> Vec<usize> {
        let mut domains: BTreeMap<&str, i64> = BTreeMap::new();
        for (at, room) in self.rooms.iter().enumerate() {
            let is_domain = contains(&room.labels, &pod.template.node_selector)
                && (!spread.honors_taints || room.tolerated(pod));
            if let Some(value) = room.labels.get(&spread.topology_key).filter(|_| is_domain) {
                let pods = counted.iter().filter(|node| **node == at).count();
                *domains.entry(value).or_insert(0) += i64::try_from(pods).unwrap_or(i64::MAX);
            }
        }
        let least = domains.values().copied().min().unwrap_or(0);
        let is_uneven = |room: &NodeRoom| {
            let pods = room
                .labels
                .get(&spread.topology_key)
                .and_then(|value| domains.get(value.as_str()));
            pods.is_none_or(|pods| pods + 1 - least > spread.max_skew)
        };
        let rooms = self.rooms.iter().enumerate();
        rooms
            .filter(|(_, room)| is_uneven(room))
            .map(|(at, _)| at)
            .collect()
    }

    /// How much of `resource` the pods on `node` request.
    pub fn used(&self, node: &str, resource: &str) -> i64 {
        let number = self.resources.iter().position(|r| r == resource);
        let room = self.numbers.get(node).map(|at| &self.rooms[*at]);
        number.and_then(|n| room?.used.get(n).copied()).unwrap_or(0)
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
