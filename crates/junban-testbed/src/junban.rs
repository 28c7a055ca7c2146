//! The `junban` program: as a person calls it, and as the controller.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

use super::process::tied;
use super::{ACCOUNT, Testbed};

/// A command of the person who has this kubeconfig.
pub fn command(program: &Path, kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = tied(program);
    command
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// `junban controller` with the token of its account. It ends when this value is dropped.
pub struct Controller(Child);

impl Controller {
    pub fn start(program: &Path, bed: &Testbed, log: &Path) -> Result<Self> {
        let account = bed.kubeconfig(&["--service-account", ACCOUNT])?;
        Self::start_with(program, &account, log, &["--log", "info,junban_engine=debug"])
    }

    /// Appends what the controller logs to `log`.
    pub fn start_with(
        program: &Path,
        kubeconfig: &Path,
        log: &Path,
        options: &[impl AsRef<OsStr>],
    ) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        tied(program)
            .args(["controller", "--kubeconfig"])
            .arg(kubeconfig)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map(Self)
            .context("start the controller")
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The exit status of a controller that ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
