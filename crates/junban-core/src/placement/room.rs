//! The free room on the nodes that take pods.

use super::topology::Demands;
use crate::cluster::Cluster;
use crate::detail::Barrier;
use crate::duty::{belongs_on, untolerated};
use crate::ids::NodeName;
use crate::node::Node;
use crate::pod::{Pod, PodPhase};

/// An amount of each resource, by the resource's number.
pub(super) type Wants = Vec<(usize, i64)>;

#[derive(Debug)]
pub(super) struct Room<'a> {
    /// The resources that at least one node lists. A resource that no node lists cannot be judged: it may belong to an
    /// extender of the scheduler.
    resources: Vec<&'a str>,
    /// The most of each resource that one node has.
    largest: Vec<i64>,
    nodes: Vec<NodeRoom<'a>>,
}

#[derive(Debug)]
struct NodeRoom<'a> {
    node: &'a Node,
    is_open: bool,
    total: Vec<i64>,
    free: Vec<i64>,
    /// The free share of CPU and memory, in thousandths, as the scheduler's LeastAllocated scores nodes.
    free_share: i64,
    /// Pods that would come here. If this node starts too, they must go elsewhere.
    coming: Vec<Coming<'a>>,
}

/// A pod that would come to a node.
#[derive(Clone, Debug)]
pub(super) struct Coming<'a> {
    pub pod: &'a Pod,
    pub wants: Wants,
}

impl Coming<'_> {
    /// Whether it waits for a node already. Pods of a higher priority come before it.
    fn is_waiting(&self) -> bool {
        self.pod.node.is_none()
    }
}

impl<'a> Room<'a> {
    /// The room as the bound pods leave it. `is_open`: whether a node takes pods.
    pub(super) fn new(cluster: &'a Cluster, is_open: impl Fn(&Node) -> bool) -> Self {
        let mut room = Self {
            resources: vec!["cpu", "memory"],
            largest: Vec::new(),
            nodes: Vec::with_capacity(cluster.nodes.len()),
        };
        for node in cluster.nodes.values() {
            for resource in node.allocatable.keys() {
                if !room.resources.contains(&resource.as_str()) {
                    room.resources.push(resource);
                }
            }
        }
        for node in cluster.nodes.values() {
            let amount = |resource: &&str| node.allocatable.get(*resource).copied().unwrap_or(0);
            let total: Vec<i64> = room.resources.iter().map(amount).collect();
            let mut of_node = NodeRoom {
                node,
                is_open: is_open(node),
                free: total.clone(),
                free_share: 0,
                total,
                coming: Vec::new(),
            };
            if of_node.is_open {
                for pod in cluster
                    .pods_of(&node.name)
                    .filter(|pod| pod.phase != PodPhase::Finished)
                {
                    of_node.add(&room.wants(pod), -1);
                }
            }
            of_node.free_share = of_node.share(0) + of_node.share(1);
            room.nodes.push(of_node);
        }
        let most = |number: usize| room.nodes.iter().map(|of_node| of_node.total[number]).max();
        room.largest = (0..room.resources.len())
            .map(|number| most(number).unwrap_or(0).max(1))
            .collect();
        room
    }

    /// What a pod wants. Resources that nobody can judge are left out.
    pub(super) fn wants(&self, pod: &Pod) -> Wants {
        let number = |name: &String| self.resources.iter().position(|known| known == name);
        let requests = pod.requests.iter().filter(|(_, amount)| **amount > 0);
        requests
            .filter_map(|(name, amount)| Some((number(name)?, *amount)))
            .collect()
    }

    /// The same without some resources.
    pub(super) fn without(&self, wants: &Wants, left_out: &[String]) -> Wants {
        let stays =
            |(number, _): &&(usize, i64)| !left_out.iter().any(|name| name == self.resources[*number]);
        wants.iter().filter(stays).copied().collect()
    }

    /// How large a pod is: the largest share that it takes of any resource of the largest node, in thousandths.
    pub(super) fn size(&self, wants: &Wants) -> i64 {
        let share = |(number, amount): &(usize, i64)| amount.saturating_mul(1_000) / self.largest[*number];
        wants.iter().map(share).max().unwrap_or(0)
    }

