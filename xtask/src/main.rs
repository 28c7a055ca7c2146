//! Entry points for people and CI. Each verb is one file that only calls
//! what does the work; nothing of the product is linked here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod testbed;

#[derive(Parser)]
#[command(about = "Entry points for people and CI")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// A real control plane on loopback with simulated machines
    Testbed(testbed::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Testbed(args) => testbed::run(&args),
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
