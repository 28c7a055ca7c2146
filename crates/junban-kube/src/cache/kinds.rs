//! Every kind that is observed: where it is watched and how it gets into the store.

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

use super::follow::{BRISK_SECONDS, CALM_SECONDS, Following, Kept};
use crate::connect::Connection;
use crate::gone::Gone;
use crate::resource::Kind;
use crate::store::{Store, is_the_queue};

/// Begins to follow all kinds.
pub(super) fn all(connection: &Connection, store: &Arc<Store>, following: &mut Following) {
    own(connection, store, following);
    nodes_and_pods(connection, store, following);
    workloads(connection, store, following);
    volumes(connection, store, following);
}

/// Junban's own kinds.
pub(super) fn own(connection: &Connection, store: &Arc<Store>, following: &mut Following) {
    let client = &connection.watches;
    following.add(
        Kind::Queue.api(client),
        store,
        Kept {
            what: Kind::Queue.as_str(),
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| {
                if is_the_queue(object) {
                    store.queue(object);
                }
            },
            delete: |store, object| {
                if is_the_queue(object) {
                    store.no_queue(as_of(object));
                }
            },
            known: |store| {
                let uid = store.queue_uid();
                uid.map(|uid| (names::QUEUE.to_owned(), uid))
                    .into_iter()
                    .collect()
            },
            vanished: |store, _, gone| store.no_queue(gone),
        },
    );
    following.add(
        Kind::Policy.api(client),
        store,
        Kept {
            what: Kind::Policy.as_str(),
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| store.policy(object),
            delete: |store, object| store.no_policy(&object.name_any(), as_of(object)),
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.policies.keys().map(|name| without_uid(name.as_str()));
                    read.chain(unreadable(cluster, Kind::Policy)).collect()
                })
            },
            vanished: |store, id, gone| store.no_policy(id, gone),
        },
    );
    following.add(
        Kind::Entry.api(client),
        store,
        Kept {
            what: Kind::Entry.as_str(),
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| {
                // What cannot be read stands in the cluster as such.
                let _ = store.entry(object);
            },
            delete: |store, object| store.no_entry(&EntryName::new(object.name_any()), as_of(object)),
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.entries.iter();
                    let read = read.map(|(name, entry)| (name.to_string(), entry.uid.to_string()));
                    unreadable(cluster, Kind::Entry).chain(read).collect()
                })
            },
            vanished: |store, id, gone| store.no_entry(&EntryName::from(id), gone),
        },
    );
}

fn nodes_and_pods(connection: &Connection, store: &Arc<Store>, following: &mut Following) {
    let client = &connection.watches;
    following.add(
        Api::<core::Node>::all(client.clone()),
        store,
        Kept {
            what: "Node",
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| {
                store.node(object);
            },
            delete: |store, object| store.no_node(&NodeName::new(object.name_any()), as_of(object)),
            known: |store| {
                store.with(|cluster| {
                    let nodes = cluster.nodes.iter();
                    nodes
                        .map(|(name, node)| (name.to_string(), node.uid.to_string()))
                        .collect()
                })
            },
            vanished: |store, id, gone| store.no_node(&NodeName::from(id), gone),
        },
    );
    following.add(
        Api::<Lease>::namespaced(client.clone(), names::NODE_LEASE_NAMESPACE),
        store,
        Kept {
            what: "node Lease",
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| {
                if let Some((node, renewed)) = convert::lease::renewal(object) {
                    store.node_lease(&node, renewed);
                }
            },
            // A Lease that is gone does not change, which is all that is asked of it.
            delete: |_, _| {},
            known: |_| BTreeMap::new(),
            vanished: |_, _, _| {},
        },
    );
    following.add(
        Api::<core::Pod>::all(client.clone()),
        store,
        Kept {
            what: "Pod",
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| {
                store.pod(object);
            },
            delete: |store, object| {
                let key = PodKey::new(object.namespace().unwrap_or_default(), object.name_any());
                store.no_pod(&key, as_of(object));
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
                store.no_pod(&PodKey::new(namespace, name), gone);
            },
        },
    );
    following.add(
        Api::<PodDisruptionBudget>::all(client.clone()),
        store,
        Kept {
            what: "PodDisruptionBudget",
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| store.budget(object),
            delete: |store, object| {
                store.no_budget(&PdbKey::new(
                    object.namespace().unwrap_or_default(),
                    object.name_any(),
                ));
            },
            known: |store| store.with(|cluster| cluster.budgets.keys().map(without_uid).collect()),
            vanished: |store, id, _| {
                let (namespace, name) = split(id);
                store.no_budget(&PdbKey::new(namespace, name));
            },
        },
    );
}

