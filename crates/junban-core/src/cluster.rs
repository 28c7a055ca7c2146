//! The cluster as the caches show it. An adapter keeps this plain data up to date, and the plan reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::budget::Budget;
use crate::entry::Entry;
use crate::ids::{
    ClaimKey, EntryName, EntryUid, Freshness, NodeName, PdbKey, PodKey, PodUid, PolicyName, Version,
};
pub use crate::node::Node;
pub use crate::pod::{Neighbours, Pod, PodGroup, PodPhase, PodTerm, PodWish, Spread};
use crate::policy::Policy;
use crate::queue::Queue;
pub use crate::taint::{CORDON_TAINT, Taint, Toleration};
pub use crate::volume::{Attachment, Claim};
pub use crate::workload::{Workload, WorkloadKey, WorkloadKind};

/// Everything observed. An adapter applies watch events, live reads and the answers to Junban's own writes. The higher
/// resourceVersion wins. Each `apply_...` says whether the object was news.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub queue: QueueView,
    /// Why these caches may be minutes old. While they may be, nothing new starts (docs/design/safety.md#s27).
    pub stale: Option<String>,
    pub policies: BTreeMap<PolicyName, Policy>,
    /// Policies that cannot be read, with the reason. Such a policy governs its nodes all the same, and nothing starts
    /// under it.
    pub unreadable_policies: BTreeMap<PolicyName, String>,
    /// Entries that cannot be read, with the reason. Such an entry is not gone.
    pub unreadable_entries: BTreeMap<EntryName, String>,
    pub entries: BTreeMap<EntryName, Entry>,
    pub nodes: BTreeMap<NodeName, Node>,
    pub pods: BTreeMap<PodKey, Arc<Pod>>,
    /// The same pods by node. Every plan asks for them, so they are not looked up by key.
    pub pods_on: BTreeMap<NodeName, BTreeMap<PodKey, Arc<Pod>>>,
    /// The same pods by their direct controller.
    pub pods_by_owner: BTreeMap<WorkloadKey, BTreeMap<PodKey, Arc<Pod>>>,
    /// The pods that are not Ready, or that are terminating.
    pub unsettled: BTreeMap<PodKey, Arc<Pod>>,
    pub budgets: BTreeMap<PdbKey, Budget>,
    /// The budgets that select each pod. Every plan asks for them, so the methods below keep them up to date. A pod that
    /// no budget selects is not listed.
    pub selected_by: BTreeMap<PodKey, Vec<PdbKey>>,
    pub workloads: BTreeMap<WorkloadKey, Workload>,
    pub claims: BTreeMap<ClaimKey, Claim>,
    pub attachments: BTreeMap<String, Attachment>,
}

/// The queue object, or why it is not known. Everything but `Present` counts as paused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum QueueView {
    #[default]
    Absent,
    Unreadable(String),
    Present(Box<Queue>),
}

impl QueueView {
    pub fn present(&self) -> Option<&Queue> {
        match self {
            Self::Present(queue) => Some(queue),
            _ => None,
        }
    }

    /// Without a queue object everything is paused, and so it is until the ledger of a new queue is rebuilt
    /// (docs/design/life-cycle.md#pause).
    pub fn is_paused(&self) -> bool {
        self.present().and_then(Queue::shows_pause).unwrap_or(true)
    }
}

impl Cluster {
    /// All objects that cannot be read, as `KIND/NAME`, with the reason.
    pub fn unreadable(&self) -> impl Iterator<Item = (String, &String)> {
        let policies = self.unreadable_policies.iter();
        let policies = policies.map(|(name, why)| (format!("RebootPolicy/{name}"), why));
        let entries = self.unreadable_entries.iter();
        policies.chain(entries.map(|(name, why)| (format!("NodeReboot/{name}"), why)))
    }

    /// The entry of this name, if it has this UID.
    pub fn entry(&self, name: &EntryName, uid: &EntryUid) -> Option<&Entry> {
        self.entries.get(name).filter(|entry| entry.uid == *uid)
    }

