//! Wiring: arguments, the TLS provider, the runtime, and the verb that was asked for.

mod cli;
mod commands;
mod controller;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before anything may talk TLS; an error means that one was installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(error) => commands::usage(&error),
    }
}
