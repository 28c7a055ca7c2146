//! A testbed of its own and kubectl under several accounts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::testbed;

/// The testbed, ended when this is dropped or when this process dies.
pub(super) struct Server {
    child: Child,
    binary: PathBuf,
    dir: PathBuf,
    kubectl: String,
}

/// Whose credentials a request carries.
pub(super) enum Account<'a> {
    /// system:masters.
    Admin,
    /// A kubelet's own certificate.
    Node(&'a str),
    /// A user without groups.
    User(&'a str),
    /// NAMESPACE/NAME, by a token.
    Token(&'a str),
}

/// What kubectl said.
pub(super) struct Answer {
    pub(super) ok: bool,
    pub(super) text: String,
}

impl Answer {
    /// Its output; a refusal is an error.
    pub(super) fn require(self) -> Result<String> {
        if !self.ok {
            bail!("kubectl: {}", self.text.trim());
        }
        Ok(self.text)
    }
}

impl Server {
    pub(super) fn start() -> Result<Self> {
        let binary = testbed::binary()?;
        let mut child = Command::new(&binary)
            .args(["up", "--nodes", "1", "--foreground", "--output", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {}", binary.display()))?;
        let stdout = child.stdout.take().context("the testbed has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let up: Value = match serde_json::from_str(&line) {
            Ok(up) => up,
            Err(error) => {
                let status = child.wait()?;
                bail!("the testbed did not come up ({status}): {error}");
            }
        };
        let text = |key: &str| {
            up[key]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {key} in {line}"))
        };
        Ok(Self {
            child,
            binary,
            dir: PathBuf::from(text("dir")?),
            kubectl: text("kubectl")?,
        })
    }

    /// Applies folders in turn; a warning of the server (pod security, a field that it does not know) is an error.
    pub(super) fn apply(&self, folders: &[PathBuf]) -> Result<()> {
        for folder in folders {
            let path = folder.to_string_lossy();
            let text = self.admin(&["apply", "--server-side", "-f", &path])?.require()?;
            if text.contains("Warning") {
                bail!("applying {path}: {text}");
            }
        }
        Ok(())
    }

    pub(super) fn wait_for_crds(&self) -> Result<()> {
        let selector = "app.kubernetes.io/name=junban";
        let condition = "--for=condition=Established";
        self.admin(&["wait", condition, "--timeout=60s", "crd", "-l", selector])?
            .require()?;
        Ok(())
    }

    pub(super) fn admin(&self, arguments: &[&str]) -> Result<Answer> {
        self.kubectl(&[], arguments, None)
    }

    /// kubectl with an object on its standard input.
    pub(super) fn admin_with(&self, arguments: &[&str], input: &str) -> Result<Answer> {
        self.kubectl(&[], arguments, Some(input))
    }

    /// kubectl under an account's own credentials.
    pub(super) fn by(
        &self,
        account: &Account<'_>,
        arguments: &[&str],
        input: Option<&str>,
    ) -> Result<Answer> {
        let kubeconfig = self.kubeconfig(account)?;
        let flag = kubeconfig.to_string_lossy().into_owned();
        self.kubectl(&["--kubeconfig", &flag], arguments, input)
    }

    fn kubectl(&self, flags: &[&str], arguments: &[&str], input: Option<&str>) -> Result<Answer> {
        let mut child = Command::new(&self.kubectl)
            .args(arguments)
            .args(flags)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {}", self.kubectl))?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // kubectl may refuse before it has read everything.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Answer {
            ok: output.status.success(),
            text,
        })
    }

    fn kubeconfig(&self, account: &Account<'_>) -> Result<PathBuf> {
        let (flag, name) = match account {
            Account::Admin => return Ok(self.dir.join("admin.kubeconfig")),
            Account::Node(name) => ("--node", name),
            Account::User(name) => ("--user", name),
            Account::Token(name) => ("--service-account", name),
        };
        let path = self.dir.join(format!("{}.kubeconfig", name.replace('/', "-")));
        if !path.exists() {
            let dir = self.dir.to_string_lossy();
            let made = Command::new(&self.binary)
                .args(["kubeconfig", "--dir", &dir, flag, name])
                .output()?;
            if !made.status.success() {
                bail!(
                    "kubeconfig of {name}: {}",
                    String::from_utf8_lossy(&made.stderr).trim()
                );
            }
            write(&path, &made.stdout)?;
        }
        Ok(path)
    }
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

impl Drop for Server {
    fn drop(&mut self) {
        // `down` lets it remove its directory; if that fails it ends with this process all the same.
        let dir = self.dir.to_string_lossy().into_owned();
        match Command::new(&self.binary)
            .args(["down", "--dir", &dir])
            .stdout(Stdio::null())
            .spawn()
        {
            Ok(mut down) => {
                // First this one: `down` waits until nothing of it is left, and a child that nobody waits for is.
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