    /// Applies a pod as read.
    pub fn apply_pod(&mut self, pod: Pod) -> bool {
        let known = self.pods.get(&pod.key);
        let freshness = pod.version.freshness(known.map(|known| known.version));
        if freshness == Freshness::Old {
            return false;
        }
        // A pod's labels hardly ever change: then the same budgets select it.
        let same_labels = known.is_some_and(|known| known.labels == pod.labels);
        let selected_by = same_labels.then(|| self.selected_by.remove(&pod.key).unwrap_or_default());
        self.remove_pod(&pod.key);
        let selected_by = selected_by.unwrap_or_else(|| self.selecting(&pod));
        if !selected_by.is_empty() {
            self.selected_by.insert(pod.key.clone(), selected_by);
        }
        let pod = Arc::new(pod);
        if let Some(node) = &pod.node {
            let on_node = self.pods_on.entry(node.clone()).or_default();
            on_node.insert(pod.key.clone(), pod.clone());
        }
        if let Some(owner) = &pod.owner {
            let of_owner = self.pods_by_owner.entry(owner.clone()).or_default();
            of_owner.insert(pod.key.clone(), pod.clone());
        }
        if !pod.ready || pod.terminating {
            self.unsettled.insert(pod.key.clone(), pod.clone());
        }
        self.pods.insert(pod.key.clone(), pod);
        freshness == Freshness::News
    }

    /// Notes that this very pod is being deleted, as the server has just said.
    pub fn pod_terminates(&mut self, key: &PodKey, uid: &PodUid) -> bool {
        let known = self.pods.get(key);
        let Some(known) = known.filter(|pod| pod.uid == *uid && !pod.terminating) else {
            return false;
        };
        self.apply_pod(Pod {
            terminating: true,
            ..known.as_ref().clone()
        });
        true
    }

    /// Forgets a pod.
    pub fn remove_pod(&mut self, key: &PodKey) {
        self.selected_by.remove(key);
        self.unsettled.remove(key);
        let Some(pod) = self.pods.remove(key) else { return };
        if let Some(node) = &pod.node {
            forget(&mut self.pods_on, node, key);
        }
        if let Some(owner) = &pod.owner {
            forget(&mut self.pods_by_owner, owner, key);
        }
    }

    /// Applies a node as read. It keeps the Lease that is known: Nodes and Leases come by different watches.
    pub fn apply_node(&mut self, mut node: Node) -> bool {
        let known = self.nodes.get(&node.name).filter(|known| known.uid == node.uid);
        if let Some(known) = known.filter(|_| node.lease.is_empty()) {
            node.lease.clone_from(&known.lease);
        }
        put(&mut self.nodes, node.name.clone(), node, |node| node.version)
    }

    /// Applies an entry as read.
    pub fn apply_entry(&mut self, entry: Entry) -> bool {
        put(&mut self.entries, entry.name.clone(), entry, |entry| {
            entry.version
        })
    }

    /// Applies a policy as read.
    pub fn apply_policy(&mut self, policy: Policy) -> bool {
        put(&mut self.policies, policy.name.clone(), policy, |policy| {
            policy.version
        })
    }

    /// Applies a workload as read.
    pub fn apply_workload(&mut self, workload: Workload) -> bool {
        put(&mut self.workloads, workload.key.clone(), workload, |workload| {
            workload.version
        })
    }

    /// Applies a VolumeAttachment as read.
    pub fn apply_attachment(&mut self, attachment: Attachment) -> bool {
        put(
            &mut self.attachments,
            attachment.name.clone(),
            attachment,
            |attachment| attachment.version,
        )
    }

    /// Applies the queue as read. Another UID is another queue, whatever its version.
    pub fn apply_queue(&mut self, queue: QueueView) -> bool {
        if let (Some(known), QueueView::Present(new)) = (self.queue.present(), &queue)
            && known.uid == new.uid
            && new.version.freshness(Some(known.version)) == Freshness::Old
        {
            return false;
        }
        let is_news = self.queue != queue;
        self.queue = queue;
        is_news
    }

