//! `junban controller`.

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::cli::{Controller, LogFormat};

/// Runs the controller until SIGTERM or SIGINT.
pub(crate) fn run(arguments: Controller) -> ExitCode {
    // kube's client calls every failed connection an error: what it means is said by whoever made the call.
    let filter = match EnvFilter::try_new(format!("kube_client=off,{}", arguments.log)) {
        Ok(filter) => filter,
        Err(error) => return wrong(&arguments.log, &error),
    };
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
        .and_then(|runtime| runtime.block_on(crate::controller::run(arguments)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A filter that cannot be read: there is no log yet to say it in.
#[expect(clippy::print_stderr, reason = "the log is what cannot be begun")]
fn wrong(filter: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: --log {filter:?}: {error}\nhint: write a level, or TARGET=LEVEL with commas between");
    ExitCode::from(2)
}
