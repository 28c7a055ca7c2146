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
    nodes: Vec<NodeRoom<'a>>,
}

#[derive(Debug)]
struct NodeRoom<'a> {
    node: &'a Node,
    is_open: bool,
    total: Vec<i64>,
    free: Vec<i64>,
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
            room.nodes.push(of_node);
        }
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
        let share = |(number, amount): &(usize, i64)| {
            let largest = self.nodes.iter().map(|of_node| of_node.total[*number]).max();
            (i128::from(*amount) * 1_000 / i128::from(largest.unwrap_or(0).max(1))) as i64
        };
        wants.iter().map(share).max().unwrap_or(0)
    }

    /// The node with the most room that can take the pod, by its number.
    pub(super) fn best(
        &self,
        cluster: &Cluster,
        pod: &Pod,
        wants: &Wants,
        demands: &Demands<'_, '_>,
        leaving: Option<&NodeName>,
    ) -> Option<usize> {
        let takes = |of_node: &NodeRoom<'_>| {
            of_node.is_open
                && Some(&of_node.node.name) != leaving
                && of_node.lacks(wants, pod.priority).is_none()
                && untolerated(pod, of_node.node).is_none()
                && belongs_on(cluster, pod, of_node.node)
                && demands.barrier(of_node.node).is_none()
        };
        let fitting = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, of_node)| takes(of_node));
        let best = fitting.max_by_key(|(number, of_node)| (of_node.free_share(), std::cmp::Reverse(*number)));
        best.map(|(number, _)| number)
    }

    /// Why no node can take the pod: what keeps it from the nodes that come closest.
    pub(super) fn barrier(
        &self,
        cluster: &Cluster,
        pod: &Pod,
        wants: &Wants,
        demands: &Demands<'_, '_>,
        leaving: Option<&NodeName>,
    ) -> Barrier {
        let mut closest = Barrier::NoNode;
        let (mut tainted, mut a_taint) = (0, None);
        for of_node in &self.nodes {
            let node = of_node.node;
            if !of_node.is_open || Some(&node.name) == leaving {
                continue;
            }
            let lacks = of_node.lacks(wants, pod.priority);
            let barrier = if !belongs_on(cluster, pod, node) {
                Barrier::Selector
            } else if let Some(taint) = untolerated(pod, node) {
                if lacks.is_none() {
                    tainted += 1;
                    a_taint.get_or_insert_with(|| taint.to_string());
                }
                Barrier::Taint {
                    nodes: 1,
                    taint: taint.to_string(),
                }
            } else if let Some(barrier) = demands.barrier(node) {
                barrier
            } else if let Some((number, request, free)) = lacks {
                Barrier::Room {
                    resource: self.resources[number].to_owned(),
                    request,
                    most: free,
                    tainted: None,
                }
            } else {
                continue;
            };
            closest = closest.closer(barrier);
        }
        match (&mut closest, a_taint) {
            (Barrier::Room { tainted: known, .. }, Some(taint)) => *known = Some((tainted, taint)),
            (Barrier::Taint { nodes, taint }, Some(found)) => (*nodes, *taint) = (tainted, found),
            _ => {}
        }
        closest
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

    /// The pods that would come to a node.
    pub(super) fn coming(&self, name: &NodeName) -> &[Coming<'a>] {
        let of_node = self.nodes.iter().find(|of_node| of_node.node.name == *name);
        of_node.map_or(&[], |of_node| of_node.coming.as_slice())
    }

    /// A node that takes no more pods.
    pub(super) fn close(&mut self, name: &NodeName) {
        for of_node in self.nodes.iter_mut().filter(|of_node| of_node.node.name == *name) {
            of_node.is_open = false;
        }
    }
}

impl NodeRoom<'_> {
    fn add(&mut self, wants: &Wants, sign: i64) {
        for (number, amount) in wants {
            self.free[*number] = self.free[*number].saturating_add(sign * amount);
        }
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
            let free = self.free_for(*number, priority);
            (free < *amount).then_some((*number, *amount, free.max(0)))
        })
    }

    /// The free share of CPU and memory, in thousandths, as the scheduler's LeastAllocated scores nodes.
    fn free_share(&self) -> i64 {
        let share = |number: usize| {
            let (free, total) = (
                i128::from(self.free[number]),
                i128::from(self.total[number].max(1)),
            );
            (free * 1_000 / total) as i64
        };
        share(0) + share(1)
    }
}
