//! Where the pods that leave could go: what the scheduler would answer if it were asked about all of them at once
//! (docs/design/drain.md#room).
//!
//! The placement is simulated. Pods that wait for a node come first, then the pods that draining nodes still have to give,
//! then those of the nodes that start in this plan. Each pod takes its room. Nothing here changes the cluster.

mod room;
mod topology;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::cluster::Cluster;
use crate::detail::Barrier;
use crate::duty::{Duty, belongs_on, duty, is_pinned, untolerated};
use crate::entry::Phase;
use crate::ids::{NodeName, PodKey, PodUid};
use crate::memory::Memory;
use crate::node::Node;
use crate::pod::{Pod, PodPhase};
use crate::policy::Policy;
use crate::queue::Slot;
use crate::standing::governing;
use room::{Room, Wants};
use topology::Topology;

/// The answers for one plan. They are worked out when they are first asked for.
#[derive(Debug)]
pub struct Placement<'a> {
    cluster: &'a Cluster,
    memory: &'a Memory,
    state: RefCell<State<'a>>,
}

#[derive(Debug, Default)]
struct State<'a> {
    /// Nodes that are cordoned, or have a slot and will be.
    away: BTreeSet<&'a NodeName>,
    topology: Topology<'a>,
    room: Option<Room<'a>>,
    constrained: BTreeMap<&'a NodeName, Rc<Stays>>,
    moves: BTreeMap<&'a NodeName, Rc<Moves>>,
}

/// Pods whose place comes back with their node, and why no other node can take them.
pub type Stays = BTreeMap<PodUid, Barrier>;

/// What becomes of a node's pods that leave.
#[derive(Debug, Default)]
pub struct Moves {
    /// Pods without room elsewhere. The policy says that this is only reported.
    pub stays: Stays,
    /// The first pod without room elsewhere. The policy requires room for it.
    pub homeless: Option<(PodKey, Barrier)>,
}

impl<'a> Placement<'a> {
    pub fn new(cluster: &'a Cluster, memory: &'a Memory) -> Self {
        let slots = slots(cluster).map(|(name, _)| name);
        let cordoned = cluster
            .nodes
            .values()
            .filter(|node| node.unschedulable)
            .map(|node| &node.name);
        let state = State {
            away: slots.chain(cordoned).collect(),
            ..State::default()
        };
        Self {
            cluster,
            memory,
            state: RefCell::new(state),
        }
    }

    /// Whether the pod is down as long as its node: it is pinned, its constraints allow no other node, or no other node
    /// has room and the policy says `capacity: Report`. It leaves last, like a pinned pod.
    pub fn stays(&self, node: &Node, pod: &Pod) -> bool {
        self.stays_because(node, pod).is_some()
    }

    /// Why the pod is down as long as its node, if it is.
    pub fn stays_because(&self, node: &Node, pod: &Pod) -> Option<Barrier> {
        if is_pinned(self.cluster, node, pod) {
            return Some(Barrier::Selector);
        }
        let node = self.cluster.nodes.get(&node.name)?;
        if !pod.neighbours.is_empty()
            && let Some(barrier) = self.constrained(node).get(&pod.uid)
        {
            return Some(barrier.clone());
        }
        self.policy_of(node)
            .filter(|policy| policy.drain.capacity.reports_anything())
            .and_then(|_| self.moves(node).stays.get(&pod.uid).cloned())
    }

    /// What becomes of the node's pods if it is drained now.
    pub fn moves(&self, node: &Node) -> Rc<Moves> {
        let Some(node) = self.cluster.nodes.get(&node.name) else {
            return Rc::default();
        };
        let nothing_moves = slots(self.cluster).next().is_none() && self.waiting().next().is_none();
        if nothing_moves && self.state.borrow().room.is_none() && self.leaving(node).next().is_none() {
            return Rc::default();
        }
        self.with_room();
        if let Some(known) = self.state.borrow().moves.get(&node.name) {
            return known.clone();
        }
        let moves = Rc::new(self.try_moves(node, false));
        self.state.borrow_mut().moves.insert(&node.name, moves.clone());
        moves
    }

    /// What keeps a pod that waits for a node from all of them. `None`: nothing that is known here.
    pub fn barrier(&self, pod: &Pod) -> Option<Barrier> {
        let pod = self.cluster.pods.get(&pod.key)?;
        self.with_room();
        let mut state = self.state.borrow_mut();
        let State {
            away, topology, room, ..
        } = &mut *state;
        let room = room.as_ref()?;
        let wants = room.wants(pod);
        let demands = topology.demands(self.cluster, pod, away, None);
        let fits = room.best(self.cluster, pod, &wants, &demands, None).is_some();
        (!fits).then(|| room.barrier(self.cluster, pod, &wants, &demands, None))
    }

