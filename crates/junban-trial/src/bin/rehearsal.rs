//! Runs a rehearsal; `--help` lists the options.

#![expect(clippy::print_stderr, reason = "a command talks to a person")]

use std::process::ExitCode;

use clap::Parser as _;
use junban_trial::rehearsal;

fn main() -> ExitCode {
    match rehearsal::run(&rehearsal::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
