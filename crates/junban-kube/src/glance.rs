//! One look at a cluster with whatever rights a user has: each kind is listed once, and what may not be listed is
//! said instead of waited for. For commands; the controller follows (`cache`).

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use junban_api::convert::workload;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::api::ListParams;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::connect::Connection;
use crate::resource::Kind;
use crate::store::{Store, is_the_queue};

/// For one page of a list.
const DEADLINE: Duration = Duration::from_secs(15);
/// Objects of one page.
const PAGE: u32 = 500;

/// Which kinds are looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Queue, policies and entries.
    Own,
    /// Those and the nodes.
    Nodes,
    /// All that the controller sees, but the Leases of nodes.
    Everything,
}

/// A kind that could not be listed.
#[derive(Debug)]
pub struct Missed {
    /// As `poddisruptionbudgets`.
    pub resource: String,
    /// `None`: there was no answer in time.
    pub error: Option<kube::Error>,
}

type Look<'a> = Pin<Box<dyn Future<Output = Option<Missed>> + Send + 'a>>;

/// Lists every kind of the scope into the store. What is returned is not in it.
pub async fn look(connection: &Connection, store: &Arc<Store>, scope: Scope) -> Vec<Missed> {
    let client = &connection.calls;
    let mut looks: Vec<Look<'_>> = vec![
        into(Kind::Queue.api(client), |object| {
            if is_the_queue(object) {
                store.queue(object);
            }
        }),
        into(Kind::Policy.api(client), |object| store.policy(object)),
        into(Kind::Entry.api(client), |object| {
            // One that cannot be read stands in the cluster as such.
            let _ = store.entry(object);
        }),
    ];
    if scope >= Scope::Nodes {
        looks.push(into(Api::<core::Node>::all(client.clone()), |object| {
            store.node(object);
        }));
    }
    if scope == Scope::Everything {
        looks.extend(pods_and_budgets(connection, store));
        looks.extend(workloads(connection, store));
        looks.extend(volumes(connection, store));
    }
    futures::future::join_all(looks)
        .await
        .into_iter()
        .flatten()
        .collect()
}

fn pods_and_budgets<'a>(connection: &Connection, store: &'a Arc<Store>) -> [Look<'a>; 2] {
    let client = &connection.calls;
    [
        into(Api::<core::Pod>::all(client.clone()), |object| {
            store.pod(object);
        }),
        into(Api::<PodDisruptionBudget>::all(client.clone()), |object| {
            store.budget(object);
        }),
    ]
}

fn workloads<'a>(connection: &Connection, store: &'a Arc<Store>) -> [Look<'a>; 6] {
    let client = &connection.calls;
    [
        into(Api::<Deployment>::all(client.clone()), |object| {
            store.workload(workload::deployment(object));
        }),
        into(Api::<ReplicaSet>::all(client.clone()), |object| {
            store.workload(workload::replica_set(object));
        }),
        into(Api::<StatefulSet>::all(client.clone()), |object| {
            store.workload(workload::stateful_set(object));
        }),
        into(
            Api::<core::ReplicationController>::all(client.clone()),
            |object| {
                store.workload(workload::replication_controller(object));
            },
        ),
        into(Api::<Job>::all(client.clone()), |object| {
            store.workload(workload::job(object));
        }),
        into(Api::<DaemonSet>::all(client.clone()), |object| {
            store.workload(workload::daemon_set(object));
        }),
    ]
}

fn volumes<'a>(connection: &Connection, store: &'a Arc<Store>) -> [Look<'a>; 3] {
    let client = &connection.calls;
    [
        into(
            Api::<core::PersistentVolumeClaim>::all(client.clone()),
            |object| {
                store.volumes(|volumes, cluster| volumes.claim(object, cluster));
            },
        ),
        into(Api::<core::PersistentVolume>::all(client.clone()), |object| {
            store.volumes(|volumes, cluster| volumes.volume(object, cluster));
        }),
        into(Api::<VolumeAttachment>::all(client.clone()), |object| {
            store.attachment(object);
        }),
    ]
}

fn into<'a, K>(api: Api<K>, apply: impl Fn(&K) + Send + 'a) -> Look<'a>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    Box::pin(async move {
        let url = api.resource_url();
        let missed = |error| {
            let resource = url.rsplit('/').next().unwrap_or_default().to_owned();
            Some(Missed { resource, error })
        };
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = match tokio::time::timeout(DEADLINE, api.list(&page)).await {
                Ok(Ok(list)) => list,
                Ok(Err(error)) => return missed(Some(error)),
                Err(_) => return missed(None),
            };
            list.items.iter().for_each(&apply);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return None,
            }
        }
    })
}

/// The cluster clock as the controller's Lease carries it; `None`: there is no Lease, or it has none.
pub async fn clock(
    connection: &Connection,
    namespace: &str,
    lease: &str,
) -> kube::Result<Option<junban_core::time::Reading>> {
    use k8s_openapi::api::coordination::v1::Lease;
    let api: Api<Lease> = Api::namespaced(connection.lease.clone(), namespace);
    let lease = api.get_opt(lease).await?;
    Ok(lease.as_ref().and_then(crate::lease::clock_of))
}
