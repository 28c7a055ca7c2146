//! Lists each kind once, with the rights of whoever runs a command. A kind that may not be listed is reported, not
//! waited for. The controller watches instead (`cache`).

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use junban_api::convert::workload;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::connect::Connection;
use crate::lease::LeaseFacts;
use crate::resource::Kind;
use crate::store::{Store, is_the_queue};

/// For one page of a list.
const DEADLINE: Duration = Duration::from_secs(15);
/// Objects of one page.
const PAGE: u32 = 500;

/// Which kinds are listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Queue, policies and entries.
    Own,
    /// Those, and the nodes.
    Nodes,
    /// Everything that the controller watches, except the Leases of nodes.
    Everything,
}

/// A kind that could not be listed.
#[derive(Debug)]
pub struct Missed {
    /// For example `poddisruptionbudgets`.
    pub resource: String,
    /// `None`: the server did not answer in time.
    pub error: Option<kube::Error>,
}

type Listing<'a> = Pin<Box<dyn Future<Output = Option<Missed>> + Send + 'a>>;

/// Lists every kind of the scope into the store. Returns the kinds that are missing there.
pub async fn list(connection: &Connection, store: &Arc<Store>, scope: Scope) -> Vec<Missed> {
    let client = &connection.calls;
    let mut listings: Vec<Listing<'_>> = vec![
        into(Kind::Queue.api(client), |object| {
            if is_the_queue(object) {
                store.apply_queue(object);
            }
        }),
        into(Kind::Policy.api(client), |object| store.apply_policy(object)),
        into(Kind::Entry.api(client), |object| {
            // The cluster keeps the names of entries that cannot be read.
            let _ = store.apply_entry(object);
        }),
    ];
    if scope >= Scope::Nodes {
        listings.push(all(client, |object| drop(store.apply_node(object))));
    }
    if scope == Scope::Everything {
        listings.extend([
            all(client, |object| drop(store.apply_pod(object))),
            all(client, |object| store.apply_budget(object)),
            all(client, |object| {
                store.apply_workload(workload::deployment(object))
            }),
            all(client, |object| {
                store.apply_workload(workload::replica_set(object))
            }),
            all(client, |object| {
                store.apply_workload(workload::stateful_set(object))
            }),
            all(client, |object| {
                store.apply_workload(workload::replication_controller(object))
            }),
            all(client, |object| store.apply_workload(workload::job(object))),
            all(client, |object| {
                store.apply_workload(workload::daemon_set(object))
            }),
            all(client, |object| {
                store.volumes(|volumes, cluster| volumes.claim(object, cluster))
            }),
            all(client, |object| {
                store.volumes(|volumes, cluster| volumes.volume(object, cluster))
            }),
            all(client, |object| drop(store.apply_attachment(object))),
        ]);
    }
    futures::future::join_all(listings)
        .await
        .into_iter()
        .flatten()
        .collect()
}

fn all<'a, K>(client: &Client, apply: impl Fn(&K) + Send + 'a) -> Listing<'a>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    into(Api::all(client.clone()), apply)
}

fn into<'a, K>(api: Api<K>, apply: impl Fn(&K) + Send + 'a) -> Listing<'a>
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

/// The controller's Lease. `None`: there is no such Lease.
pub async fn lease(connection: &Connection, namespace: &str, name: &str) -> kube::Result<Option<LeaseFacts>> {
    let api: Api<Lease> = Api::namespaced(connection.lease.clone(), namespace);
    Ok(api.get_opt(name).await?.as_ref().map(LeaseFacts::of))
}
