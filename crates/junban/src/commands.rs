//! The verbs, one file each, and what they share.

mod cancel;
mod columns;
mod controller;
mod cost;
pub(crate) mod demo;
mod entries;
mod explain;
mod lint;
mod list;
mod pause;
mod printer;
pub(crate) mod problem;
mod reboot;
mod retry;
mod session;
mod status;
mod view;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::{Cli, Command, Output};
use printer::Printer;
use problem::{Exit, Problem};
use session::Session;
#[cfg(test)]
pub(crate) use tests::fixture;

/// Carries out one command and says how it went.
pub(crate) fn run(cli: Cli) -> ExitCode {
    if let Command::Controller(arguments) = cli.command {
        return controller::run(arguments);
    }
    let mut printer = Printer::new(output(&cli.command));
    let ended = match &cli.command {
        // Needs neither a cluster nor a runtime.
        Command::Lint(arguments) => lint::run(arguments, &mut printer),
        Command::Demo(arguments) => demo::run(arguments),
        _ => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| {
                Problem::failed(
                    format!("no runtime: {error}"),
                    "check the limits of this user: ulimit -a",
                )
            })
            .and_then(|runtime| runtime.block_on(talk_to_cluster(&cli, &mut printer))),
    };
    let ended = ended.and_then(|exit| printer.finish().map(|()| exit));
    match ended {
        Ok(exit) => exit.into(),
        Err(problem) => {
            printer.talk(&problem.to_string());
            problem.exit.into()
        }
    }
}

/// Says what clap says, with the hint that every error ends in.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let mut printer = Printer::new(Output::Table);
    let text = error.render();
    if !error.use_stderr() {
        // --help and --version.
        printer.data(&text.ansi().to_string());
        return Exit::Done.into();
    }
    let help = help(std::env::args_os().nth(1));
    printer.talk(&format!("{}\nhint: {help}", text.ansi().to_string().trim_end()));
    Exit::Usage.into()
}

/// Which help there is for a line that begins with this word, which may be any bytes.
fn help(word: Option<OsString>) -> String {
    use clap::CommandFactory as _;
    let word = word.and_then(|word| word.into_string().ok());
    let verb = word.filter(|word| Cli::command().find_subcommand(word).is_some());
    verb.map_or_else(
        || "junban --help".to_owned(),
        |verb| format!("junban {verb} --help"),
    )
}

fn output(command: &Command) -> Output {
    match command {
        Command::Reboot(arguments) => arguments.output,
        Command::Status(arguments) => arguments.output,
        Command::List(arguments) => arguments.output,
        Command::Explain(arguments) => arguments.output,
        Command::Pause(arguments) => arguments.output,
        Command::Resume(arguments) => arguments.output,
        Command::Cancel(arguments) => arguments.output,
        Command::Retry(arguments) => arguments.output,
        Command::Lint(arguments) => arguments.output,
        Command::Controller(_) | Command::Demo(_) => Output::Table,
    }
}

async fn talk_to_cluster(cli: &Cli, printer: &mut Printer) -> Result<Exit, Problem> {
    let session = Session::open(&cli.cluster).await?;
    match &cli.command {
        Command::Reboot(arguments) => reboot::run(&session, arguments, printer).await,
        Command::Status(arguments) => status::run(&session, arguments, printer).await,
        Command::List(arguments) => list::run(&session, arguments, printer).await,
        Command::Explain(arguments) => explain::run(&session, arguments, printer).await,
        Command::Pause(arguments) => pause::pause(&session, arguments, printer).await,
        Command::Resume(_) => pause::resume(&session, printer).await,
        Command::Cancel(arguments) => cancel::run(&session, arguments, printer).await,
        Command::Retry(arguments) => retry::run(&session, arguments, printer).await,
        Command::Lint(_) | Command::Controller(_) | Command::Demo(_) => Ok(Exit::Done),
    }
}

#[cfg(test)]
mod tests;
