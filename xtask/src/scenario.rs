//! `cargo xtask scenario`: runs scenario files in the simulated world or on the real control plane. It builds what
//! they need and calls the runner; what a scenario says is the runner's business (`docs/scenarios.md`).

use std::os::unix::process::CommandExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use junban_testbed::process::tied;

use crate::cargo::{as_from_a_shell, cargo};
use crate::testbed;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// FILE... [--world sim|real] [--seed S] [--exit-after-writes K] [--sweep [--writes A..B]] [--log]
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // Killed with this process, and then its controllers and its testbed with it: cargo becomes the runner.
    let mut command = tied(Path::new("cargo"));
    as_from_a_shell(&mut command);
    command.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "junban-trial",
        "--bin",
        "scenario",
        "--",
    ]);
    command.args(&args.arguments);
    if wants_the_real_world(&args.arguments) {
        let status = cargo()
            .args(["build", "--quiet", "--locked", "--package", "junban"])
            .status()?;
        if !status.success() {
            bail!("junban does not build");
        }
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
        let checkout = Path::new(&xtask).join("..");
        command.arg("--testbed").arg(testbed::binary()?);
        command.arg("--junban").arg(built("junban")?);
        command.arg("--manifests").arg(checkout.join("manifests"));
    }
    // Becoming the runner keeps the caller its parent: it ends when the caller does.
    Err(command.exec()).context("run cargo")
}

fn wants_the_real_world(arguments: &[String]) -> bool {
    arguments
        .windows(2)
        .any(|pair| pair[0] == "--world" && pair[1] == "real")
}

/// A program that was built beside this one.
fn built(name: &str) -> Result<std::path::PathBuf> {
    let here = std::env::current_exe()?;
    Ok(here.with_file_name(name))
}