    /// Gives the pods of a node that starts their room, and takes the node out.
    pub fn take(&self, node: &Node) {
        let Some(node) = self.cluster.nodes.get(&node.name) else {
            return;
        };
        self.with_room();
        let moves = Rc::new(self.try_moves(node, true));
        let mut state = self.state.borrow_mut();
        state.away.insert(&node.name);
        if let Some(room) = &mut state.room {
            room.close(&node.name);
        }
        // What was worked out for other candidates rests on the room before.
        let cluster = self.cluster;
        state
            .moves
            .retain(|name, _| slots(cluster).any(|(slot, _)| slot == *name));
        state.moves.insert(&node.name, moves);
    }

    /// The policy by which a node is rebooted, or would be.
    fn policy_of(&self, node: &Node) -> Option<&'a Policy> {
        let queue = self.cluster.queue.present();
        let ledger = queue.and_then(|queue| queue.ledger.as_ref());
        let slot = ledger.and_then(|ledger| ledger.slots.get(&node.name));
        let entry = slot.and_then(|slot| self.cluster.entry(&slot.entry, &slot.entry_uid));
        let named = entry.and_then(|entry| self.cluster.policies.get(&entry.spec.policy));
        named.or_else(|| governing(self.cluster, node).ok())
    }

    /// The pods that wait for a node.
    fn waiting(&self) -> impl Iterator<Item = &'a Pod> {
        let unsettled = self.cluster.unsettled.values().map(AsRef::as_ref);
        unsettled.filter(|pod| {
            pod.node.is_none() && pod.phase == PodPhase::Pending && !pod.terminating && !pod.is_gated
        })
    }

    /// The pods that a drain of the node makes anew elsewhere.
    fn leaving(&self, node: &Node) -> impl Iterator<Item = &'a Pod> {
        let (cluster, memory) = (self.cluster, self.memory);
        let moves_on = move |pod: &&Pod| match duty(cluster, Some(memory), pod, None) {
            Duty::Evict => true,
            // Its successor may not be there yet: a StatefulSet waits for its end.
            Duty::Leaving => lacks_pods(cluster, pod),
            _ => false,
        };
        cluster.pods_of(&node.name).filter(moves_on)
    }

    /// The pods that no other node could take even with room, because of the pods that run there. They leave one by one,
    /// and where a node could take the one before, it has taken it.
    fn constrained(&self, node: &'a Node) -> Rc<Stays> {
        if let Some(known) = self.state.borrow().constrained.get(&node.name) {
            return known.clone();
        }
        let mut stays = Stays::new();
        let mut state = self.state.borrow_mut();
        let State { away, topology, .. } = &mut *state;
        let before = topology.state();
        let movable = self
            .leaving(node)
            .filter(|pod| !is_pinned(self.cluster, node, pod));
        for pod in movable.filter(|pod| !pod.neighbours.is_empty()) {
            topology.shift(pod, node, -1);
            let demands = topology.demands(self.cluster, pod, away, Some(&node.name));
            let mut barrier = Barrier::NoNode;
            let takes = self
                .cluster
                .nodes
                .values()
                .filter(|other| other.name != node.name)
                .find(|other| {
                    if untolerated(pod, other).is_some() || !belongs_on(self.cluster, pod, other) {
                        return false;
                    }
                    let found = demands.barrier(other);
                    let is_free = found.is_none();
                    if let Some(found) = found {
                        barrier = std::mem::take(&mut barrier).closer(found);
                    }
                    is_free
                });
            match takes {
                Some(other) => topology.shift(pod, other, 1),
                // Without any node whose taints and labels fit, room is what is missing.
                None if barrier == Barrier::NoNode => {}
                None => {
                    stays.insert(pod.uid.clone(), barrier);
                }
            }
        }
        topology.undo(before);
        let stays = Rc::new(stays);
        state.constrained.insert(&node.name, stays.clone());
        stays
    }

    /// Builds the room, unless it is built: first for the pods that wait for a node, then for those that draining nodes
    /// still have to give.
    fn with_room(&self) {
        if self.state.borrow().room.is_some() {
            return;
        }
        let cluster = self.cluster;
        {
            let mut state = self.state.borrow_mut();
            let State {
                away, topology, room, ..
            } = &mut *state;
            let room = room.insert(Room::new(cluster, |node| {
                node.ready && !away.contains(&node.name)
            }));
            for (pod, wants) in largest_first(room, self.waiting()) {
                // A pod that fits on no node takes no room: it waits for a reason of its own.
                let demands = topology.demands(cluster, pod, away, None);
                if let Some(number) = room.best(cluster, pod, &wants, &demands, None) {
                    let node = room.take(number, pod, wants);
                    topology.shift(pod, node, 1);
                }
            }
        }
        for (name, slot) in slots(cluster) {
            let entry = cluster.entry(&slot.entry, &slot.entry_uid);
            let is_draining =
                entry.is_some_and(|entry| matches!(entry.record.phase, Phase::Queued | Phase::Draining));
            if let Some(node) = cluster.nodes.get(name).filter(|_| is_draining) {
                let moves = Rc::new(self.try_moves(node, true));
                self.state.borrow_mut().moves.insert(&node.name, moves);
            }
        }
    }

    /// Places the pods of a node. If not `keep`, everything is as before afterwards.
    fn try_moves(&self, node: &'a Node, keep: bool) -> Moves {
        let (cluster, policy) = (self.cluster, self.policy_of(node));
        let constrained = self.constrained(node);
        let mut moves = Moves::default();
        let mut state = self.state.borrow_mut();
        let State {
            away, topology, room, ..
        } = &mut *state;
        let Some(room) = room else { return moves };
        let leaving = room.number_of(&node.name);
        let before = topology.state();
        let mut taken: Vec<usize> = Vec::new();
        let pods: Vec<&Pod> = self.leaving(node).collect();
        let highest = pods.iter().map(|pod| pod.priority).max();
        let stays = |pod: &&Pod| is_pinned(cluster, node, pod) || constrained.contains_key(&pod.uid);
        let movable = pods.into_iter().filter(|pod| !stays(pod));
        // Pods that would come to this node must go elsewhere too.
        let coming = leaving.map_or(&[][..], |number| room.coming(number));
        let coming: Vec<&Pod> = coming.iter().map(|coming| coming.pod).collect();
        for (pod, wants) in largest_first(room, movable.chain(coming)) {
            topology.shift(pod, node, -1);
            let demands = topology.demands(cluster, pod, away, Some(&node.name));
            if let Some(number) = room.best(cluster, pod, &wants, &demands, leaving) {
                let other = room.take(number, pod, wants);
                topology.shift(pod, other, 1);
                taken.push(number);
                continue;
            }
            let is_behind = pod.ends || highest.is_some_and(|highest| pod.priority < highest);
            if pod.node.is_none() && is_behind {
                // Work that waits in a queue goes on waiting. The scheduler places pods of a lower priority later.
                continue;
            }
            let barrier = room.barrier(cluster, pod, &wants, &demands, leaving);
            let fits_without = |resources: &[String]| {
                let wants = room.without(&wants, resources);
                room.best(cluster, pod, &wants, &demands, leaving).is_some()
            };
            let capacity = policy.map(|policy| &policy.drain.capacity);
            if capacity.is_some_and(|capacity| !capacity.is_required || fits_without(&capacity.report_only)) {
                moves.stays.insert(pod.uid.clone(), barrier);
            } else {
                moves.homeless.get_or_insert_with(|| (pod.key.clone(), barrier));
                if !keep {
                    break;
                }
            }
        }
        if !keep {
            topology.undo(before);
            for number in taken.into_iter().rev() {
                room.give_back(number);
            }
        }
        moves
    }
}

