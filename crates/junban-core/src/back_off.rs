//! A back-off ends early if the object that blocked the drain changes (docs/design/life-cycle.md#back-off,
//! docs/design/drain.md#drained-in-vain).

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::entry::{BackOff, BlockedBy};
use crate::ids::PodKey;
use crate::object::ObjectRef;
use crate::pod::Pod;
use crate::workload::WorkloadKey;

/// The labels in which the controllers of pods keep a hash of the template.
const TEMPLATE_HASHES: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];

/// The object that blocks, and its present state. `None`: no change of this object ends a back-off.
pub(crate) fn blocked_by(cluster: &Cluster, object: &ObjectRef, in_vain: bool) -> Option<BlockedBy> {
    Some(BlockedBy {
        object: object.clone(),
        seen: state(cluster, object, in_vain)?,
    })
}

/// Whether the object that blocked has changed since.
pub(crate) fn has_changed(cluster: &Cluster, back_off: &BackOff) -> bool {
    back_off.blocked_by.as_ref().is_some_and(|blocked| {
        let now = state(cluster, &blocked.object, back_off.in_vain);
        now.is_some_and(|now| now != blocked.seen)
    })
}

/// The state of an object as text. The entry's status stores it, and it is only compared with a later state.
fn state(cluster: &Cluster, object: &ObjectRef, in_vain: bool) -> Option<String> {
    let gone = || "gone".to_owned();
    if in_vain {
        return in_vain_state(cluster, object);
    }
    Some(match object {
        // The generation, and whether the budget allows anything.
        ObjectRef::Pdb(key) => cluster.budgets.get(key).map_or_else(gone, |budget| {
            let allows = u8::from(budget.disruptions_allowed > 0);
            format!("{}/{allows}", budget.generation)
        }),
        // The UID, the phase, and whether the pod has a wish.
        ObjectRef::Pod(key) => cluster.pods.get(key).map_or_else(gone, |pod| {
            format!("{}/{:?}/{}", pod.uid, pod.phase, u8::from(pod.wish.is_some()))
        }),
        // The nodes to which the volume is attached.
        ObjectRef::Volume(name) => {
            let attached = cluster.attachments.values();
            let attached = attached.filter(|one| one.volume == *name && one.attached);
            let nodes: Vec<_> = attached.map(|one| one.node.as_str()).collect();
            nodes.join(",")
        }
        ObjectRef::Workload(key) => return workload_state(cluster, key),
        _ => return None,
    })
}

/// What must change before a drain that was in vain is tried again: the budget's spec, the template of its pods, or the
/// nodes. Numbers of healthy pods do not count: they change because the node was given back.
fn in_vain_state(cluster: &Cluster, object: &ObjectRef) -> Option<String> {
    let (generation, pods): (i64, Vec<&Pod>) = match object {
        ObjectRef::Pdb(key) => {
            let budget = cluster.budgets.get(key)?;
            let of_namespace = cluster.pods.range(PodKey::new(key.namespace.clone(), "")..);
            let of_namespace = of_namespace.take_while(|(pod, _)| pod.namespace == key.namespace);
            let selected = of_namespace.map(|(_, pod)| pod.as_ref());
            let selected = selected.filter(|pod| cluster.budgets_of(pod).any(|of_pod| of_pod.key == *key));
            (budget.generation, selected.collect())
        }
        ObjectRef::Workload(key) => (0, cluster.pods_of_owner(key).collect()),
        _ => return None,
    };
    let hashes = pods
        .iter()
        .filter_map(|pod| TEMPLATE_HASHES.iter().find_map(|label| pod.labels.get(*label)));
    let templates: Vec<&str> = BTreeSet::from_iter(hashes.map(String::as_str))
        .into_iter()
        .collect();
    let nodes = cluster.nodes.values();
    let sum = |resource: &str| -> i64 {
        nodes
            .clone()
            .filter_map(|node| node.allocatable.get(resource))
            .sum()
    };
    let taints = nodes
        .clone()
        .flat_map(|node| &node.taints)
        .filter(|taint| !taint.key.contains("kubernetes.io/"));
    Some(format!(
        "{generation}/{}/{} nodes, {} cpu, {} memory, {} taints",
        templates.join(","),
        nodes.clone().count(),
        sum("cpu"),
        sum("memory"),
        taints.filter(|taint| taint.keeps_pods_out()).count(),
    ))
}

/// How many replicas an owner wants, and how many of its pods are Ready.
fn workload_state(cluster: &Cluster, key: &WorkloadKey) -> Option<String> {
    let workload = cluster.workloads.get(key)?;
    let pods = cluster.pods_of_owner(key);
    let ready = pods.filter(|pod| pod.ready && !pod.terminating).count();
    Some(format!("{}/{ready}", workload.replicas.unwrap_or_default()))
}
