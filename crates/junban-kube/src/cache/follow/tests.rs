use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use futures::stream;
use k8s_openapi::api::core::v1::Node;
use kube::Client;

use super::*;

/// The server sends the head of the first answer, and half of its body.
#[tokio::test]
async fn a_list_whose_answer_stops_half_way_is_asked_for_again() {
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
    let handlers = Handlers::<Node> {
        what: "Node",
        watch_seconds: SHORT_WATCH,
        apply: |_, _| {},
        known: |_| BTreeMap::new(),
        remove: |_, _, _| {},
    };
    let (sender, listed) = oneshot::channel();
    let (api, store) = (
        Api::all(Client::new(server, "default")),
        Arc::new(Store::new("junban")),
    );
    let following = tokio::spawn(follow(api, store, handlers, sender, Duration::from_millis(200)));
    let listed = tokio::time::timeout(Duration::from_secs(10), listed).await;
    assert!(matches!(listed, Ok(Ok(()))), "{listed:?}");
    following.abort();
}