/// Pods in the order in which they are placed: by priority, the larger first.
fn largest_first<'p>(room: &Room<'_>, pods: impl Iterator<Item = &'p Pod>) -> Vec<(&'p Pod, Wants)> {
    let mut pods: Vec<_> = pods.map(|pod| (pod, room.wants(pod))).collect();
    pods.sort_by_cached_key(|(pod, wants)| std::cmp::Reverse((pod.priority, room.size(wants))));
    pods
}

/// Whether the controller of a terminating pod still has to make its successor.
fn lacks_pods(cluster: &Cluster, pod: &Pod) -> bool {
    let Some(owner) = &pod.owner else { return false };
    let Some(replicas) = cluster.workloads.get(owner).and_then(|owner| owner.replicas) else {
        return true;
    };
    let alive = cluster.pods_by_owner.get(owner).into_iter().flatten();
    let alive = alive.filter(|(_, pod)| !pod.terminating && pod.phase != PodPhase::Finished);
    alive.count() < replicas as usize
}

fn slots(cluster: &Cluster) -> impl Iterator<Item = (&NodeName, &Slot)> {
    let queue = cluster.queue.present();
    let ledger = queue.and_then(|queue| queue.ledger.as_ref());
    ledger.into_iter().flat_map(|ledger| &ledger.slots)
}

#[cfg(test)]
mod tests;
