//! Clients for the API server: which there are, what each waits for, and what all of them do to every request.
//!
//! Traps of kube that this file is there for (each was seen): its client retries 429 by itself and so hides "blocked
//! by a budget"; it waits without end for an answer on a half-open connection; one that swallowed a call goes back
//! into the pool unless the call is dropped. So nothing of the controller is retried here, each call has a deadline
//! and dropping it drops its connection (HTTP/1), and calls that must not wait behind dead connections have a pool of
//! their own.

use std::sync::Arc;
use std::time::Duration;

use junban_engine::clock::ServerClock;
use kube::client::ClientBuilder;
use kube::client::retry::RetryPolicy;
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;

use crate::layer::{Answered, Requests, Warnings};

/// To the head of a watch's response; its body may go on.
const WATCH_HEAD: Duration = Duration::from_secs(10);

/// A command asks so often again when the server asks for patience: one whose storage has just begun says 429 for a
/// second or two. The pauses between are the server's `Retry-After`, else these.
const PATIENCE: u32 = 4;
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// To a TCP and TLS connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The clients of one process.
#[derive(Clone)]
pub struct Connection {
    /// Writes, live reads, evictions.
    pub calls: Client,
    /// Lists and watches of the caches.
    pub watches: Client,
    /// The live read of the queue: two connections that swallow everything must not delay a pause.
    pub queue: Client,
    /// The Lease, for the same reason.
    pub lease: Client,
    pub config: Config,
    /// The API server's clock, from every `Date` header.
    pub wall: Arc<ServerClock>,
    pub warnings: Arc<Warnings>,
    /// Which lists and watches are answered.
    pub answered: Arc<Answered>,
}

impl Connection {
    /// The clients of a command: as [`Connection::new`], but a call that the server was too busy for (429, 503, 504)
    /// is made again a few times, for a person waits. Nothing of a command is an eviction, to which 429 is an answer.
    pub fn of_command(config: Config) -> kube::Result<Self> {
        let mut connection = Self::new(config)?;
        let requests = Requests::new(connection.wall.clone(), connection.warnings.clone());
        let builder = ClientBuilder::try_from(connection.config.clone())?;
        let policy = RetryPolicy::new(PAUSES.0, PAUSES.1, PATIENCE, true)
            .map_err(|error| kube::Error::Service(error.into()))?;
        connection.calls = builder
            .with_layer(&BufferLayer::new(1))
            .with_layer(&RetryLayer::new(policy))
            .with_layer(&requests)
            .build();
        Ok(connection)
    }

    /// Builds the clients; talks to nobody. A rustls provider must have been installed.
    pub fn new(config: Config) -> kube::Result<Self> {
        Self::with_clock(config, ServerClock::default())
    }

    /// The same, with a clock that has seen nothing yet.
    pub fn with_clock(mut config: Config, wall: ServerClock) -> kube::Result<Self> {
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        // A limit on silence is a limit on idle watches as well; deadlines are set call by call.
        config.read_timeout = None;
        let wall = Arc::new(wall);
        let warnings = Arc::<Warnings>::default();
        let requests = Requests::new(wall.clone(), warnings.clone());
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
