//! Every kind that is observed: where it is watched and how it gets into the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use junban_api::{convert, names};
use junban_core::cluster::{Cluster, QueueView, WorkloadKey, WorkloadKind};
use junban_core::ids::{ClaimKey, EntryName, NodeName, PdbKey, PodKey};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::{Api, Resource, ResourceExt};

use super::follow::{BRISK_SECONDS, CALM_SECONDS, Following, Kept};
use crate::connect::Connection;
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
                let uid = object.uid();
                let is_known = store.with(|cluster| {
                    cluster
                        .queue
                        .present()
                        .is_none_or(|known| Some(known.uid.as_str()) == uid.as_deref())
                });
                if is_the_queue(object) && is_known {
                    store.apply_queue(QueueView::Absent);
                }
            },
            known: |store| match store.with(|cluster| cluster.queue.clone()) {
                QueueView::Absent => BTreeSet::new(),
                _ => BTreeSet::from([names::QUEUE.to_owned()]),
            },
            vanished: |store, _| store.apply_queue(QueueView::Absent),
        },
    );
    following.add(
        Kind::Policy.api(client),
        store,
        Kept {
            what: Kind::Policy.as_str(),
            watch_seconds: BRISK_SECONDS,
            apply: |store, object| store.policy(object),
            delete: |store, object| store.no_policy(&object.name_any()),
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.policies.keys().map(|name| name.as_str().to_owned());
                    read.chain(unreadable(cluster, Kind::Policy)).collect()
                })
            },
            vanished: |store, id| store.no_policy(id),
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
            delete: |store, object| {
                store.no_entry(&EntryName::new(object.name_any()), object.uid().as_deref())
            },
            known: |store| {
                store.with(|cluster| {
                    let read = cluster.entries.keys().map(|name| name.as_str().to_owned());
                    read.chain(unreadable(cluster, Kind::Entry)).collect()
                })
            },
            vanished: |store, id| store.no_entry(&EntryName::from(id), None),
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
            delete: |store, object| store.no_node(&NodeName::new(object.name_any()), object.uid().as_deref()),
            known: |store| {
                store.with(|cluster| {
                    cluster
                        .nodes
                        .keys()
                        .map(|name| name.as_str().to_owned())
                        .collect()
                })
            },
            vanished: |store, id| store.no_node(&NodeName::from(id), None),
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
            known: |_| BTreeSet::new(),
            vanished: |_, _| {},
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
                store.no_pod(&key, object.uid().as_deref());
            },
            known: |store| store.with(|cluster| cluster.pods.keys().map(ToString::to_string).collect()),
            vanished: |store, id| {
                let (namespace, name) = split(id);
                store.no_pod(&PodKey::new(namespace, name), None);
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
            known: |store| store.with(|cluster| cluster.budgets.keys().map(ToString::to_string).collect()),
            vanished: |store, id| {
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
                vanished: |store, id| store.no_workload(&key_of_id(WorkloadKind::$what, id)),
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
            vanished: |store, id| store.no_workload(&key_of_id(WorkloadKind::DaemonSet, id)),
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
            known: |store| store.with(|cluster| cluster.claims.keys().map(ToString::to_string).collect()),
            vanished: |store, id| {
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
            known: Store::volume_names,
            vanished: |store, id| store.volumes(|volumes, cluster| volumes.no_volume(id, cluster)),
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
            delete: |store, object| store.no_attachment(&object.name_any()),
            known: |store| store.with(|cluster| cluster.attachments.keys().cloned().collect()),
            vanished: |store, id| store.no_attachment(id),
        },
    );
}

/// Names of the objects of a kind that do not parse.
fn unreadable(cluster: &Cluster, kind: Kind) -> impl Iterator<Item = String> {
    let prefix = kind.key("");
    cluster
        .unreadable
        .keys()
        .filter_map(move |key| key.strip_prefix(&prefix).map(str::to_owned))
}

fn workload_key(kind: WorkloadKind, object: &impl Resource) -> WorkloadKey {
    WorkloadKey::new(kind, object.namespace().unwrap_or_default(), object.name_any())
}

fn workload_ids(cluster: &Cluster, kind: &WorkloadKind) -> BTreeSet<String> {
    let of_kind = cluster.workloads.keys().filter(|key| key.kind == *kind);
    of_kind
        .map(|key| format!("{}/{}", key.namespace, key.name))
        .collect()
}

fn key_of_id(kind: WorkloadKind, id: &str) -> WorkloadKey {
    let (namespace, name) = split(id);
    WorkloadKey::new(kind, namespace, name)
}

fn split(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or(("", id))
}
