//! `junban controller`.

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use super::printer::Printer;
use super::problem::Problem;
use super::session;
use crate::cli::{Controller, LogFormat, Output};

/// Runs the controller until SIGTERM or SIGINT.
pub(crate) fn run(arguments: Controller) -> ExitCode {
    // kube's client calls every failed connection an error: what it means is said by whoever made the call.
    let filter = match EnvFilter::try_new(format!("kube_client=off,{}", arguments.log)) {
        Ok(filter) => filter,
        Err(error) => {
            return say(&Problem::usage(
                format!("--log {:?}: {error}", arguments.log),
                "write a level, or TARGET=LEVEL with commas between",
            ));
        }
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
        .and_then(|runtime| {
            runtime.block_on(async {
                let config = session::config(&arguments.cluster).await?;
                crate::controller::run(arguments, config).await
            })
        });
    match ended.map_err(anyhow::Error::downcast::<Problem>) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ok(problem)) => say(&problem),
        Err(Err(error)) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Said as every other command says it, and whatever the log is: a person must mend it before the controller begins.
fn say(problem: &Problem) -> ExitCode {
    Printer::new(Output::Table).talk(&problem.to_string());
    problem.exit.into()
}
