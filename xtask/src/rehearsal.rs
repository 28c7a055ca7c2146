//! `cargo xtask rehearsal`: builds what a rehearsal needs and becomes it (`junban_trial::rehearsal`).

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::cargo::cargo;
use crate::{bed, testbed};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `--help` lists the options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--locked", "--package", "junban-trial"]);
    command.args(["--bin", "rehearsal", "--"]).args(&args.arguments);
    let has = |option: &str| {
        args.arguments
            .iter()
            .any(|word| word.split('=').next() == Some(option))
    };
    if !has("--help") && !has("-h") {
        command.arg("--testbed").arg(testbed::binary()?);
        command.arg("--manifests").arg(bed::manifests()?);
        if !has("--program") {
            let profile: &[&str] = if has("--release") { &["--release"] } else { &[] };
            command.arg("--program").arg(bed::junban(profile)?);
        }
    }
    // The rehearsal replaces this process, so it keeps the caller as its parent.
    Err(command.exec()).context("run cargo")
}
