//! Starts the controller from its parts (clients, caches, ports, elector, engine, HTTP server), and ends it.

mod adapters;
mod http;
mod metrics;

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use junban_core::report::Report;
use junban_core::time::SignedDuration;
use junban_engine::clock::{ServerClock, boottime};
use junban_engine::elector::{Elector, Settings};
use junban_engine::shell::{self, EXIT_AS_ASKED, OnWrite, Parts, locked};
use junban_kube::{Connection, KubeLease, KubePorts, Store, cache};
use kube::Config;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Controller;
use crate::commands::problem::Problem;
use adapters::Adapters;
use metrics::Metrics;

/// Runs until SIGTERM or SIGINT. Then nothing new starts, and the Lease is released. If a person must correct something
/// before the controller can start, the error is a [`Problem`].
pub(crate) async fn run(arguments: &Controller, namespace: &str, config: Config) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    };
    let wall = ServerClock::on_machine_ahead(SignedDuration::from_millis(arguments.clock_ahead_ms));
    let connection = Connection::with_clock(config, wall).context("cannot make a client")?;
    let identity = arguments.identity.clone().unwrap_or_else(identity);
    let store = Arc::new(Store::new(namespace));
    let elector = Arc::new(Mutex::new(Elector::new(Settings::new(&identity))));
    let report = Arc::new(Mutex::new(Report::default()));
    let metrics = Arc::new(Metrics::new(
        store.clone(),
        report.clone(),
        elector.clone(),
        connection.warnings.clone(),
    ));
    let served = http::serve(arguments.listen, metrics.clone())
        .await
        .map_err(|error| {
            Problem::failed(
                format!("cannot listen on {}: {error}", arguments.listen),
                "name a free address: --listen ADDRESS; port 0 takes a free port",
            )
        })?;
    tracing::info!(address = %served, server = %connection.config.cluster_url, identity, "the controller starts");

    tokio::pin!(stop);
    let mut caches = tokio::select! {
        caches = cache::start(&connection, &store) => caches,
        () = &mut stop => return Ok(()),
    };
    tracing::info!("every list is complete");
    metrics.set_ready();
    let adapters = Adapters {
        kube: KubePorts::new(&connection, &store, namespace, &identity),
        drivers: adapters::drivers(),
        metrics,
    };
    let parts = Parts {
        ports: Arc::new(adapters),
        lease: KubeLease::new(&connection, namespace, &arguments.lease_name),
        cluster: store.cluster.clone(),
        changed: store.changed.clone(),
        wall: connection.wall.clone(),
        elector: elector.clone(),
        report,
        on_write: on_write(arguments.exit_after_writes.map(Into::into)),
        nonce: Box::new(nonce),
    };
    let leads = || locked(&elector).leads(boottime()).is_some();
    let ended = async {
        tokio::select! {
            () = stop => Ok(()),
            // The process ends with an error, so that it is restarted and makes new caches.
            () = caches.watch_ended() => Err(anyhow::anyhow!("a watch has ended: the caches are broken")),
            () = cache::led_with_stale_caches(&store, leads) => Err(anyhow::anyhow!("the caches are stale")),
        }
    };
    shell::run(parts, ended)
        .await
        .context("the task that renews the Lease has ended")?
}

/// The host's name with a random end, so that two processes on one host have two identities.
fn identity() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}_{}", nonce())
}

/// A text that no other call and no other process returns.
fn nonce() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

fn on_write(exit_after: Option<u64>) -> OnWrite {
    Arc::new(move |number| {
        if Some(number) == exit_after {
            tracing::warn!(number, "--exit-after-writes ends the process after this write");
            std::process::exit(EXIT_AS_ASKED);
        }
    })
}
