//! Entry points for people and CI. Each verb is one file that only calls
//! what does the work; nothing of the product is linked here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api_check;
mod generate;
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
    /// A real control plane on loopback with simulated machines
    Testbed(testbed::Args),
    /// The manifests, put to a real API server
    ApiCheck(api_check::Args),
    /// The CRDs and the page of names
    Generate(generate::Args),
    /// Everything that CI runs
    Test(test::Args),
    /// The edges of the architecture, file sizes and banned calls
    Tidy,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Testbed(args) => testbed::run(&args),
        Verb::ApiCheck(args) => api_check::run(&args),
        Verb::Generate(args) => generate::run(&args),
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
