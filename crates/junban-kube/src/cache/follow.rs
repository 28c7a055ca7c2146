//! Follows one kind: a consistent list, then a watch, again and again.
//!
//! A later list also removes the objects that were deleted in the meantime. Only an object that was known *before* the
//! list began can be one of these: the list may not show an object that our own write has put into the store since.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use junban_core::ids::Version;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::back_off::BackOff;
use super::jitter::jittered;
use crate::answer::chain;
use crate::gone::Gone;
use crate::store::Store;

/// How the objects of a kind get into the store and out of it. Ids are `NAMESPACE/NAME`, or `NAME`.
pub(crate) struct Handlers<K> {
    pub(crate) what: &'static str,
    /// The server ends the watch after this time, and this process 5 s later at the latest. A dead connection
    /// can go unnoticed for that long.
    pub(crate) watch_seconds: u32,
    pub(crate) apply: fn(&Arc<Store>, &K),
    /// The known ids, each with its UID. The UID is empty for kinds whose UID is not kept.
    pub(crate) known: fn(&Store) -> BTreeMap<String, String>,
    /// An object with this id is gone. The store may already know a later object of the same name.
    pub(crate) remove: fn(&Arc<Store>, &str, Gone<'_>),
}

/// The length of a watch for kinds that turns wait for.
pub(crate) const SHORT_WATCH: u32 = 30;

/// The length of a watch for all other kinds: kube's default.
pub(crate) const LONG_WATCH: u32 = 290;

/// The time for one page of a list, head and body. The client's own limit covers only the head: if a body stopped half
/// way, no list of that kind would ever be complete.
const PAGE: Duration = Duration::from_secs(30);

type Listed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running watches, and the ends of their first lists.
#[derive(Default)]
pub(crate) struct Watches {
    pub(super) tasks: JoinSet<()>,
    pub(super) listed: Vec<Listed>,
    /// Kinds and paths of the short watches, which the server answers at least once a minute.
    pub(super) short: Vec<(&'static str, String)>,
}

impl Watches {
    pub(crate) fn add<K>(&mut self, api: Api<K>, store: &Arc<Store>, handlers: Handlers<K>)
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let (listed, is_listed) = oneshot::channel();
        self.listed.push(Box::pin(async {
            // An error means that the task has ended. Then the process ends as well.
            let _ = is_listed.await;
        }));
        if handlers.watch_seconds <= SHORT_WATCH {
            self.short.push((handlers.what, api.resource_url().to_owned()));
        }
        self.tasks
            .spawn(follow(api, store.clone(), handlers, listed, PAGE));
    }
}

async fn follow<K>(
    api: Api<K>,
    store: Arc<Store>,
    handlers: Handlers<K>,
    listed: oneshot::Sender<()>,
    page: Duration,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().timeout(jittered(handlers.watch_seconds));
    let begin = || watcher::watcher(api.clone(), config.clone());
    let mut events = std::pin::pin!(begin());
    let mut listed = Some(listed);
    let mut lists = false;
    let mut missing = BTreeMap::new();
    let mut back_off = BackOff::default();
    loop {
        // kube itself limits an open watch.
        let limit = if lists { page } else { Duration::MAX };
        let Ok(event) = tokio::time::timeout(limit, events.next()).await else {
            // The stream holds the request: to replace the stream closes the connection.
            events.set(begin());
            lists = false;
            back_off
                .failed(handlers.what, "the answer to a list stopped half way")
                .await;
            continue;
        };
        let Some(event) = event else { return };
        match event {
            Ok(Event::Init) => {
                lists = true;
                missing = (handlers.known)(&store);
            }
            Ok(Event::InitApply(object)) => {
                missing.remove(&id(&object));
                (handlers.apply)(&store, &object);
            }
            Ok(Event::InitDone) => {
                lists = false;
                for (id, uid) in std::mem::take(&mut missing) {
                    (handlers.remove)(&store, &id, Gone::Uid(&uid));
                }
                if let Some(listed) = listed.take() {
                    tracing::debug!(what = handlers.what, "listed");
                    let _ = listed.send(());
                }
            }
            Ok(Event::Apply(object)) => (handlers.apply)(&store, &object),
            Ok(Event::Delete(object)) => (handlers.remove)(&store, &id(&object), as_of(&object)),
            Err(error) => {
                lists = false;
                back_off.failed(handlers.what, &chain(&error)).await;
            }
        }
    }
}

/// `NAMESPACE/NAME`, or `NAME` of a cluster-scoped object.
fn id<K: Resource>(object: &K) -> String {
    match object.meta().namespace.as_deref() {
        Some(namespace) => format!("{namespace}/{}", object.name_any()),
        None => object.name_any(),
    }
}

/// A deletion that a watch reports, with its version.
fn as_of(object: &impl Resource) -> Gone<'_> {
    let version = object.meta().resource_version.as_deref();
    let version = version.and_then(|text| text.parse().ok());
    let uid = object.meta().uid.as_deref().unwrap_or_default();
    version.map_or(Gone::Uid(uid), |version| Gone::AsOf(Version(version)))
}

#[cfg(test)]
mod tests;
