//! What the change of an object means: its state before and after, as events of the truth. The world asks for its own
//! objects, a [`crate::Mirror`] for those of a real cluster.

use std::sync::Arc;

use crate::api::node::UNSCHEDULABLE;
use crate::api::{Budget, Effect, Node, Owner, OwnerKey, OwnerKind, Pod, Store, Taint};
use crate::truth::{PodFacts, Truth};

/// `by` cordoned or uncordoned the Node, if the change does so.
pub(crate) fn node(old: Option<&Node>, new: Option<&Node>, by: &str) -> Vec<Truth> {
    let Some(new) = new else {
        let removed = |old: &Node| Truth::NodeRemoved {
            node: old.meta.name.to_string(),
            uid: old.meta.uid.to_string(),
        };
        return old.map(removed).into_iter().collect();
    };
    let node = new.meta.name.to_string();
    let boot_id = new.status.boot_id.clone();
    let mut events = Vec::new();
    // A Node that was registered again is another Node.
    let old = old.filter(|old| old.meta.uid == new.meta.uid);
    if old.is_none() {
        events.push(Truth::NodeAdded {
            node: node.clone(),
            uid: new.meta.uid.to_string(),
            machine: node.clone(),
            boot_id: boot_id.clone(),
            control_plane: new.is_control_plane(),
        });
    }
    let blank = Node::default();
    let before = old.unwrap_or(&blank);
    let (labels_before, labels) = (&before.meta.labels, &new.meta.labels);
    if labels_before != labels {
        let keys = labels_before.keys().chain(labels.keys());
        let changed = keys
            .filter(|k| labels_before.get(*k) != labels.get(*k))
            .map(|k| (k.clone(), labels.get(k).cloned()))
            .collect();
        events.push(Truth::NodeLabels {
            node: node.clone(),
            changed,
        });
    }
    if before.unschedulable != new.unschedulable {
        events.push(Truth::Cordon {
            node: node.clone(),
            cordoned: new.unschedulable,
            by: by.to_owned(),
        });
    }
    let taints = new.taints_that_keep_out();
    if before.taints_that_keep_out() != taints {
        let node = node.clone();
        events.push(Truth::NodeTaints { node, taints });
    }
    if before.status.allocatable != new.status.allocatable {
        let (node, allocatable) = (node.clone(), new.status.allocatable.clone());
        events.push(Truth::NodeAllocatable { node, allocatable });
    }
    if old.is_some_and(|old| old.status.boot_id != boot_id) {
        events.push(Truth::BootIdShown {
            node: node.clone(),
            boot_id,
        });
    }
    if before.status.ready != new.status.ready {
        let ready = new.status.ready;
        events.push(Truth::NodeReady { node, ready });
    }
    events
}

/// `store` holds the pod's owners.
pub(crate) fn pod(store: &Store, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) -> Option<Truth> {
    let state = |p: &Pod| (p.node.clone(), p.status.phase, p.status.ready, p.terminating());
    match (old, new) {
        (None, Some(new)) => Some(Truth::PodAdded(pod_facts(store, new))),
        (Some(old), None) => Some(Truth::PodGone {
            pod: old.meta.key().to_string(),
            uid: old.meta.uid.to_string(),
        }),
        (Some(old), Some(new)) => {
            (state(old) != state(new)).then(|| Truth::PodChanged(pod_facts(store, new)))
        }
        (None, None) => None,
    }
}

fn pod_facts(store: &Store, pod: &Pod) -> PodFacts {
    let topmost = store.topmost(pod);
    let cordon = Taint::new(UNSCHEDULABLE, "", Effect::NoSchedule);
    PodFacts {
        pod: pod.meta.key().to_string(),
        uid: pod.meta.uid.to_string(),
        namespace: pod.meta.namespace.to_string(),
        labels: pod.meta.labels.clone(),
        owner_kind: pod.meta.owner.as_ref().map_or("", |o| o.kind.as_str()).to_owned(),
        topmost: topmost.map_or_else(String::new, |owner| owner_text(&owner.key())),
        owner_pod: (pod.meta.owner.as_ref())
            .filter(|owner| owner.kind == OwnerKind::Pod)
            .map(|owner| owner.uid.to_string()),
        work: pod.template.restarts_never,
        gone_by: (pod.meta.deleted).map(|deleted| deleted + pod.deletion_grace_s * 1000),
        mirror: pod.mirror(),
        tolerates_cordon: pod.tolerates(&cordon),
        node: pod.node.as_ref().map(ToString::to_string),
        phase: pod.status.phase,
        ready: pod.status.ready,
        terminating: pod.terminating(),
    }
}

/// A topmost owner was added or changed.
pub(crate) fn owner(owner: &Owner) -> Option<Truth> {
    owner.meta.owner.is_none().then(|| Truth::Owner {
        owner: owner_text(&owner.key()),
        replicas: owner.replicas,
        min_ready_s: owner.min_ready_s,
    })
}

pub(crate) fn owner_gone(key: &OwnerKey) -> Truth {
    Truth::OwnerGone {
        owner: owner_text(key),
    }
}

/// `Kind/namespace/name`.
fn owner_text(key: &OwnerKey) -> String {
    format!("{}/{}/{}", key.kind.as_str(), key.namespace, key.name)
}

/// The budget as its status says. It selects the pods `members`.
pub(crate) fn budget(budget: &Budget, members: Vec<String>) -> Truth {
    let status = &budget.status;
    Truth::Budget {
        budget: budget.meta.key().to_string(),
        needed: status.desired_healthy,
        allowed: status.disruptions_allowed,
        members,
    }
}