    /// The node with the most room that can take the pod, by its number.
    pub(super) fn best(
        &self,
        cluster: &Cluster,
        pod: &Pod,
        wants: &Wants,
        demands: &Demands<'_, '_>,
        leaving: Option<usize>,
    ) -> Option<usize> {
        let takes = |of_node: &NodeRoom<'_>| {
            of_node.is_open
                && of_node.lacks(wants, pod.priority).is_none()
                && untolerated(pod, of_node.node).is_none()
                && belongs_on(cluster, pod, of_node.node)
                && demands.barrier(of_node.node).is_none()
        };
        let mut best: Option<(usize, i64)> = None;
        for (number, of_node) in self.nodes.iter().enumerate() {
            // A node that is not better is not looked at: most nodes are passed over here.
            let is_better = best.is_none_or(|(_, share)| of_node.free_share > share);
            if is_better && Some(number) != leaving && takes(of_node) {
                best = Some((number, of_node.free_share));
            }
        }
        best.map(|(number, _)| number)
    }

    /// Why no node can take the pod: what keeps it from the nodes that come closest.
    pub(super) fn barrier(
        &self,
        cluster: &Cluster,
        pod: &Pod,
        wants: &Wants,
        demands: &Demands<'_, '_>,
        leaving: Option<usize>,
    ) -> Barrier {
        let mut closest = Barrier::NoNode;
        let mut lacking: Option<(usize, i64, i64)> = None;
        let (mut tainted, mut a_taint) = (0, None);
        for (number, of_node) in self.nodes.iter().enumerate() {
            let node = of_node.node;
            if !of_node.is_open || Some(number) == leaving {
                continue;
            }
            let lacks = of_node.lacks(wants, pod.priority);
            if !belongs_on(cluster, pod, node) {
                closest = closest.closer(Barrier::Selector);
            } else if let Some(taint) = untolerated(pod, node) {
                tainted += usize::from(lacks.is_none());
                a_taint = a_taint.or(Some(taint));
            } else if let Some(barrier) = demands.barrier(node) {
                closest = closest.closer(barrier);
            } else if let Some(lacks) = lacks {
                let most = lacking.map(|(.., most)| most);
                lacking = if most.is_none_or(|most| lacks.2 > most) {
                    Some(lacks)
                } else {
                    lacking
                };
            }
        }
        let tainted = a_taint.map(|taint| (tainted, taint.to_string()));
        if let Some((number, request, most)) = lacking {
            return Barrier::Room {
                resource: self.resources[number].to_owned(),
                request,
                most,
                tainted: tainted.filter(|(nodes, _)| *nodes > 0),
            };
        }
        match tainted {
            Some((nodes, taint)) => closest.closer(Barrier::Taint { nodes, taint }),
            None => closest,
        }
    }

    /// Gives a pod its room on a node.
    pub(super) fn take(&mut self, number: usize, pod: &'a Pod, wants: Wants) -> &'a Node {
        let of_node = &mut self.nodes[number];
        of_node.add(&wants, -1);
        of_node.coming.push(Coming { pod, wants });
        of_node.node
    }

    /// Takes back the room that the last pod got on a node.
    pub(super) fn give_back(&mut self, number: usize) {
        let of_node = &mut self.nodes[number];
        if let Some(last) = of_node.coming.pop() {
            of_node.add(&last.wants, 1);
        }
    }

    /// The number of a node.
    pub(super) fn number_of(&self, name: &NodeName) -> Option<usize> {
        self.nodes
            .binary_search_by(|of_node| of_node.node.name.cmp(name))
            .ok()
    }

    /// The pods that would come to a node.
    pub(super) fn coming(&self, number: usize) -> &[Coming<'a>] {
        &self.nodes[number].coming
    }

    /// A node that takes no more pods.
    pub(super) fn close(&mut self, name: &NodeName) {
        if let Some(number) = self.number_of(name) {
            self.nodes[number].is_open = false;
        }
    }
}

impl NodeRoom<'_> {
    fn add(&mut self, wants: &Wants, sign: i64) {
        for (number, amount) in wants {
            self.free[*number] = self.free[*number].saturating_add(sign * amount);
        }
        self.free_share = self.share(0) + self.share(1);
    }

    fn share(&self, number: usize) -> i64 {
        // Divide first: bytes times 1,000 could overflow.
        self.free[number] / (self.total[number] / 1_000).max(1)
    }

    /// What a pod of this priority may take. Pods of a lower priority that wait do not come before it.
    fn free_for(&self, number: usize, priority: i32) -> i64 {
        let lower = self
            .coming
            .iter()
            .filter(|coming| coming.is_waiting() && coming.pod.priority < priority);
        let held = lower
            .flat_map(|coming| &coming.wants)
            .filter(|(of, _)| *of == number);
        self.free[number].saturating_add(held.map(|(_, amount)| amount).sum())
    }

    /// The first resource of which there is too little: its number, what is wanted and what is free.
    fn lacks(&self, wants: &Wants, priority: i32) -> Option<(usize, i64, i64)> {
        wants.iter().find_map(|(number, amount)| {
            if self.free[*number] >= *amount {
                return None;
            }
            let free = self.free_for(*number, priority);
            (free < *amount).then_some((*number, *amount, free.max(0)))
        })
    }
}
