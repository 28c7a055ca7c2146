//! Commands for people and CI. Nothing of the product is linked here: the commands build its programs and run them.

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
#[command(about = "Commands for people and CI")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run every verb of the command line, and bad input, against a real API server (about 3 minutes)
    CliCheck(cli_check::Args),
    /// Start, change and stop a real control plane on loopback with simulated machines
    Testbed(testbed::Args),
    /// Check the manifests against a real API server
    ApiCheck(api_check::Args),
    /// Write the CRDs and the page of names
    Generate(generate::Args),
    /// Reboot a whole cluster under load on a real control plane, and watch it
    #[command(disable_help_flag = true)]
    Rehearsal(rehearsal::Args),
    /// Run scenario files, in the simulated world or on the real control plane
    Scenario(scenario::Args),
    /// Run everything that CI runs
    Test(test::Args),
    /// Check the rules of the repository: what may use what, file sizes, citations, banned words
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

#[expect(clippy::print_stderr, reason = "a person reads it")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
