//! The testbed as a child process, and the programs that talk to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use serde_json::Value;

use super::{Options, Trouble};
use crate::scenario::model::{Scenario, Span};

/// What the testbed says when it is up (`testbed/README.md`).
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    pub(super) dir: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) kubectl: String,
    #[serde(rename = "apiServers")]
    pub(super) api_servers: Vec<String>,
    pub(super) etcd: Etcd,
    pub(super) power_log: PathBuf,
    pub(super) power_command: Vec<String>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Etcd {
    pub(super) health: Vec<String>,
}

/// A running testbed; it ends when this is dropped.
pub(super) struct Testbed {
    pub(super) info: Info,
    program: PathBuf,
    child: Child,
    /// Logs of the controllers and of people's commands.
    pub(super) logs: PathBuf,
}

impl Testbed {
    pub(super) fn up(scenario: &Scenario, options: &Options) -> Result<Self, Trouble> {
        let nodes = &scenario.nodes;
        let seconds = |span: Span| format!("{}..{}", span.from.as_secs_f64(), span.to.as_secs_f64());
        let mut command = Command::new(&options.testbed);
        command
            .args(["up", "--foreground", "--output", "json"])
            .args(["--parent", &std::process::id().to_string()])
            .args(["--nodes", &nodes.workers.to_string()])
            .args(["--control-planes", &nodes.control_planes.to_string()])
            .args(["--boot-seconds", &seconds(nodes.boot)])
            .args(["--seed", &options.seed.to_string()]);
        if nodes.control_planes > 1 {
            // An etcd member that goes away costs its API server seconds; a real cluster is patient for 50 s.
            command.args(["--monitor-grace-seconds", "25"]);
        }
        if let Some(cpu) = &nodes.cpu {
            command.args(["--node-cpu", &cpu.text]);
        }
        if let Some(memory) = &nodes.memory {
            command.args(["--node-memory", &memory.text]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let stdout = child.stdout.take().ok_or("the testbed has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let info: Info =
            serde_json::from_str(&line).map_err(|error| format!("the testbed said {line:?}: {error}"))?;
        let logs = logs_folder();
        std::fs::create_dir_all(&logs)?;
        Ok(Self {
            info,
            program: options.testbed.clone(),
            child,
            logs,
        })
    }

    /// Runs kubectl as the administrator; what it printed.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String, Trouble> {
        self.kubectl_with(arguments, None)
    }

    /// `kubectl apply` of objects.
    pub(super) fn apply(&self, objects: &[Value]) -> Result<(), Trouble> {
        if objects.is_empty() {
            return Ok(());
        }
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl_with(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            Some(&list.to_string()),
        )?;
        Ok(())
    }

    fn kubectl_with(&self, arguments: &[&str], input: Option<&str>) -> Result<String, Trouble> {
        let mut words = self.info.kubectl.split_whitespace();
        let mut command = Command::new(words.next().ok_or("the testbed names no kubectl")?);
        command.args(words).args(arguments);
        output(command, input)
    }

    /// The testbed's own commands: machines, kubeconfigs.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<String, Trouble> {
        let (verb, rest) = arguments.split_first().ok_or("which command?")?;
        let mut command = Command::new(&self.program);
        command.arg(verb).arg("--dir").arg(&self.info.dir).args(rest);
        output(command, None)
    }

    /// A kubeconfig of the controller's ServiceAccount; with a proxy between if it is to be cut off.
    pub(super) fn account_kubeconfig(&self, with_proxy: bool) -> Result<PathBuf, Trouble> {
        let account = format!(
            "{}/{}",
            junban_api::names::NAMESPACE,
            junban_api::names::SERVICE_ACCOUNT
        );
        let mut arguments = vec!["kubeconfig", "--service-account", &account];
        arguments.extend(with_proxy.then_some("--proxy"));
        let text = self.command(&arguments)?;
        let path = self.logs.join("controller.kubeconfig");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Where the logs are; they go if nobody needs them.
    pub(super) fn keep_logs(&self, keep: bool) -> PathBuf {
        if keep {
            let log = &self.info.power_log;
            drop(std::fs::copy(log, self.logs.join("power.log")));
        } else {
            drop(std::fs::remove_dir_all(&self.logs));
        }
        self.logs.clone()
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        // SIGTERM lets it remove its directory; it ends all its children itself.
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        drop(self.child.wait());
    }
}

/// Each run of a process has its own: a good one removes its logs, and must leave those of a failed one.
fn logs_folder() -> PathBuf {
    static RUNS: AtomicU32 = AtomicU32::new(1);
    let run = RUNS.fetch_add(1, Ordering::SeqCst);
    std::env::temp_dir().join(format!("junban-scenario-{}-{run}", std::process::id()))
}

/// Runs a program to its end; its output, or what it said when it failed.
pub(super) fn output(mut command: Command, input: Option<&str>) -> Result<String, Trouble> {
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(text.as_bytes())?;
    }
    let done = child.wait_with_output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let said = String::from_utf8_lossy(&done.stderr);
    let program = Path::new(command.get_program()).display();
    Err(format!("{program} {}: {}: {}", words.join(" "), done.status, said.trim()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_runs_of_a_process_share_their_logs() {
        assert_ne!(logs_folder(), logs_folder());
    }
}
