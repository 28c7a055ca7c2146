//! What ends a back-off before its time: a change of the object that blocked (lifecycle.md 2).

use crate::cluster::Cluster;
use crate::entry::{BackOff, BlockedBy};
use crate::ids::{PdbKey, PodKey};

/// The blocking object as `kind namespace/name`, and its state now. `None`: it is of no kind that is watched.
pub(crate) fn blocked_by(cluster: &Cluster, object: &str) -> Option<BlockedBy> {
    let seen = state(cluster, object)?;
    Some(BlockedBy {
        object: object.to_owned(),
        seen,
    })
}

/// Whether the object that blocked has changed since.
pub(crate) fn has_changed(cluster: &Cluster, back_off: &BackOff) -> bool {
    let Some(blocked) = &back_off.blocked_by else {
        return false;
    };
    state(cluster, &blocked.object).is_some_and(|now| now != blocked.seen)
}

/// A budget's generation and whether it allows anything; a pod's UID, phase and whether it has a wish; where a volume is
/// attached; of an owner without a budget, its replicas and how many are Ready.
fn state(cluster: &Cluster, object: &str) -> Option<String> {
    let (kind, name) = object.split_once(' ')?;
    if kind == "volume" {
        return Some(homes_of_volume(cluster, name));
    }
    let (namespace, name) = name.split_once('/')?;
    let gone = || "gone".to_owned();
    match kind {
        "pdb" => Some(
            cluster
                .budgets
                .get(&PdbKey::new(namespace, name))
                .map_or_else(gone, |budget| {
                    format!(
                        "{}/{}",
                        budget.generation,
                        u8::from(budget.disruptions_allowed > 0)
                    )
                }),
        ),
        "pod" => {
            let pod = cluster.pods.get(&PodKey::new(namespace, name));
            Some(pod.map_or_else(gone, |pod| {
                format!("{}/{:?}/{}", pod.uid, pod.phase, u8::from(pod.wish.is_some()))
            }))
        }
        _ => owner_state(cluster, object),
    }
}

fn homes_of_volume(cluster: &Cluster, volume: &str) -> String {
    let attachments = cluster.attachments.values();
    let homes: Vec<_> = attachments
        .filter(|one| one.volume == volume && one.attached)
        .map(|one| one.node.as_str())
        .collect();
    homes.join(",")
}

fn owner_state(cluster: &Cluster, object: &str) -> Option<String> {
    let (key, workload) = cluster
        .workloads
        .iter()
        .find(|(key, _)| key.describe() == object)?;
    let pods = cluster.pods_of_owner(key);
    let ready = pods.filter(|pod| pod.ready && !pod.terminating).count();
    Some(format!("{}/{ready}", workload.replicas.unwrap_or_default()))
}
