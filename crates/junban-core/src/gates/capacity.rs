//! Do the node's pods fit elsewhere? Their requests are compared with the free room of all other nodes, as sums for
//! each resource (docs/design/drain.md#deadlocks).

use std::collections::BTreeMap;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::duty::{Duty, duty, is_pinned};
use crate::gates::Candidate;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::pod::PodPhase;
use crate::reason::Reason;

pub fn check(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let (cluster, node) = (plan.cluster, candidate.node);
    let mut needed: BTreeMap<&str, i64> = BTreeMap::new();
    let movable = cluster.pods_of(&node.name).filter(|pod| {
        matches!(duty(cluster, Some(plan.memory), pod, None), Duty::Evict) && !is_pinned(cluster, node, pod)
    });
    for pod in movable {
        for (resource, amount) in &pod.requests {
            *needed.entry(resource).or_insert(0) += amount;
        }
    }
    needed.retain(|_, amount| *amount > 0);
    if needed.is_empty() {
        return None;
    }
    let mut free: BTreeMap<&str, i64> = BTreeMap::new();
    for other in cluster.nodes.values() {
        let takes_pods =
            other.name != node.name && other.ready && !other.unschedulable && takes_workloads(other);
        if !takes_pods {
            continue;
        }
        for resource in needed.keys() {
            let used: i64 = cluster
                .pods_of(&other.name)
                .filter(|pod| pod.phase != PodPhase::Finished)
                .filter_map(|pod| pod.requests.get(*resource))
                .sum();
            let room = other.allocatable.get(*resource).copied().unwrap_or(0) - used;
            *free.entry(resource).or_insert(0) += room.max(0);
        }
    }
    // Pods that wait for a node need some of that room.
    for pod in cluster
        .pods
        .values()
        .filter(|pod| pod.node.is_none() && pod.phase == PodPhase::Pending)
    {
        for (resource, amount) in &pod.requests {
            if let Some(room) = free.get_mut(resource.as_str()) {
                *room -= amount;
            }
        }
    }
    let short = needed
        .iter()
        .find(|(resource, amount)| free.get(*resource).copied().unwrap_or(0) < **amount)?;
    let (resource, amount) = short;
    let (needed, free) = (*amount, free.get(*resource).copied().unwrap_or(0).max(0));
    let resource = ObjectRef::Capacity((*resource).to_owned());
    Some(Blocker::new(
        Reason::NoCapacity,
        resource,
        Detail::NoRoom { needed, free },
    ))
}

/// Whether no taint keeps pods out. Sums cannot tell which pods tolerate one.
fn takes_workloads(node: &Node) -> bool {
    node.taints.iter().all(|taint| taint.effect == "PreferNoSchedule")
}
