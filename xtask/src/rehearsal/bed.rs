//! The testbed, the manifests on it, the controller and the commands of a person. Everything ends with this process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::testbed;

/// The account that the controller runs under, and nothing more.
pub(super) const ACCOUNT: &str = "junban/junban";

pub(super) struct Bed {
    junban: PathBuf,
    testbed: PathBuf,
    manifests: PathBuf,
    up: Child,
    pub(super) ready: Ready,
    scratch: PathBuf,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ready {
    dir: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) kubectl: PathBuf,
    api_servers: Vec<String>,
    etcd: Etcd,
    pub(super) audit_logs: Vec<PathBuf>,
    pub(super) power_log: PathBuf,
    power_command: Vec<String>,
    pub(super) nodes: Vec<String>,
}

#[derive(Deserialize, Clone)]
struct Etcd {
    health: Vec<String>,
}

impl Bed {
    /// `flags` are those of `testbed up`.
    pub(super) fn up(program: &Path, workload: &Value, flags: &[String]) -> Result<Self> {
        let root = root()?;
        let testbed = testbed::binary()?;
        let scratch = std::env::temp_dir().join(format!("junban-rehearsal-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        // A copy: somebody may build while this runs.
        let junban = scratch.join("junban");
        fs::copy(program, &junban).with_context(|| format!("copy {}", program.display()))?;
        let file = scratch.join("workload.json");
        fs::write(&file, workload.to_string())?;
        let mut up = tied(&testbed)
            .args(["up", "--foreground", "--output", "json", "--workload"])
            .arg(&file)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(scratch.join("testbed.log"))?)
            .spawn()
            .context("start the testbed")?;
        let mut line = String::new();
        let stdout = up.stdout.take().context("the testbed's stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: Ready = serde_json::from_str(&line).context("the testbed did not come up")?;
        Ok(Self {
            junban,
            testbed,
            manifests: root.join("manifests"),
            up,
            ready,
            scratch,
        })
    }

    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.ready.kubectl)
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// As the README says, then the power command into the two default policies.
    pub(super) fn install(&self, boot_timeout: &str) -> Result<()> {
        let path = |part: &str| self.manifests.join(part).to_string_lossy().into_owned();
        self.kubectl(&["apply", "--server-side", "-f", &path("crds")])?;
        let label = "app.kubernetes.io/name=junban";
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
            "-l",
            label,
        ])?;
        for part in [
            "junban/10-namespace.yaml",
            "junban/20-account.yaml",
            "junban/21-force.yaml",
            "junban/22-people.yaml",
            "junban/30-admission.yaml",
            "defaults",
        ] {
            self.kubectl(&["apply", "--server-side", "-f", &path(part)])?;
        }
        let reboot = json!({"spec": {"reboot": {
            "bootTimeout": boot_timeout,
            "ladder": [{"driver": "command", "command": self.ready.power_command}],
        }}});
        for policy in ["workers", "control-plane"] {
            self.merge("rebootpolicy", policy, &reboot)?;
        }
        let urls = json!({"spec": {"controlPlane": {
            "apiServers": self.ready.api_servers, "etcd": self.ready.etcd.health,
        }}});
        self.merge("rebootqueue", "default", &urls)
    }

    fn merge(&self, kind: &str, name: &str, patch: &Value) -> Result<()> {
        self.kubectl(&["patch", kind, name, "--type", "merge", "-p", &patch.to_string()])
            .map(drop)
    }

    /// Starts `junban controller` with its account's token.
    pub(super) fn controller(&self) -> Result<Child> {
        let account = self.scratch.join("account.kubeconfig");
        if !account.exists() {
            let made = Command::new(&self.testbed)
                .args(["kubeconfig", "--service-account", ACCOUNT, "--dir"])
                .arg(&self.ready.dir)
                .output()?;
            if !made.status.success() {
                bail!("{}", String::from_utf8_lossy(&made.stderr));
            }
            fs::write(&account, made.stdout)?;
        }
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("controller.log"))?;
        tied(&self.junban)
            .args(["controller", "--kubeconfig"])
            .arg(account)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start the controller")
    }

    /// A command of an administrator, begun; its output goes into a file.
    pub(super) fn begin(&self, arguments: &[&str], log: &str) -> Result<Child> {
        let log = fs::File::create(self.path(log))?;
        tied(&self.junban)
            .args(arguments)
            .env("KUBECONFIG", &self.ready.kubeconfig)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run junban")
    }

    pub(super) fn junban(&self, arguments: &[&str]) -> Result<Output> {
        Ok(tied(&self.junban)
            .args(arguments)
            .env("KUBECONFIG", &self.ready.kubeconfig)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()?)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Ends the testbed; keeps the logs of a rehearsal that failed, and says where.
    pub(super) fn end(mut self, keep: bool) -> Result<Option<PathBuf>> {
        if keep {
            for log in self.ready.audit_logs.iter().chain([&self.ready.power_log]) {
                if let Some(name) = log.file_name() {
                    fs::copy(log, self.scratch.join(name))?;
                }
            }
        }
        self.down();
        if keep {
            return Ok(Some(self.scratch.clone()));
        }
        fs::remove_dir_all(&self.scratch)?;
        Ok(None)
    }

    fn down(&mut self) {
        if let Ok(mut down) = Command::new(&self.testbed)
            .arg("down")
            .arg("--dir")
            .arg(&self.ready.dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
        {
            let _ = self.up.wait();
            let _ = down.wait();
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if matches!(self.up.try_wait(), Ok(None)) {
            self.down();
        }
    }
}

fn root() -> Result<PathBuf> {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    Ok(Path::new(&xtask).join(".."))
}

/// Builds `junban` and says where it is.
pub(super) fn build(release: bool) -> Result<PathBuf> {
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "-p", "junban"])
        .args(profile)
        .current_dir(root()?)
        .status()?;
    if !built.success() {
        bail!("junban does not build");
    }
    let here = std::env::current_exe()?;
    Ok(here.with_file_name(if release { "../release/junban" } else { "junban" }))
}

/// A command that the kernel ends with this process where util-linux is there, also when that is killed.
pub(super) fn tied(program: &Path) -> Command {
    if Path::new("/usr/bin/setpriv").exists() {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        return command;
    }
    Command::new(program)
}
