//! Every kind that Junban observes: where it is watched, and how its objects get into the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use junban_api::{convert, names};
use junban_core::cluster::{Cluster, WorkloadKey, WorkloadKind};
use junban_core::ids::{ClaimKey, EntryName, NodeName, PdbKey, PodKey};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::{Api, ResourceExt};

use super::follow::{Handlers, LONG_WATCH, SHORT_WATCH, Watches};
use crate::connect::Connection;
use crate::resource::Kind;
use crate::store::{Store, is_the_queue};

pub(super) fn all(connection: &Connection, store: &Arc<Store>, watches: &mut Watches) {
    own(connection, store, watches);
    nodes_and_pods(connection, store, watches);
    workloads(connection, store, watches);
    volumes(connection, store, watches);
}

/// Junban's own kinds.
pub(super) fn own(connection: &Connection, store: &Arc<Store>, watches: &mut Watches) {
    let client = &connection.watches;
    watches.add(
        Kind::Queue.api(client),
        store,
        Handlers {
            what: Kind::Queue.as_str(),
            watch_seconds: SHORT_WATCH,
            apply: |store, object| {
                if is_the_queue(object) {
                    store.apply_queue(object);
                }
            },
            known: |store| {
                let uid = store.queue_uid();
                uid.map(|uid| (names::QUEUE.to_owned(), uid))
                    .into_iter()
                    .collect()
            },
            remove: |store, id, gone| {
                if id == names::QUEUE {
                    store.remove_queue(gone);
                }
            },
        },
    );
    watches.add(
        Kind::Policy.api(client),
        store,
        Handlers {
            what: Kind::Policy.as_str(),
            watch_seconds: SHORT_WATCH,
            apply: |store, object| store.apply_policy(object),
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.policies.keys().map(|name| without_uid(name.as_str()));
                    let unreadable = cluster.unreadable_policies.keys().map(without_uid);
                    read.chain(unreadable).collect()
                })
            },
            remove: |store, id, gone| store.remove_policy(id, gone),
        },
    );
    watches.add(
        Kind::Entry.api(client),
        store,
        Handlers {
            what: Kind::Entry.as_str(),
            watch_seconds: SHORT_WATCH,
            apply: |store, object| {
                // The cluster keeps the names of entries that cannot be read.
                let _ = store.apply_entry(object);
            },
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.entries.iter();
                    let read = read.map(|(name, entry)| (name.to_string(), entry.uid.to_string()));
                    let unreadable = cluster.unreadable_entries.keys().map(without_uid);
                    unreadable.chain(read).collect()
                })
            },
            remove: |store, id, gone| store.remove_entry(&EntryName::from(id), gone),
        },
    );
}

fn nodes_and_pods(connection: &Connection, store: &Arc<Store>, watches: &mut Watches) {
    let client = &connection.watches;
    watches.add(
        Api::<core::Node>::all(client.clone()),
        store,
        Handlers {
            what: "Node",
            watch_seconds: SHORT_WATCH,
            apply: |store, object| {
                store.apply_node(object);
            },
            known: |store| {
                store.with(|cluster| {
                    let nodes = cluster.nodes.iter();
                    nodes
                        .map(|(name, node)| (name.to_string(), node.uid.to_string()))
                        .collect()
                })
            },
            remove: |store, id, gone| store.remove_node(&NodeName::from(id), gone),
        },
    );
    watches.add(
        Api::<Lease>::namespaced(client.clone(), names::NODE_LEASE_NAMESPACE),
        store,
        Handlers {
            what: "node Lease",
            watch_seconds: SHORT_WATCH,
            apply: |store, object| {
                if let Some((node, renewed)) = convert::lease::renewal(object) {
                    store.apply_node_lease(&node, renewed);
                }
            },
            // A deleted Lease is not renewed, and only renewals are looked at.
            known: |_| BTreeMap::new(),
            remove: |_, _, _| {},
        },
    );
    watches.add(
        Api::<core::Pod>::all(client.clone()),
        store,
        Handlers {
            what: "Pod",
            watch_seconds: SHORT_WATCH,
            apply: |store, object| {
                store.apply_pod(object);
            },
            known: |store| {
                store.with(|cluster| {
                    let pods = cluster.pods.iter();
                    pods.map(|(key, pod)| (key.to_string(), pod.uid.to_string()))
                        .collect()
                })
            },
            remove: |store, id, gone| {
                let (namespace, name) = split(id);
                store.remove_pod(&PodKey::new(namespace, name), gone);
            },
        },
    );
    watches.add(
        Api::<PodDisruptionBudget>::all(client.clone()),
        store,
        Handlers {
            what: "PodDisruptionBudget",
            watch_seconds: SHORT_WATCH,
            apply: |store, object| store.apply_budget(object),
            known: |store| store.with(|cluster| cluster.budgets.keys().map(without_uid).collect()),
            remove: |store, id, _| {
                let (namespace, name) = split(id);
                store.remove_budget(&PdbKey::new(namespace, name));
            },
        },
    );
}

