//! Installs the TLS provider, parses the arguments and runs the command.

mod cli;
mod commands;
mod controller;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The first TLS connection needs a provider. An error says only that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::Cli::try_parse() {
        Ok(cli) => commands::run(&cli),
        Err(error) => commands::usage(&error),
    }
}
