//! A back-off ends early if the object that blocked the drain changes (docs/design/life-cycle.md#back-off).

use crate::cluster::Cluster;
use crate::entry::{BackOff, BlockedBy};
use crate::object::ObjectRef;
use crate::workload::WorkloadKey;

/// The object that blocks, and its present state. `None`: no change of this object ends a back-off.
pub(crate) fn blocked_by(cluster: &Cluster, object: &ObjectRef) -> Option<BlockedBy> {
    Some(BlockedBy {
        object: object.clone(),
        seen: state(cluster, object)?,
    })
}

/// Whether the object that blocked has changed since.
pub(crate) fn has_changed(cluster: &Cluster, back_off: &BackOff) -> bool {
    back_off.blocked_by.as_ref().is_some_and(|blocked| {
        let now = state(cluster, &blocked.object);
        now.is_some_and(|now| now != blocked.seen)
    })
}

/// The state of an object as text. The entry's status stores it, and it is only compared with a later state.
fn state(cluster: &Cluster, object: &ObjectRef) -> Option<String> {
    let gone = || "gone".to_owned();
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

/// How many replicas an owner wants, and how many of its pods are Ready.
fn workload_state(cluster: &Cluster, key: &WorkloadKey) -> Option<String> {
    let workload = cluster.workloads.get(key)?;
    let pods = cluster.pods_of_owner(key);
    let ready = pods.filter(|pod| pod.ready && !pod.terminating).count();
    Some(format!("{}/{ready}", workload.replicas.unwrap_or_default()))
}
