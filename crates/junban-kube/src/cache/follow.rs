//! Follows one kind: a consistent list, then a watch, for ever.
//!
//! A list that starts anew removes what vanished meanwhile. Only what was known *before* the list began can have
//! vanished: an object that our own write put into the store since may be missing in the list.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
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

/// How a kind gets into the store and out of it. Ids are `NAMESPACE/NAME`, or `NAME`.
pub(crate) struct Kept<K> {
    pub(crate) what: &'static str,
    /// A watch ends after so many seconds at the server, and 5 s later here: that is how long a connection that
    /// swallows everything goes unnoticed.
    pub(crate) watch_seconds: u32,
    pub(crate) apply: fn(&Arc<Store>, &K),
    /// The object was deleted: the store may know a later one of its name.
    pub(crate) delete: fn(&Arc<Store>, &K),
    /// The ids that are known, each with its UID, or an empty text where none is kept.
    pub(crate) known: fn(&Store) -> BTreeMap<String, String>,
    /// The id is not in a list that began after it was known with that UID.
    pub(crate) vanished: fn(&Arc<Store>, &str, Gone<'_>),
}

/// Of kinds on which a step waits: this plus 5 s is how long a dead connection goes unnoticed.
pub(crate) const BRISK_SECONDS: u32 = 30;

/// Of all others: as long as kube's own default.
pub(crate) const CALM_SECONDS: u32 = 290;

/// To one page of a list, head and body. The client's own limit ends with the head: a body that stops half way would
/// be waited for without end, and no list of that kind would ever be complete.
const PAGE: Duration = Duration::from_secs(30);

type Listed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is followed, and the ends of the first lists.
#[derive(Default)]
pub(crate) struct Following {
    pub(super) tasks: JoinSet<()>,
    pub(super) listed: Vec<Listed>,
    /// The paths whose watches begin again within a minute, with what they show.
    pub(super) brisk: Vec<(&'static str, String)>,
}

impl Following {
    pub(crate) fn add<K>(&mut self, api: Api<K>, store: &Arc<Store>, kept: Kept<K>)
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let (listed, is_listed) = oneshot::channel();
        self.listed.push(Box::pin(async {
            // An error means that the task is gone, and with it the process.
            let _ = is_listed.await;
        }));
        if kept.watch_seconds <= BRISK_SECONDS {
            self.brisk.push((kept.what, api.resource_url().to_owned()));
        }
        self.tasks.spawn(follow(api, store.clone(), kept, listed, PAGE));
    }
}

async fn follow<K>(api: Api<K>, store: Arc<Store>, kept: Kept<K>, listed: oneshot::Sender<()>, page: Duration)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().timeout(jittered(kept.watch_seconds));
    let begin = || watcher::watcher(api.clone(), config.clone());
    let mut events = std::pin::pin!(begin());
    let mut listed = Some(listed);
    let mut lists = false;
    let mut missing = BTreeMap::new();
    let mut back_off = BackOff::default();
    loop {
        // An open watch has kube's own limit.
        let limit = if lists { page } else { Duration::MAX };
        let Ok(event) = tokio::time::timeout(limit, events.next()).await else {
            // The request is in the stream: dropping that drops its connection.
            events.set(begin());
            lists = false;
            back_off.failed(kept.what, "a list has stopped half way").await;
            continue;
        };
        let Some(event) = event else { return };
        match event {
            Ok(Event::Init) => {
                lists = true;
                missing = (kept.known)(&store);
            }
            Ok(Event::InitApply(object)) => {
                missing.remove(&id(&object));
                (kept.apply)(&store, &object);
            }
            Ok(Event::InitDone) => {
                lists = false;
                for (id, uid) in std::mem::take(&mut missing) {
                    (kept.vanished)(&store, &id, Gone::Uid(&uid));
                }
                if let Some(listed) = listed.take() {
                    tracing::debug!(what = kept.what, "listed");
                    let _ = listed.send(());
                }
            }
            Ok(Event::Apply(object)) => (kept.apply)(&store, &object),
            Ok(Event::Delete(object)) => (kept.delete)(&store, &object),
            Err(error) => {
                lists = false;
                back_off.failed(kept.what, &chain(&error)).await;
            }
        }
    }
}

/// `NAMESPACE/NAME`, or `NAME` where there is none.
pub(crate) fn id<K: Resource>(object: &K) -> String {
    match object.meta().namespace.as_deref() {
        Some(namespace) => format!("{namespace}/{}", object.name_any()),
        None => object.name_any(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Body;
    use futures::stream;
    use k8s_openapi::api::core::v1::Node;
    use kube::Client;

    use super::*;

    /// The head of the first list comes, and half of its body.
    #[tokio::test]
    async fn a_list_that_stops_half_way_begins_anew() {
        let asked = Arc::new(AtomicUsize::new(0));
        let server = tower::service_fn(move |_: http::Request<_>| {
            let half = stream::iter([Ok::<_, Infallible>("{\"kind\": \"NodeList\", ")]);
            let body = match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Body::from_stream(half.chain(stream::pending())),
                1 => Body::from(
                    r#"{"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": []}"#,
                ),
                _ => Body::from_stream(stream::pending::<Result<&str, Infallible>>()),
            };
            async { Ok::<_, Infallible>(http::Response::new(body)) }
        });
        let kept = Kept::<Node> {
            what: "Node",
            watch_seconds: BRISK_SECONDS,
            apply: |_, _| {},
            delete: |_, _| {},
            known: |_| BTreeMap::new(),
            vanished: |_, _, _| {},
        };
        let (sender, listed) = oneshot::channel();
        let (api, store) = (
            Api::all(Client::new(server, "default")),
            Arc::new(Store::new("junban")),
        );
        let following = tokio::spawn(follow(api, store, kept, sender, Duration::from_millis(200)));
        let listed = tokio::time::timeout(Duration::from_secs(10), listed).await;
        assert!(matches!(listed, Ok(Ok(()))), "{listed:?}");
        following.abort();
    }
}
