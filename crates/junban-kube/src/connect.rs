//! The clients of the API server, and how long each waits.
//!
//! This file avoids three traps of kube's client (we have seen each):
//! - It retries a 429 by itself, which hides "a budget denies this eviction". So the controller's clients retry nothing.
//! - It waits for ever for an answer on a half-open connection. So each call has a deadline.
//! - A connection on which no answer came goes back into the pool, unless the call is dropped. So a call is dropped at
//!   its deadline, which closes its connection (HTTP/1), and calls that must not wait behind dead connections have a
//!   pool of their own.

use std::sync::Arc;
use std::time::Duration;

use junban_engine::clock::ServerClock;
use kube::client::ClientBuilder;
use kube::client::retry::RetryPolicy;
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;

use crate::layer::{Answered, RequestLayer, Warnings};

/// The time for the head of a watch's response. Its body may take as long as the watch lasts.
const WATCH_HEAD: Duration = Duration::from_secs(10);

/// How often a command repeats a call when the server is too busy: a server whose storage has just started answers 429
/// for a second or two.
const RETRIES: u32 = 4;
/// The shortest and the longest pause between two tries, if the server sends no `Retry-After`.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// The time for a TCP and TLS connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The clients of one process.
#[derive(Clone)]
pub struct Connection {
    /// Writes, live reads, evictions.
    pub calls: Client,
    /// Lists and watches of the caches.
    pub watches: Client,
    /// Live reads of the queue. In a pool of their own, so that dead connections of other calls do not delay a pause.
    pub queue: Client,
    /// Calls on the Lease, in a pool of their own for the same reason.
    pub lease: Client,
    pub config: Config,
    /// The API server's clock, read from the `Date` header of each answer.
    pub wall: Arc<ServerClock>,
    pub warnings: Arc<Warnings>,
    /// When lists and watches were last answered.
    pub answered: Arc<Answered>,
}

impl Connection {
    /// The clients of a command. A person waits, so a call for which the server was too busy (429, 503, 504) is
    /// repeated a few times. A command sends no eviction, for which a 429 would be an answer.
    pub fn of_command(config: Config) -> kube::Result<Self> {
        let mut connection = Self::new(config)?;
        let requests = RequestLayer::new(connection.wall.clone(), connection.warnings.clone());
        let builder = ClientBuilder::try_from(connection.config.clone())?;
        let policy = RetryPolicy::new(PAUSES.0, PAUSES.1, RETRIES, true)
            .map_err(|error| kube::Error::Service(error.into()))?;
        connection.calls = builder
            .with_layer(&BufferLayer::new(1))
            .with_layer(&RetryLayer::new(policy))
            .with_layer(&requests)
            .build();
        Ok(connection)
    }

    /// Builds the clients of the controller, without a call. A rustls provider must be installed already.
    pub fn new(config: Config) -> kube::Result<Self> {
        Self::with_clock(config, ServerClock::default())
    }

    /// The same, with a clock that has not seen an answer yet.
    pub fn with_clock(mut config: Config, wall: ServerClock) -> kube::Result<Self> {
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        // A read timeout would also end idle watches. Each call has a deadline of its own.
        config.read_timeout = None;
        let wall = Arc::new(wall);
        let warnings = Arc::<Warnings>::default();
        let requests = RequestLayer::new(wall.clone(), warnings.clone());
        let answered = Arc::<Answered>::default();
        let client = || -> kube::Result<Client> {
            Ok(ClientBuilder::try_from(config.clone())?
                .with_layer(&requests)
                .build())
        };
        let watches = ClientBuilder::try_from(config.clone())?
            .with_layer(&requests.noting(answered.clone()))
            .with_layer(&TimeoutLayer::new(WATCH_HEAD))
            .build();
        Ok(Self {
            calls: client()?,
            watches,
            queue: client()?,
            lease: client()?,
            config,
            wall,
            warnings,
            answered,
        })
    }
}
