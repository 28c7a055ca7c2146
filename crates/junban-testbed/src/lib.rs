//! Starts a testbed for one check, calls it through kubectl, installs Junban's manifests on it and ends it. The checks
//! themselves are elsewhere: in `xtask` and in `junban-trial`.

pub mod junban;
pub mod process;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// The controller's ServiceAccount. The controller has the rights of this account and no others.
pub const ACCOUNT: &str = "junban/junban";

/// A running testbed. It ends when this value is dropped, and when this process dies.
pub struct Testbed {
    binary: PathBuf,
    /// The folder of that name in the checkout.
    pub manifests: PathBuf,
    child: Child,
    pub ready: Ready,
}

/// The line that the testbed prints when it is up (testbed/README.md).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Its own directory, which it removes at its end.
    dir: PathBuf,
    /// The administrator's.
    pub kubeconfig: PathBuf,
    pub kubectl: PathBuf,
    pub server: String,
    pub api_servers: Vec<String>,
    pub etcd: Etcd,
    pub audit_logs: Vec<PathBuf>,
    pub power_log: PathBuf,
    pub power_command: Vec<String>,
    pub nodes: Vec<String>,
}

#[derive(Deserialize)]
pub struct Etcd {
    pub health: Vec<String>,
}

impl Testbed {
    /// Starts the testbed `binary` with `flags` of `testbed up`. Its error output goes to `log`. `manifests` is the
    /// folder of that name in the checkout.
    pub fn up(
        binary: &Path,
        manifests: &Path,
        flags: &[impl AsRef<OsStr>],
        log: impl Into<Stdio>,
    ) -> Result<Self> {
        // The testbed watches this process and ends with it. The kernel does not kill the testbed (`process::tied`),
        // because the testbed needs time to remove its directory.
        let mut child = Command::new(binary)
            .args(["up", "--foreground", "--output", "json"])
            .args(["--parent", &std::process::id().to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("run {}", binary.display()))?;
        let stdout = child.stdout.take().context("the testbed has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            bail!("the testbed did not come up ({})", child.wait()?);
        }
        let ready = serde_json::from_str(&line).with_context(|| format!("the testbed said {line}"))?;
        Ok(Self {
            binary: binary.to_owned(),
            manifests: manifests.to_owned(),
            child,
            ready,
        })
    }

    /// Runs kubectl as the administrator. It must succeed; returns what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        process::text_of(Command::new(&self.ready.kubectl).args(arguments), "")
    }

    /// Runs kubectl with an object on its standard input. It may fail.
    pub fn ask(&self, arguments: &[&str], input: &str) -> Result<Output> {
        process::to_its_end(Command::new(&self.ready.kubectl).args(arguments), input)
    }

    /// `testbed COMMAND` for this testbed.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut testbed = Command::new(&self.binary);
        testbed
            .args([command, "--dir"])
            .arg(&self.ready.dir)
            .args(arguments);
        process::text_of(&mut testbed, "")
    }

    /// Installs Junban as the README says, but not the controller's Deployment: the checks run the controller as a
    /// process.
    pub fn install(&self) -> Result<()> {
        self.apply_crds()?;
        self.apply(&[
            "junban/10-namespace.yaml",
            "junban/20-account.yaml",
            "junban/21-force.yaml",
            "junban/22-people.yaml",
            "junban/30-admission.yaml",
            "defaults",
        ])
    }

    /// Applies the CRDs and waits until the API server serves them.
    pub fn apply_crds(&self) -> Result<()> {
        self.apply(&["crds"])?;
        let selector = "app.kubernetes.io/name=junban";
        let condition = "--for=condition=Established";
        self.kubectl(&["wait", condition, "--timeout=60s", "crd", "-l", selector])?;
        Ok(())
    }

    /// Applies files or folders of `manifests/` one after the other. A warning of the API server (pod security, an
    /// unknown field) is an error.
    pub fn apply(&self, parts: &[&str]) -> Result<()> {
        for part in parts {
            let mut kubectl = Command::new(&self.ready.kubectl);
            kubectl
                .args(["apply", "--server-side", "-f"])
                .arg(self.manifests.join(part));
            let output = process::successful(&mut kubectl, "")?;
            let warnings = String::from_utf8_lossy(&output.stderr);
            if warnings.contains("Warning") {
                bail!("applying {part}: {warnings}");
            }
        }
        Ok(())
    }

    /// Applies objects and takes over the fields that somebody else has set.
    pub fn apply_objects(&self, objects: &Value) -> Result<()> {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let mut kubectl = Command::new(&self.ready.kubectl);
        process::successful(kubectl.args(arguments), &objects.to_string()).map(drop)
    }

    /// Merges `patch` into an object.
    pub fn merge(&self, kind: &str, name: &str, patch: &Value) -> Result<()> {
        self.kubectl(&["patch", kind, name, "--type", "merge", "-p", &patch.to_string()])
            .map(drop)
    }

    /// A kubeconfig that `testbed kubeconfig` makes. The same arguments give the same file.
    pub fn kubeconfig(&self, arguments: &[&str]) -> Result<PathBuf> {
        let name = arguments.join("-").replace('/', "-");
        let name = format!("{}.kubeconfig", name.trim_start_matches('-'));
        if self.path(&name).exists() {
            return Ok(self.path(&name));
        }
        self.file(&name, &self.command("kubeconfig", arguments)?)
    }

    /// Writes a file that is removed with the testbed.
    pub fn file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// The path of a file that is removed with the testbed.
    pub fn path(&self, name: &str) -> PathBuf {
        self.ready.dir.join(name)
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        // `down` gives the testbed the time to remove its directory. Without `down` it ends with this process.
        match Command::new(&self.binary)
            .args(["down", "--dir"])
            .arg(&self.ready.dir)
            .stdout(Stdio::null())
            .spawn()
        {
            Ok(mut down) => {
                // Wait for the testbed first: `down` waits until its process is gone, and an ended child stays until
                // its parent has waited for it.
                let _ = self.child.wait();
                let _ = down.wait();
            }
            Err(_) => {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}
