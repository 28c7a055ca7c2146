//! `cargo xtask cli-check`: runs every verb of the command line, and bad input, against a real API server, with a real
//! controller under its own account. Checks the exit code, what the command says, and that nothing else happens.

mod check;
mod steps;

use anyhow::Result;

use check::Check;

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<()> {
    let mut check = Check::start()?;
    steps::all(&mut check)?;
    check.report()
}