/// One kind of controller: `$what` as core names it, read by `$read`.
macro_rules! workload {
    ($following:expr, $connection:expr, $store:expr, $type:ty, $what:ident, $read:expr) => {
        $following.add(
            Api::<$type>::all($connection.watches.clone()),
            $store,
            Kept {
                what: stringify!($what),
                watch_seconds: CALM_SECONDS,
                apply: |store, object| store.workload($read(object)),
                delete: |store, object| store.no_workload(&workload_key(WorkloadKind::$what, object)),
                known: |store| store.with(|cluster| workload_ids(cluster, &WorkloadKind::$what)),
                vanished: |store, id, _| store.no_workload(&key_of_id(WorkloadKind::$what, id)),
            },
        );
    };
}

fn workloads(connection: &Connection, store: &Arc<Store>, following: &mut Following) {
    use convert::workload;
    workload!(
        following,
        connection,
        store,
        Deployment,
        Deployment,
        workload::deployment
    );
    workload!(
        following,
        connection,
        store,
        ReplicaSet,
        ReplicaSet,
        workload::replica_set
    );
    workload!(
        following,
        connection,
        store,
        StatefulSet,
        StatefulSet,
        workload::stateful_set
    );
    workload!(
        following,
        connection,
        store,
        core::ReplicationController,
        ReplicationController,
        workload::replication_controller
    );
    workload!(following, connection, store, Job, Job, workload::job);
    following.add(
        Api::<DaemonSet>::all(connection.watches.clone()),
        store,
        Kept {
            what: "DaemonSet",
            watch_seconds: CALM_SECONDS,
            apply: |store, object| {
                store.workload(workload::daemon_set(object));
                store.kured(
                    &workload_key(WorkloadKind::DaemonSet, object),
                    workload::kured_lock_holder(object),
                );
            },
            delete: |store, object| store.no_workload(&workload_key(WorkloadKind::DaemonSet, object)),
            known: |store| store.with(|cluster| workload_ids(cluster, &WorkloadKind::DaemonSet)),
            vanished: |store, id, _| store.no_workload(&key_of_id(WorkloadKind::DaemonSet, id)),
        },
    );
}

fn volumes(connection: &Connection, store: &Arc<Store>, following: &mut Following) {
    let client = &connection.watches;
    following.add(
        Api::<core::PersistentVolumeClaim>::all(client.clone()),
        store,
        Kept {
            what: "PersistentVolumeClaim",
            watch_seconds: CALM_SECONDS,
            apply: |store, object| store.volumes(|volumes, cluster| volumes.claim(object, cluster)),
            delete: |store, object| {
                let key = ClaimKey::new(object.namespace().unwrap_or_default(), object.name_any());
                store.volumes(|volumes, cluster| volumes.no_claim(&key, cluster));
            },
            known: |store| store.with(|cluster| cluster.claims.keys().map(without_uid).collect()),
            vanished: |store, id, _| {
                let (namespace, name) = split(id);
                let key = ClaimKey::new(namespace, name);
                store.volumes(|volumes, cluster| volumes.no_claim(&key, cluster));
            },
        },
    );
    following.add(
        Api::<core::PersistentVolume>::all(client.clone()),
        store,
        Kept {
            what: "PersistentVolume",
            watch_seconds: CALM_SECONDS,
            apply: |store, object| store.volumes(|volumes, cluster| volumes.volume(object, cluster)),
            delete: |store, object| {
                let name = object.name_any();
                store.volumes(|volumes, cluster| volumes.no_volume(&name, cluster));
            },
            known: |store| store.volume_names().map(without_uid).collect(),
            vanished: |store, id, _| store.volumes(|volumes, cluster| volumes.no_volume(id, cluster)),
        },
    );
    following.add(
        Api::<VolumeAttachment>::all(client.clone()),
        store,
        Kept {
            what: "VolumeAttachment",
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| {
                store.attachment(object);
            },
            delete: |store, object| store.no_attachment(&object.name_any(), as_of(object)),
            known: |store| store.with(|cluster| cluster.attachments.keys().map(without_uid).collect()),
            vanished: |store, id, gone| store.no_attachment(id, gone),
        },
    );
}

/// Names of the objects of a kind that do not parse.
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

/// The version that a watch gives to a deletion.
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
