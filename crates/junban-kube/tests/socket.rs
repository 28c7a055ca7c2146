//! The ports over a real socket: one POST per eviction with its UID precondition, refusals that are seen at once, strict
//! writes, deadlines on servers that never answer. In-process services would show none of this: kube's retries and
//! pools are below them.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use junban_core::cluster::QueueView;
use junban_core::effect::{BudgetKey, EvictOutcome, Evidence, PodLeave, Read};
use junban_core::ids::{PdbKey, PodKey};
use junban_engine::clock::boottime;
use junban_engine::ports::{EvictPort, ReadPort};
use junban_kube::{Connection, KubePorts, Store, cache};
use kube::Config;
use serde_json::{Value, json};

#[derive(Clone)]
struct Server {
    seen: Arc<Mutex<Vec<(Method, Uri, Value)>>>,
    answer: (StatusCode, &'static str, String),
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let json = serde_json::from_slice(&body).unwrap_or_default();
    server.seen.lock().unwrap().push((method, uri, json));
    let (status, retry_after, text) = server.answer;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    headers.insert(header::DATE, "Mon, 23 Nov 2026 17:04:10 GMT".parse().unwrap());
    headers.insert(header::WARNING, "299 - \"unknown field\"".parse().unwrap());
    if !retry_after.is_empty() {
        headers.insert(header::RETRY_AFTER, retry_after.parse().unwrap());
    }
    (status, headers, text)
}

async fn serve(status: StatusCode, retry_after: &'static str, body: Value) -> (SocketAddr, Server) {
    let server = Server {
        seen: Arc::default(),
        answer: (status, retry_after, body.to_string()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, server)
}

fn ports(address: SocketAddr) -> (Connection, KubePorts) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connection = Connection::new(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
    let store = Arc::new(Store::new("junban"));
    let ports = KubePorts::new(&connection, &store, "junban", "test");
    (connection, ports)
}

fn leave() -> PodLeave {
    PodLeave {
        node: "node-1".into(),
        pod: PodKey::new("shop", "cart-1"),
        uid: "pod-uid".into(),
        budget: BudgetKey::Pdb(PdbKey::new("shop", "cart")),
        not_after: boottime() + Duration::from_secs(4),
    }
}

/// A server whose storage has just started answers 429. After a few tries the command reports that answer.
#[tokio::test]
async fn a_command_repeats_a_call_to_a_busy_server_and_the_controller_does_not() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (is_command, requests) in [(true, 5), (false, 1)] {
        let busy = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429,
            "reason": "TooManyRequests", "message": "storage is (re)initializing"});
        let (address, server) = serve(StatusCode::TOO_MANY_REQUESTS, "0", busy).await;
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let connection = if is_command {
            Connection::of_command(config)
        } else {
            Connection::new(config)
        };
        let answer = connection.unwrap().calls.apiserver_version().await;
        assert!(
            matches!(&answer, Err(kube::Error::Api(status)) if status.code == 429),
            "{answer:?}"
        );
        assert_eq!(server.seen.lock().unwrap().len(), requests);
    }
}

#[tokio::test]
async fn a_denied_eviction_is_one_post_and_is_seen_at_once() {
    let denied = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429,
        "reason": "TooManyRequests", "message": "Cannot evict pod as it would violate the pod's disruption budget.",
        "details": {"retryAfterSeconds": 10, "causes": [{"reason": "DisruptionBudget", "message": "behind"}]}});
    let (address, server) = serve(StatusCode::TOO_MANY_REQUESTS, "10", denied).await;
    let (connection, ports) = ports(address);
    let began = Instant::now();
    assert_eq!(
        ports.evict(leave()).await,
        EvictOutcome::BudgetBehind(Duration::from_secs(10))
    );
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "a layer below retried it"
    );

    let seen = server.seen.lock().unwrap().clone();
    let [(method, uri, body)] = seen.as_slice() else {
        panic!("one request, not {seen:?}")
    };
    assert_eq!(
        (method, uri.path()),
        (&Method::POST, "/api/v1/namespaces/shop/pods/cart-1/eviction")
    );
    assert!(uri.query().unwrap().contains("fieldValidation=Strict"), "{uri}");
    assert_eq!(body["apiVersion"], "policy/v1");
    assert_eq!(body["deleteOptions"]["preconditions"]["uid"], "pod-uid");
    assert_eq!(connection.warnings.count(), 1);
    let wall = connection.wall.at(boottime()).unwrap();
    assert!(wall.to_string().starts_with("2026-11-23T17:04:1"), "{wall}");
}

