//! `cargo xtask generate [--check]`: writes the CRDs and the page of names, by running the program of `junban-api`
//! that makes them.

use anyhow::{Context as _, Result, bail};

use crate::cargo::cargo;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing, and fail if a file differs from what the sources say
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "-p",
        "junban-api",
        "--bin",
        "generate-manifests",
        "--",
    ]);
    if args.check {
        command.arg("--check");
    }
    let status = command.status().context("run cargo")?;
    if !status.success() {
        bail!("the generated files are not what the sources say: type cargo xtask generate");
    }
    Ok(())
}
