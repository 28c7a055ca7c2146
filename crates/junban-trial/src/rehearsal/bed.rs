//! The testbed with Junban installed, the controllers and the commands of a person, and where their logs are.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Output};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use junban_testbed::junban::{self, Controller};
use junban_testbed::process::to_its_end;
use junban_testbed::{Ready, Testbed};

use super::Args;

pub(super) struct Bed {
    junban: PathBuf,
    testbed: Testbed,
    scratch: PathBuf,
}

impl Bed {
    /// `flags` are those of `testbed up`.
    pub(super) fn up(args: &Args, workload: &Value, flags: &[String]) -> Result<Self> {
        let program = &args.program;
        let scratch = std::env::temp_dir().join(format!("junban-rehearsal-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        // A copy: somebody may build while this runs.
        let junban = scratch.join("junban");
        fs::copy(program, &junban).with_context(|| format!("copy {}", program.display()))?;
        let file = scratch.join("workload.json");
        fs::write(&file, workload.to_string())?;
        let flags = [&[format!("--workload={}", file.display())], flags].concat();
        let log = scratch.join("testbed.log");
        let testbed = Testbed::up(&args.testbed, &args.manifests, &flags, fs::File::create(&log)?)
            .with_context(|| format!("{} may say why", log.display()))?;
        Ok(Self {
            junban,
            testbed,
            scratch,
        })
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.testbed.ready
    }

    /// As the README says, then the power command into the two default policies.
    pub(super) fn install(&self, boot_timeout: &str) -> Result<()> {
        self.testbed.install()?;
        let ready = self.ready();
        let reboot = json!({"spec": {"reboot": {
            "bootTimeout": boot_timeout,
            "ladder": [{"driver": "command", "command": ready.power_command}],
        }}});
        for policy in ["workers", "control-plane"] {
            self.testbed.merge("rebootpolicy", policy, &reboot)?;
        }
        let urls = json!({"spec": {"controlPlane": {
            "apiServers": ready.api_servers, "etcd": ready.etcd.health,
        }}});
        self.testbed.merge("rebootqueue", "default", &urls)
    }

    pub(super) fn controller(&self) -> Result<Controller> {
        Controller::start(&self.junban, &self.testbed, &self.scratch.join("controller.log"))
    }

    /// A command of an administrator, begun; its output goes into a file.
    pub(super) fn begin(&self, arguments: &[&str], log: &str) -> Result<Child> {
        let log = fs::File::create(self.scratch.join(log))?;
        junban::command(&self.junban, &self.ready().kubeconfig, arguments)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run junban")
    }

    pub(super) fn junban(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = junban::command(&self.junban, &self.ready().kubeconfig, arguments);
        to_its_end(&mut command, "")
    }

    /// Ends the testbed; keeps the logs of a rehearsal that failed, and says where.
    pub(super) fn end(self, keep: bool) -> Result<Option<PathBuf>> {
        if keep {
            let ready = self.ready();
            for log in ready.audit_logs.iter().chain([&ready.power_log]) {
                if let Some(name) = log.file_name() {
                    fs::copy(log, self.scratch.join(name))?;
                }
            }
            return Ok(Some(self.scratch));
        }
        drop(self.testbed);
        fs::remove_dir_all(&self.scratch)?;
        Ok(None)
    }
}
