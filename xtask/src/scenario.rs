//! `cargo xtask scenario`: builds what scenario files need and becomes their runner, the program `scenario` of
//! `junban-trial`. `docs/scenarios.md` describes the files.

use std::os::unix::process::CommandExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use junban_testbed::process::tied;

use crate::cargo::as_from_a_shell;
use crate::{bed, testbed};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// FILE... [--world sim|real] [--seed S] [--exit-after-writes K] [--sweep [--writes A..B]] [--log]
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // The kernel kills the runner together with the caller; the controllers and the testbed end with the runner.
    let mut command = tied(Path::new("cargo"));
    as_from_a_shell(&mut command);
    command.args(["run", "--quiet", "--locked", "--package", "junban-trial"]);
    command.args(["--bin", "scenario", "--"]).args(&args.arguments);
    if wants_the_real_world(&args.arguments) {
        let junban = bed::junban(&["--quiet", "--locked"])?;
        command.arg("--testbed").arg(testbed::binary()?);
        command.arg("--junban").arg(junban);
        command.arg("--manifests").arg(bed::manifests()?);
    }
    // The runner replaces this process, so it keeps the caller as its parent.
    Err(command.exec()).context("run cargo")
}

fn wants_the_real_world(arguments: &[String]) -> bool {
    arguments
        .windows(2)
        .any(|pair| pair[0] == "--world" && pair[1] == "real")
}