    /// Whether a pod may come to a cordoned node: it tolerates the taint, or its template names the node, so that no
    /// scheduler is asked.
    pub fn comes_in_spite_of_cordon(&self, pod: &Pod) -> bool {
        pod.tolerates_cordon() || self.template_node(pod).is_some()
    }

    /// The node that the template of a pod's controller names.
    pub fn template_node(&self, pod: &Pod) -> Option<&NodeName> {
        self.workloads.get(pod.owner.as_ref()?)?.template_node.as_ref()
    }

    /// The pods bound to a node.
    pub fn pods_of<'a>(&'a self, node: &NodeName) -> impl Iterator<Item = &'a Pod> {
        let on_node = self.pods_on.get(node);
        on_node.into_iter().flatten().map(|(_, pod)| pod.as_ref())
    }

    /// The volumes of a pod that are attached to its node.
    pub fn volumes_attached_for(&self, pod: &Pod) -> Vec<String> {
        let attached = self.attachments.values();
        let attached = attached.filter(|one| one.attached && Some(&one.node) == pod.node.as_ref());
        let volumes = || pod.claims.iter().filter_map(|claim| self.claims.get(claim));
        attached
            .filter(|one| volumes().any(|claim| claim.volume == one.volume))
            .map(|one| one.volume.clone())
            .collect()
    }

    /// Applies a budget as read.
    pub fn apply_budget(&mut self, budget: Budget) -> bool {
        let known = self
            .budgets
            .get(&budget.key)
            .filter(|known| known.uid == budget.uid);
        if budget.version.freshness(known.map(|known| known.version)) != Freshness::News {
            return false;
        }
        let same_selector = known.is_some_and(|known| known.selector == budget.selector);
        let namespace = budget.key.namespace.clone();
        self.budgets.insert(budget.key.clone(), budget);
        if !same_selector {
            self.select_again(&namespace);
        }
        true
    }

    /// Forgets a budget; returns whether it was known.
    pub fn remove_budget(&mut self, key: &PdbKey) -> bool {
        let known = self.budgets.remove(key).is_some();
        if known {
            self.select_again(&key.namespace);
        }
        known
    }

    fn select_again(&mut self, namespace: &str) {
        let pods: Vec<_> = self
            .pods
            .range(PodKey::new(namespace, "")..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(key, pod)| (key.clone(), self.selecting(pod)))
            .collect();
        for (key, selecting) in pods {
            if selecting.is_empty() {
                self.selected_by.remove(&key);
            } else {
                self.selected_by.insert(key, selecting);
            }
        }
    }

    fn selecting(&self, pod: &Pod) -> Vec<PdbKey> {
        let namespace = &pod.key.namespace;
        let of_namespace = self.budgets.range(PdbKey::new(namespace.clone(), "")..);
        of_namespace
            .take_while(|(key, _)| key.namespace == *namespace)
            .filter(|(_, budget)| {
                budget
                    .selector
                    .as_ref()
                    .is_some_and(|selector| selector.matches(&pod.labels))
            })
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// The budgets that select a pod. The API server never evicts a pod that more than one budget selects.
    pub fn budgets_of<'a>(&'a self, pod: &Pod) -> impl Iterator<Item = &'a Budget> {
        self.selected_by
            .get(&pod.key)
            .into_iter()
            .flatten()
            .filter_map(|key| self.budgets.get(key))
    }

    /// The pods that a budget selects. It looks at every pod of the namespace.
    pub fn pods_of_budget<'a>(&'a self, budget: &'a Budget) -> impl Iterator<Item = &'a Pod> {
        let namespace = &budget.key.namespace;
        self.pods
            .range(PodKey::new(namespace.clone(), "")..)
            .take_while(move |(key, _)| key.namespace == *namespace)
            .map(|(_, pod)| pod.as_ref())
            .filter(|pod| self.budgets_of(pod).any(|of_pod| of_pod.key == budget.key))
    }

    /// The pods that a budget selects and that are not Ready.
    pub fn unready_of_budget<'a>(&'a self, budget: &'a Budget) -> impl Iterator<Item = &'a Pod> {
        let namespace = &budget.key.namespace;
        self.unsettled
            .range(PodKey::new(namespace.clone(), "")..)
            .take_while(move |(key, _)| key.namespace == *namespace)
            .map(|(_, pod)| pod.as_ref())
            .filter(|pod| !pod.ready && self.budgets_of(pod).any(|of_pod| of_pod.key == budget.key))
    }

    /// The pods whose topmost controller is `owner`: its own, and those of the controllers that it controls.
    pub fn pods_of_owner<'a>(&'a self, owner: &'a WorkloadKey) -> impl Iterator<Item = &'a Pod> {
        let children = (owner.kind == WorkloadKind::Deployment).then(|| {
            let first = WorkloadKey::new(WorkloadKind::ReplicaSet, owner.namespace.clone(), "");
            self.workloads
                .range(first..)
                .take_while(|(key, _)| {
                    key.kind == WorkloadKind::ReplicaSet && key.namespace == owner.namespace
                })
                .filter(|(_, workload)| workload.owner.as_ref() == Some(owner))
                .map(|(key, _)| key)
        });
        std::iter::once(owner)
            .chain(children.into_iter().flatten())
            .filter_map(|key| self.pods_by_owner.get(key))
            .flatten()
            .map(|(_, pod)| pod.as_ref())
    }

    /// The topmost controller of a pod that is known: the Deployment, not its ReplicaSet (a rollout has two), and not
    /// the custom resource above it, whose replicas nobody can read.
    pub fn topmost_owner<'a>(&'a self, pod: &'a Pod) -> Option<&'a WorkloadKey> {
        let mut key = pod.owner.as_ref()?;
        // A chain of owners is two long. The bound of four ends a ring.
        for _ in 0..4 {
            let owner = self
                .workloads
                .get(key)
                .and_then(|workload| workload.owner.as_ref());
            match owner.filter(|owner| self.workloads.contains_key(*owner)) {
                Some(owner) => key = owner,
                None => break,
            }
        }
        Some(key)
    }
}

