//! Pods that this process evicted and that their operator has not replaced yet. Nobody can read how many replicas an owner
//! of an unknown kind has, so they are counted from its pods, and these count as well (docs/design/drain.md#implied-budgets).

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::Cluster;
use crate::effect::PodLeave;
use crate::ids::PodUid;
use crate::pod::{Pod, PodPhase};
use crate::workload::WorkloadKey;

#[derive(Clone, Debug, Default)]
struct Evicted {
    pods: BTreeSet<PodUid>,
    /// The pods that the owner had at the first of these evictions. A pod that is not among them replaces one.
    known: BTreeSet<PodUid>,
}

#[derive(Clone, Debug, Default)]
pub struct Unreplaced(BTreeMap<WorkloadKey, Evicted>);

impl Unreplaced {
    /// Notes an eviction, although it may be denied: when its answer is there, the pod may not be.
    pub(super) fn sent(&mut self, leave: &PodLeave, cluster: &Cluster) {
        let pod = cluster.pods.get(&leave.pod).filter(|pod| pod.uid == leave.uid);
        let Some(owner) = pod.and_then(|pod| cluster.topmost_owner(pod)) else {
            return;
        };
        if known_replicas(cluster, owner).is_some() {
            return;
        }
        let evicted = self.0.entry(owner.clone()).or_insert_with(|| Evicted {
            known: replicas_of(cluster, owner).map(|pod| pod.uid.clone()).collect(),
            ..Evicted::default()
        });
        evicted.pods.insert(leave.uid.clone());
    }

    /// Forgets an eviction that was denied.
    pub(super) fn forget(&mut self, leave: &PodLeave) {
        self.0.retain(|_, evicted| {
            evicted.pods.remove(&leave.uid);
            !evicted.pods.is_empty()
        });
    }

    /// Forgets the evictions of an owner that has as many new pods, all of them Ready.
    pub(super) fn observe(&mut self, cluster: &Cluster) {
        self.0.retain(|owner, evicted| {
            let is_new = |pod: &&Pod| pod.ready && !evicted.known.contains(&pod.uid);
            replicas_of(cluster, owner).filter(is_new).count() < evicted.pods.len()
        });
    }

    /// How many pods an owner should have: as its object says, or else as its pods and these evictions show.
    pub fn replicas(&self, cluster: &Cluster, owner: &WorkloadKey) -> u32 {
        if let Some(replicas) = known_replicas(cluster, owner) {
            return replicas;
        }
        let nothing = Evicted::default();
        let evicted = self.0.get(owner).unwrap_or(&nothing);
        let (mut old, mut new) = (0, 0);
        for pod in replicas_of(cluster, owner) {
            let is_new = !evicted.known.contains(&pod.uid) && !evicted.pods.is_empty();
            new += usize::from(is_new);
            old += usize::from(!is_new && !evicted.pods.contains(&pod.uid));
        }
        u32::try_from(old + new.max(evicted.pods.len())).unwrap_or(u32::MAX)
    }
}

fn known_replicas(cluster: &Cluster, owner: &WorkloadKey) -> Option<u32> {
    cluster.workloads.get(owner)?.replicas
}

fn replicas_of<'a>(cluster: &'a Cluster, owner: &'a WorkloadKey) -> impl Iterator<Item = &'a Pod> {
    let pods = cluster.pods_of_owner(owner);
    pods.filter(|pod| pod.phase != PodPhase::Finished && !pod.ends)
}
