//! What a check of this checkout needs: the testbed and the `junban` program, both built first.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Result, bail};
use junban_testbed::Testbed;

use crate::cargo::cargo;
use crate::{testbed, tidy};

/// Starts a testbed with `flags` of `testbed up`. Its error output goes to `log`.
pub(crate) fn up(flags: &[impl AsRef<OsStr>], log: impl Into<Stdio>) -> Result<Testbed> {
    Testbed::up(&testbed::binary()?, &manifests()?, flags, log)
}

pub(crate) fn manifests() -> Result<PathBuf> {
    Ok(tidy::root()?.join("manifests"))
}

/// Builds `junban` with these flags of cargo and returns the program's path.
pub(crate) fn junban(flags: &[&str]) -> Result<PathBuf> {
    let release = flags.contains(&"--release");
    let built = cargo()
        .args(["build", "-p", "junban"])
        .args(flags)
        .current_dir(tidy::root()?)
        .status()?;
    if !built.success() {
        bail!("junban does not build");
    }
    let here = std::env::current_exe()?;
    Ok(here.with_file_name(if release { "../release/junban" } else { "junban" }))
}
