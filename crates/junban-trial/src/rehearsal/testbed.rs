//! The testbed with Junban and a workload on it, the controllers, the commands of a person, and all logs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Output};

use anyhow::{Context as _, Result};
use junban_testbed::junban::{self, Controller};
use junban_testbed::process::to_its_end;
use junban_testbed::{Ready, Testbed};
use serde_json::{Value, json};

use super::args::Args;

pub(super) struct InstalledTestbed {
    junban: PathBuf,
    testbed: Testbed,
    /// The folder for the logs and the copied program.
    folder: PathBuf,
}

impl InstalledTestbed {
    /// `flags` are flags of `testbed up`.
    pub(super) fn up(args: &Args, workload: &Value, flags: &[String]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("junban-rehearsal-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        // Run a copy: somebody may build the program again during the rehearsal.
        let junban = folder.join("junban");
        fs::copy(&args.program, &junban).with_context(|| format!("copy {}", args.program.display()))?;
        let file = folder.join("workload.json");
        fs::write(&file, workload.to_string())?;
        let flags = [&[format!("--workload={}", file.display())], flags].concat();
        let log = folder.join("testbed.log");
        let testbed = Testbed::up(&args.testbed, &args.manifests, &flags, fs::File::create(&log)?)
            .with_context(|| format!("{} may say why", log.display()))?;
        Ok(Self {
            junban,
            testbed,
            folder,
        })
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.testbed.ready
    }

    /// Installs Junban, and sets the power command and the URLs of the control plane.
    pub(super) fn install(&self, boot_timeout: &str) -> Result<()> {
        self.testbed.install()?;
        let ready = self.ready();
        let reboot = json!({"spec": {"reboot": {
            "bootTimeout": boot_timeout,
            "ladder": [{"driver": "command", "command": ready.power_command}],
        }}});
        for policy in ["workers", "control-plane", "etcd"] {
            self.testbed.merge("rebootpolicy", policy, &reboot)?;
        }
        let urls = json!({"spec": {"controlPlane": {
            "apiServers": ready.api_servers, "etcd": ready.etcd.health,
        }}});
        self.testbed.merge("rebootqueue", "default", &urls)
    }

    pub(super) fn controller(&self) -> Result<Controller> {
        Controller::start(&self.junban, &self.testbed, &self.folder.join("controller.log"))
    }

    /// Starts a command of an administrator. Its output goes to the file `log`.
    pub(super) fn begin(&self, arguments: &[&str], log: &str) -> Result<Child> {
        let log = fs::File::create(self.folder.join(log))?;
        junban::command(&self.junban, &self.ready().kubeconfig, arguments)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run junban")
    }

    /// Runs a command of an administrator to its end.
    pub(super) fn junban(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = junban::command(&self.junban, &self.ready().kubeconfig, arguments);
        to_its_end(&mut command, "")
    }

    /// What `junban explain` says of a node.
    pub(super) fn explain(&self, node: &str) -> Result<String> {
        let said = self.junban(&["explain", node])?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    /// Ends the testbed. With `keep` the logs stay, and their folder is returned.
    pub(super) fn end(self, keep: bool) -> Result<Option<PathBuf>> {
        if keep {
            let ready = self.ready();
            for log in ready.audit_logs.iter().chain([&ready.power_log]) {
                if let Some(name) = log.file_name() {
                    fs::copy(log, self.folder.join(name))?;
                }
            }
            return Ok(Some(self.folder));
        }
        drop(self.testbed);
        fs::remove_dir_all(&self.folder)?;
        Ok(None)
    }
}
