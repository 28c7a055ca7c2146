//! The verbs, one file each.

mod controller;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// Carries out one command.
pub(crate) fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Controller(arguments) => controller::run(arguments),
    }
}