#[tokio::test]
async fn an_eviction_whose_evidence_is_too_old_is_not_sent() {
    let (address, server) = serve(
        StatusCode::CREATED,
        "",
        json!({"kind": "Status", "status": "Success"}),
    )
    .await;
    let (_, ports) = ports(address);
    let mut late = leave();
    late.not_after = boottime();
    assert_eq!(ports.evict(late).await, EvictOutcome::TooLate);
    assert!(server.seen.lock().unwrap().is_empty());
    assert_eq!(ports.evict(leave()).await, EvictOutcome::Accepted);
}

#[tokio::test]
async fn an_absent_queue_is_an_answer_and_a_failing_server_is_not() {
    let gone = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"});
    let (address, _) = serve(StatusCode::NOT_FOUND, "", gone).await;
    assert_eq!(
        ports(address).1.read(Read::Queue).await,
        Evidence::Queue(QueueView::Absent)
    );
    let busy = json!({"kind": "Status", "status": "Failure", "code": 503, "reason": "ServiceUnavailable", "message": "no"});
    let (address, server) = serve(StatusCode::SERVICE_UNAVAILABLE, "1", busy).await;
    assert!(matches!(
        ports(address).1.read(Read::Queue).await,
        Evidence::Failed(_)
    ));
    assert_eq!(server.seen.lock().unwrap().len(), 1);
}

/// If it counted, an absent queue would pause everything, and an absent Node would free its slot.
#[tokio::test]
async fn a_404_from_a_proxy_does_not_mean_that_the_queue_is_gone() {
    let (address, _) = serve(StatusCode::NOT_FOUND, "", json!("<h1>Not Found</h1>")).await;
    let read = ports(address).1.read(Read::Queue).await;
    assert!(matches!(read, Evidence::Failed(_)), "{read:?}");
    assert!(matches!(
        ports(address).1.evict(leave()).await,
        EvictOutcome::Unknown(_)
    ));
}

/// This happens at every reboot of a control-plane node: the connection stays open, and no answer comes.
#[tokio::test]
async fn a_server_that_never_answers_costs_two_seconds_and_a_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(Mutex::new(Vec::new()));
    let kept = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            kept.lock().unwrap().push(stream);
        }
    });
    let (_, ports) = ports(address);
    for tries in 1..=2 {
        let began = Instant::now();
        assert!(matches!(ports.read(Read::Queue).await, Evidence::Failed(_)));
        let took = began.elapsed();
        assert!((1_900..3_000).contains(&took.as_millis()), "{took:?}");
        assert_eq!(
            connections.lock().unwrap().len(),
            tries,
            "a connection without an answer was used again"
        );
    }
}

/// A right is missing, or the server is overloaded. kube reports the beginning of a list before each try, which is no
/// success.
#[tokio::test]
async fn a_list_that_keeps_failing_is_asked_for_more_and_more_rarely() {
    let no =
        json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no"});
    let (address, server) = serve(StatusCode::FORBIDDEN, "", no).await;
    let (connection, _) = ports(address);
    let store = Arc::new(Store::new("junban"));
    let started = cache::start_own(&connection, &store);
    assert!(
        tokio::time::timeout(Duration::from_secs(4), started)
            .await
            .is_err()
    );
    // Three kinds, each after 0, 0.2, 0.6, 1.4 and 3.0 s, with pauses that are up to a quarter shorter.
    let asked = server.seen.lock().unwrap().len();
    assert!((9..=18).contains(&asked), "{asked}");
}

/// A call that waits for a connection would go out as soon as there is one, even if its evidence is too old by then
/// (docs/design/safety.md#s11).
#[tokio::test]
async fn a_deletion_does_not_outlive_its_evidence() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, ports) = ports(listener.local_addr().unwrap());
    let mut leave = leave();
    leave.not_after = boottime() + Duration::from_millis(500);
    let began = Instant::now();
    assert!(matches!(ports.delete_pod(leave).await, EvictOutcome::Unknown(_)));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
