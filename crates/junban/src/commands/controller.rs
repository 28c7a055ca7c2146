//! `junban controller`.

use tracing_subscriber::EnvFilter;

use super::problem::{Exit, Problem};
use super::session;
use crate::cli::{Cluster, Controller, LogFormat};

/// Runs the controller until SIGTERM or SIGINT. A [`Problem`] is printed as by every other command, whatever the log's
/// format: a person must correct something before the controller can start. Other errors go to the log.
pub(crate) fn run(cluster: &Cluster, arguments: &Controller) -> Result<Exit, Problem> {
    // kube's client logs every failed connection as an error. Its caller knows what the failure means, and logs that.
    let filter = EnvFilter::try_new(format!("kube_client=off,{}", arguments.log)).map_err(|error| {
        Problem::usage(
            format!("--log {:?}: {error}", arguments.log),
            "write a level, or TARGET=LEVEL with commas between",
        )
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            runtime.block_on(async {
                let config = session::config(cluster).await?;
                crate::controller::run(arguments, &cluster.namespace, config).await
            })
        });
    match ended.map_err(anyhow::Error::downcast) {
        Ok(()) => Ok(Exit::Done),
        Err(Ok(problem)) => Err(problem),
        Err(Err(error)) => {
            tracing::error!("{error:#}");
            Ok(Exit::Failed)
        }
    }
}
