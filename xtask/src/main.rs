//! Entry points for people and CI. Each verb is one file that only calls
//! what does the work; nothing of the product is linked here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api_check;
mod bed;
mod cargo;
mod cli_check;
mod generate;
mod rehearsal;
mod scenario;
mod test;
mod testbed;
mod tidy;

#[derive(Parser)]
#[command(about = "Entry points for people and CI")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The verbs and bad input against a real API server (about 3 minutes)
    CliCheck(cli_check::Args),
    /// A real control plane on loopback with simulated machines
    Testbed(testbed::Args),
    /// The manifests, put to a real API server
    ApiCheck(api_check::Args),
    /// The CRDs and the page of names
    Generate(generate::Args),
    /// Reboots a whole cluster under load and watches it
    #[command(disable_help_flag = true)]
    Rehearsal(rehearsal::Args),
    /// Scenario files, in the simulated world or on the real control plane
    Scenario(scenario::Args),
    /// Everything that CI runs
    Test(test::Args),
    /// The edges of the architecture, file sizes and banned calls
    Tidy,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::CliCheck(args) => cli_check::run(&args),
        Verb::Testbed(args) => testbed::run(&args),
        Verb::ApiCheck(args) => api_check::run(&args),
        Verb::Generate(args) => generate::run(&args),
        Verb::Rehearsal(args) => rehearsal::run(&args),
        Verb::Scenario(args) => scenario::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "an entry point talks to a person")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
