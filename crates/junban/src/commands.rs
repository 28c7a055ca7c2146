//! The commands, one file each, and what they share.

mod cancel;
mod columns;
mod controller;
mod cost;
mod demo;
mod entries;
mod explain;
mod leader;
mod lint;
mod list;
mod pause;
mod printer;
pub(crate) mod problem;
mod reboot;
mod retry;
mod session;
mod snapshot;
mod status;
mod wait;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::{Cli, Cluster, Command, Output};
use printer::Printer;
use problem::{Exit, Problem};
use session::Session;
#[cfg(test)]
pub(crate) use tests::fixture;

/// Runs one command, prints its error if there is one, and returns its exit code.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let cluster = &cli.cluster;
    let mut printer = Printer::new(output(&cli.command));
    let out = &mut printer;
    let ended = match &cli.command {
        Command::Reboot(args) => on_cluster(cluster, async |session| {
            leader::warn(session, out).await;
            reboot::run(session, args, out).await
        }),
        Command::Status(args) => on_cluster(cluster, async |session| status::run(session, args, out).await),
        Command::List(args) => on_cluster(cluster, async |session| {
            leader::warn(session, out).await;
            list::run(session, args, out).await
        }),
        Command::Explain(args) => on_cluster(cluster, async |session| explain::run(session, args, out).await),
        Command::Pause(args) => on_cluster(cluster, async |session| pause::pause(session, args, out).await),
        Command::Resume(_) => on_cluster(cluster, async |session| {
            leader::warn(session, out).await;
            pause::resume(session, out).await
        }),
        Command::Cancel(args) => on_cluster(cluster, async |session| {
            leader::warn(session, out).await;
            cancel::run(session, args, out).await
        }),
        Command::Retry(args) => on_cluster(cluster, async |session| {
            leader::warn(session, out).await;
            retry::run(session, args, out).await
        }),
        Command::Lint(args) => lint::run(args, out),
        Command::Controller(args) => controller::run(cluster, args),
        Command::Demo(args) => demo::run(args),
    };
    let ended = ended.and_then(|exit| printer.finish().map(|()| exit));
    match ended {
        Ok(exit) => exit.into(),
        Err(problem) => {
            printer.message(&problem.to_string());
            problem.exit.into()
        }
    }
}

fn on_cluster(
    cluster: &Cluster,
    command: impl AsyncFnOnce(&Session) -> Result<Exit, Problem>,
) -> Result<Exit, Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Problem::failed(
                format!("the async runtime cannot start: {error}"),
                "check the limits of this user: ulimit -a",
            )
        })?;
    runtime.block_on(async { command(&Session::open(cluster).await?).await })
}

/// Prints what clap says about the arguments: the help, the version, or an error with a hint.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let mut printer = Printer::new(Output::Table);
    let text = error.render();
    if !error.use_stderr() {
        printer.data(&text.ansi().to_string());
        return Exit::Done.into();
    }
    let help = help_command(std::env::args_os().nth(1));
    printer.message(&format!("{}\nhint: {help}", text.ansi().to_string().trim_end()));
    Exit::Usage.into()
}

/// The help command to name in a hint. `word` is the first argument, which may be any bytes.
fn help_command(word: Option<OsString>) -> String {
    use clap::CommandFactory as _;
    let word = word.and_then(|word| word.into_string().ok());
    let verb = word.filter(|word| Cli::command().find_subcommand(word).is_some());
    verb.map_or_else(
        || "junban --help".to_owned(),
        |verb| format!("junban {verb} --help"),
    )
}

fn output(command: &Command) -> Output {
    let format = match command {
        Command::Reboot(arguments) => arguments.format,
        Command::Status(arguments) => arguments.format,
        Command::List(arguments) => arguments.format,
        Command::Explain(arguments) => arguments.format,
        Command::Pause(arguments) => arguments.format,
        Command::Resume(arguments) => arguments.format,
        Command::Cancel(arguments) => arguments.format,
        Command::Retry(arguments) => arguments.format,
        Command::Lint(arguments) => arguments.format,
        Command::Controller(_) | Command::Demo(_) => return Output::Table,
    };
    format.output
}

#[cfg(test)]
mod tests;
