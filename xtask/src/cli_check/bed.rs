//! The testbed, the program under test, and the controller beside it. All of it ends with this process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::testbed;

/// A command that talks to one small cluster and does not end by then hangs.
const PATIENCE: Duration = Duration::from_secs(240);

pub(super) struct Bed {
    junban: PathBuf,
    manifests: PathBuf,
    testbed: PathBuf,
    up: Child,
    ready: Ready,
    controller: Option<Child>,
    pub(super) admin: PathBuf,
    /// For files of this check; inside the testbed's own directory, which it removes.
    scratch: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    dir: PathBuf,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    server: String,
    power_log: PathBuf,
    power_command: Vec<String>,
}

impl Bed {
    pub(super) fn up() -> Result<Self> {
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
        let root = Path::new(&xtask).join("..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "-p", "junban"])
            .current_dir(&root)
            .status()?;
        if !built.success() {
            bail!("junban does not build");
        }
        let junban = std::env::current_exe()?.with_file_name("junban");
        let testbed = testbed::binary()?;
        let mut up = Command::new(&testbed)
            .args(["up", "--foreground", "--nodes", "2", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start the testbed")?;
        let mut line = String::new();
        let stdout = up.stdout.take().context("the testbed's stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: Ready = serde_json::from_str(&line).context("the testbed did not come up")?;
        let scratch = ready.dir.join("cli-check");
        fs::create_dir_all(&scratch)?;
        Ok(Self {
            junban,
            manifests: root.join("manifests"),
            testbed,
            up,
            admin: ready.kubeconfig.clone(),
            ready,
            controller: None,
            scratch,
        })
    }

    pub(super) fn junban(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.junban);
        command
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("NO_COLOR", "1");
        to_its_end(command)
    }

    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.ready.kubectl);
        command.args(arguments);
        let output = to_its_end(command)?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Applies files or folders of `manifests/`.
    pub(super) fn apply(&self, parts: &[&str]) -> Result<()> {
        for part in parts {
            let path = self.manifests.join(part);
            self.kubectl(&["apply", "--server-side", "-f", &path.to_string_lossy()])?;
        }
        Ok(())
    }

    pub(super) fn merge(&self, kind: &str, name: &str, patch: &serde_json::Value) -> Result<()> {
        self.kubectl(&["patch", kind, name, "--type", "merge", "-p", &patch.to_string()])
            .map(drop)
    }

    pub(super) fn file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        fs::write(&path, content)?;
        Ok(path)
    }

    /// A kubeconfig as `testbed kubeconfig` makes it.
    pub(super) fn kubeconfig(&self, name: &str, arguments: &[&str]) -> Result<PathBuf> {
        let text = self.testbed(&[&["kubeconfig"], arguments].concat())?;
        self.file(name, &text)
    }

    /// The administrator's, with another address.
    pub(super) fn kubeconfig_at(&self, name: &str, server: &str) -> Result<PathBuf> {
        let text = fs::read_to_string(&self.admin)?.replace(&self.ready.server, server);
        self.file(name, &text)
    }

    pub(super) fn testbed(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.testbed);
        command
            .arg(arguments[0])
            .arg("--dir")
            .arg(&self.ready.dir)
            .args(&arguments[1..]);
        let output = to_its_end(command)?;
        if !output.status.success() {
            bail!(
                "testbed {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(super) fn power_command(&self) -> &[String] {
        &self.ready.power_command
    }

    /// Lines of the power log: the truth about power.
    pub(super) fn power_actions(&self) -> usize {
        fs::read_to_string(&self.ready.power_log).map_or(0, |log| log.lines().count())
    }

    /// Starts `junban controller` under its ServiceAccount's token.
    pub(super) fn start_controller(&mut self) -> Result<()> {
        let account = self.kubeconfig("controller.kubeconfig", &["--service-account", "junban/junban"])?;
        let log = fs::File::create(self.scratch.join("controller.log"))?;
        // Where util-linux is there the kernel ends it with this process, also when that is killed.
        let mut command = match Command::new("setpriv").arg("--version").output() {
            Ok(output) if output.status.success() => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.junban);
                command
            }
            _ => Command::new(&self.junban),
        };
        let child = command
            .args(["controller", "--kubeconfig"])
            .arg(account)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start the controller")?;
        self.controller = Some(child);
        Ok(())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(controller) = &mut self.controller {
            let _ = controller.kill();
            let _ = controller.wait();
        }
        let mut down = Command::new(&self.testbed);
        down.arg("down").arg("--dir").arg(&self.ready.dir);
        let _ = down.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = self.up.wait();
    }
}

/// Runs a command to its end; one that hangs is killed and reported.
fn to_its_end(mut command: Command) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let begun = Instant::now();
    // Each answer is far smaller than a pipe holds.
    while child.try_wait()?.is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            bail!("{command:?} does not end within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child.wait_with_output()?)
}