/// Puts in an object as read, unless a newer one is known. Returns whether it was news.
fn put<K: Ord, V>(objects: &mut BTreeMap<K, V>, key: K, object: V, version: fn(&V) -> Version) -> bool {
    let freshness = version(&object).freshness(objects.get(&key).map(version));
    if freshness != Freshness::Old {
        objects.insert(key, object);
    }
    freshness == Freshness::News
}

fn forget<K: Ord>(index: &mut BTreeMap<K, BTreeMap<PodKey, Arc<Pod>>>, of: &K, pod: &PodKey) {
    if let Some(pods) = index.get_mut(of) {
        pods.remove(pod);
        if pods.is_empty() {
            index.remove(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::pod;

    #[test]
    fn the_indices_follow_a_pod() {
        let mut cluster = Cluster::default();
        cluster.apply_pod(pod("cart-1", "node-1"));
        let owner = cluster
            .pods
            .values()
            .next()
            .and_then(|pod| pod.owner.clone())
            .unwrap();
        assert_eq!(cluster.pods_of(&"node-1".into()).count(), 1);
        assert_eq!(cluster.pods_of_owner(&owner).count(), 1);
        cluster.apply_pod(Pod {
            node: Some("node-2".into()),
            ..pod("cart-1", "node-1")
        });
        assert_eq!(cluster.pods_of(&"node-1".into()).count(), 0);
        cluster.remove_pod(&PodKey::new("shop", "cart-1"));
        assert!(cluster.pods_on.is_empty() && cluster.pods_by_owner.is_empty());
    }
}