/// Watches one kind of workload: `$what` is core's name for it, `$read` converts it.
macro_rules! workload {
    ($watches:expr, $connection:expr, $store:expr, $what:ident, $read:expr) => {
        $watches.add(
            Api::all($connection.watches.clone()),
            $store,
            Handlers {
                what: stringify!($what),
                watch_seconds: LONG_WATCH,
                apply: |store, object| store.apply_workload($read(object)),
                known: |store| store.with(|cluster| workload_ids(cluster, &WorkloadKind::$what)),
                remove: |store, id, _| store.remove_workload(&key_of_id(WorkloadKind::$what, id)),
            },
        );
    };
}

fn workloads(connection: &Connection, store: &Arc<Store>, watches: &mut Watches) {
    use convert::workload;
    workload!(watches, connection, store, Deployment, workload::deployment);
    workload!(watches, connection, store, ReplicaSet, workload::replica_set);
    workload!(watches, connection, store, StatefulSet, workload::stateful_set);
    workload!(
        watches,
        connection,
        store,
        ReplicationController,
        workload::replication_controller
    );
    workload!(watches, connection, store, Job, workload::job);
    watches.add(
        Api::<DaemonSet>::all(connection.watches.clone()),
        store,
        Handlers {
            what: "DaemonSet",
            watch_seconds: LONG_WATCH,
            apply: |store, object| {
                store.apply_workload(workload::daemon_set(object));
                let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                let key = WorkloadKey::new(WorkloadKind::DaemonSet, namespace, name);
                store.apply_kured_lock(&key, workload::kured_lock_holder(object));
            },
            known: |store| store.with(|cluster| workload_ids(cluster, &WorkloadKind::DaemonSet)),
            remove: |store, id, _| store.remove_workload(&key_of_id(WorkloadKind::DaemonSet, id)),
        },
    );
}

fn volumes(connection: &Connection, store: &Arc<Store>, watches: &mut Watches) {
    let client = &connection.watches;
    watches.add(
        Api::<core::PersistentVolumeClaim>::all(client.clone()),
        store,
        Handlers {
            what: "PersistentVolumeClaim",
            watch_seconds: LONG_WATCH,
            apply: |store, object| store.volumes(|volumes, cluster| volumes.claim(object, cluster)),
            known: |store| store.with(|cluster| cluster.claims.keys().map(without_uid).collect()),
            remove: |store, id, _| {
                let (namespace, name) = split(id);
                let key = ClaimKey::new(namespace, name);
                store.volumes(|volumes, cluster| volumes.remove_claim(&key, cluster));
            },
        },
    );
    watches.add(
        Api::<core::PersistentVolume>::all(client.clone()),
        store,
        Handlers {
            what: "PersistentVolume",
            watch_seconds: LONG_WATCH,
            apply: |store, object| store.volumes(|volumes, cluster| volumes.volume(object, cluster)),
            known: |store| store.volume_names().map(without_uid).collect(),
            remove: |store, id, _| store.volumes(|volumes, cluster| volumes.remove_volume(id, cluster)),
        },
    );
    watches.add(
        Api::<VolumeAttachment>::all(client.clone()),
        store,
        Handlers {
            what: "VolumeAttachment",
            watch_seconds: SHORT_WATCH,
            apply: |store, object| {
                store.apply_attachment(object);
            },
            known: |store| store.with(|cluster| cluster.attachments.keys().map(without_uid).collect()),
            remove: |store, id, gone| store.remove_attachment(id, gone),
        },
    );
}

fn without_uid(id: impl ToString) -> (String, String) {
    (id.to_string(), String::new())
}

fn workload_ids(cluster: &Cluster, kind: &WorkloadKind) -> BTreeMap<String, String> {
    let of_kind = cluster.workloads.keys().filter(|key| key.kind == *kind);
    of_kind
        .map(|key| without_uid(format!("{}/{}", key.namespace, key.name)))
        .collect()
}

fn key_of_id(kind: WorkloadKind, id: &str) -> WorkloadKey {
    let (namespace, name) = split(id);
    WorkloadKey::new(kind, namespace, name)
}

fn split(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or(("", id))
}
