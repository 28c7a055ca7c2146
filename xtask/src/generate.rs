//! `cargo xtask generate [--check]`: the CRDs and the page of names. What they say is the business of
//! `junban-api`, whose own binary writes them.

use anyhow::{Context as _, Result, bail};

use crate::cargo::cargo;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail where a file is not what the sources say
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
        bail!("what is generated is not what the sources say");
    }
    Ok(())
}
