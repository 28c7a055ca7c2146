//! Every kind that Junban observes: where it is watched, and how its objects get into the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use junban_api::{convert, names};
use junban_core::cluster::{Cluster, WorkloadKey, WorkloadKind};
use junban_core::ids::{ClaimKey, EntryName, NodeName, PdbKey, PodKey, Version};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::{Api, Resource, ResourceExt};

use super::follow::{Handlers, LONG_WATCH, SHORT_WATCH, Watches};
use crate::connect::Connection;
use crate::gone::Gone;
use crate::resource::Kind;
use crate::store::{Store, is_the_queue};

/// Starts to watch all kinds.
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
            delete: |store, object| {
                if is_the_queue(object) {
                    store.remove_queue(as_of(object));
                }
            },
            known: |store| {
                let uid = store.queue_uid();
                uid.map(|uid| (names::QUEUE.to_owned(), uid))
                    .into_iter()
                    .collect()
            },
            vanished: |store, _, gone| store.remove_queue(gone),
        },
    );
    watches.add(
        Kind::Policy.api(client),
        store,
        Handlers {
            what: Kind::Policy.as_str(),
            watch_seconds: SHORT_WATCH,
            apply: |store, object| store.apply_policy(object),
            delete: |store, object| store.remove_policy(&object.name_any(), as_of(object)),
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.policies.keys().map(|name| without_uid(name.as_str()));
                    read.chain(unreadable(cluster, Kind::Policy)).collect()
                })
            },
            vanished: |store, id, gone| store.remove_policy(id, gone),
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
            delete: |store, object| store.remove_entry(&EntryName::new(object.name_any()), as_of(object)),
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.entries.iter();
                    let read = read.map(|(name, entry)| (name.to_string(), entry.uid.to_string()));
                    unreadable(cluster, Kind::Entry).chain(read).collect()
                })
            },
            vanished: |store, id, gone| store.remove_entry(&EntryName::from(id), gone),
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
            delete: |store, object| store.remove_node(&NodeName::new(object.name_any()), as_of(object)),
            known: |store| {
                store.with(|cluster| {
                    let nodes = cluster.nodes.iter();
                    nodes
                        .map(|(name, node)| (name.to_string(), node.uid.to_string()))
                        .collect()
                })
            },
            vanished: |store, id, gone| store.remove_node(&NodeName::from(id), gone),
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
            delete: |_, _| {},
            known: |_| BTreeMap::new(),
            vanished: |_, _, _| {},
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
            delete: |store, object| {
                let key = PodKey::new(object.namespace().unwrap_or_default(), object.name_any());
                store.remove_pod(&key, as_of(object));
            },
            known: |store| {
                store.with(|cluster| {
                    let pods = cluster.pods.iter();
                    pods.map(|(key, pod)| (key.to_string(), pod.uid.to_string()))
                        .collect()
                })
            },
            vanished: |store, id, gone| {
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
            delete: |store, object| {
                store.remove_budget(&PdbKey::new(
                    object.namespace().unwrap_or_default(),
                    object.name_any(),
                ));
            },
            known: |store| store.with(|cluster| cluster.budgets.keys().map(without_uid).collect()),
            vanished: |store, id, _| {
                let (namespace, name) = split(id);
                store.remove_budget(&PdbKey::new(namespace, name));
            },
        },
    );
}

/// Watches one kind of workload: `$what` is core's name for it, `$read` converts it.
macro_rules! workload {
    ($watches:expr, $connection:expr, $store:expr, $type:ty, $what:ident, $read:expr) => {
        $watches.add(
            Api::<$type>::all($connection.watches.clone()),
            $store,
            Handlers {
                what: stringify!($what),
                watch_seconds: LONG_WATCH,
                apply: |store, object| store.apply_workload($read(object)),
                delete: |store, object| store.remove_workload(&workload_key(WorkloadKind::$what, object)),
                known: |store| store.with(|cluster| workload_ids(cluster, &WorkloadKind::$what)),
                vanished: |store, id, _| store.remove_workload(&key_of_id(WorkloadKind::$what, id)),
            },
        );
    };
}

fn workloads(connection: &Connection, store: &Arc<Store>, watches: &mut Watches) {
    use convert::workload;
    workload!(
        watches,
        connection,
        store,
        Deployment,
        Deployment,
        workload::deployment
    );
    workload!(
        watches,
        connection,
        store,
        ReplicaSet,
        ReplicaSet,
        workload::replica_set
    );
    workload!(
        watches,
        connection,
        store,
        StatefulSet,
        StatefulSet,
        workload::stateful_set
    );
    workload!(
        watches,
        connection,
        store,
        core::ReplicationController,
        ReplicationController,
        workload::replication_controller
    );
    workload!(watches, connection, store, Job, Job, workload::job);
    watches.add(
        Api::<DaemonSet>::all(connection.watches.clone()),
        store,
        Handlers {
            what: "DaemonSet",
            watch_seconds: LONG_WATCH,
            apply: |store, object| {
                store.apply_workload(workload::daemon_set(object));
                store.apply_kured_lock(
                    &workload_key(WorkloadKind::DaemonSet, object),
                    workload::kured_lock_holder(object),
                );
            },
            delete: |store, object| store.remove_workload(&workload_key(WorkloadKind::DaemonSet, object)),
            known: |store| store.with(|cluster| workload_ids(cluster, &WorkloadKind::DaemonSet)),
            vanished: |store, id, _| store.remove_workload(&key_of_id(WorkloadKind::DaemonSet, id)),
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
            delete: |store, object| {
                let key = ClaimKey::new(object.namespace().unwrap_or_default(), object.name_any());
                store.volumes(|volumes, cluster| volumes.remove_claim(&key, cluster));
            },
            known: |store| store.with(|cluster| cluster.claims.keys().map(without_uid).collect()),
            vanished: |store, id, _| {
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
            delete: |store, object| {
                let name = object.name_any();
                store.volumes(|volumes, cluster| volumes.remove_volume(&name, cluster));
            },
            known: |store| store.volume_names().map(without_uid).collect(),
            vanished: |store, id, _| store.volumes(|volumes, cluster| volumes.remove_volume(id, cluster)),
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
            delete: |store, object| store.remove_attachment(&object.name_any(), as_of(object)),
            known: |store| store.with(|cluster| cluster.attachments.keys().map(without_uid).collect()),
            vanished: |store, id, gone| store.remove_attachment(id, gone),
        },
    );
}

/// Names of the objects of a kind that cannot be read.
fn unreadable(cluster: &Cluster, kind: Kind) -> impl Iterator<Item = (String, String)> {
    let prefix = kind.key("");
    cluster
        .unreadable
        .keys()
        .filter_map(move |key| key.strip_prefix(&prefix).map(without_uid))
}

fn without_uid(id: impl ToString) -> (String, String) {
    (id.to_string(), String::new())
}

/// A deletion that a watch reports, with its version.
fn as_of(object: &impl Resource) -> Gone<'_> {
    let version = object.meta().resource_version.as_deref();
    let version = version.and_then(|text| text.parse().ok());
    let uid = object.meta().uid.as_deref().unwrap_or_default();
    version.map_or(Gone::Uid(uid), |version| Gone::AsOf(Version(version)))
}

fn workload_key(kind: WorkloadKind, object: &impl Resource) -> WorkloadKey {
    WorkloadKey::new(kind, object.namespace().unwrap_or_default(), object.name_any())
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
