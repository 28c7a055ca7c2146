//! The testbed of one run, and the programs that talk to it.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use junban_testbed::{ACCOUNT, Ready, junban, process};
use serde_json::{Value, json};

use super::options::Options;
use crate::scenario::model::{Scenario, Span};

/// The annotations by which a pod tells the testbed how it behaves begin with this.
pub(super) const ANNOTATION: &str = "testbed.junban.dev/";

/// A running testbed. It ends when this value is dropped.
pub(super) struct Testbed {
    bed: junban_testbed::Testbed,
    junban: PathBuf,
    pub(super) manifests: PathBuf,
    /// The folder for the logs of the controllers.
    pub(super) logs: PathBuf,
}

impl Testbed {
    /// Starts a testbed with the machines of the scenario, and installs Junban.
    pub(super) fn up(scenario: &Scenario, options: &Options) -> Result<Self> {
        let nodes = &scenario.nodes;
        let seconds = |span: Span| format!("{}..{}", span.from.as_secs_f64(), span.to.as_secs_f64());
        let mut flags = vec![
            format!("--nodes={}", nodes.workers),
            format!("--control-planes={}", nodes.control_planes),
            format!("--boot-seconds={}", seconds(nodes.boot)),
            format!("--seed={}", options.seed),
        ];
        if nodes.control_planes > 1 {
            // An etcd member that goes away costs its API server seconds. A real cluster waits 50 s.
            flags.push("--monitor-grace-seconds=25".to_owned());
        }
        if let Some(cpu) = &nodes.cpu {
            flags.push(format!("--node-cpu={}", cpu.text));
        }
        if let Some(memory) = &nodes.memory {
            flags.push(format!("--node-memory={}", memory.text));
        }
        let (binary, manifests) = (&options.testbed, &options.manifests);
        let bed = junban_testbed::Testbed::up(binary, manifests, &flags, Stdio::inherit())?;
        bed.install()?;
        let logs = logs_folder();
        std::fs::create_dir_all(&logs)?;
        Ok(Self {
            bed,
            junban: options.junban.clone(),
            manifests: options.manifests.clone(),
            logs,
        })
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.bed.ready
    }

    /// Runs kubectl as the administrator. It must succeed; returns what it printed.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.bed.kubectl(arguments)
    }

    /// `kubectl get` of an object or of a list.
    pub(super) fn get(&self, what: &[&str]) -> Result<Value> {
        let text = self.kubectl(&[&["get", "-o", "json"], what].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// `kubectl patch` of an object. `form` is `merge` or `json`.
    pub(super) fn patch(&self, form: &str, object: &[&str], patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        let arguments = ["patch", "--type", form, "-p", &patch];
        self.kubectl(&[&arguments, object].concat()).map(drop)
    }

    /// Applies objects, those fields included that somebody else has set.
    pub(super) fn apply(&self, objects: &[Value]) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.bed.apply_objects(&list)
    }

    /// `testbed COMMAND`, for machines and the proxy.
    pub(super) fn command(&self, command: &str, arguments: &[&str]) -> Result<()> {
        self.bed.command(command, arguments).map(drop)
    }

    /// `junban` as the administrator calls it.
    pub(super) fn junban(&self, arguments: &[&str]) -> Result<()> {
        let mut command = junban::command(&self.junban, &self.ready().kubeconfig, arguments);
        process::successful(&mut command, "").map(drop)
    }

    /// A kubeconfig of the controller's ServiceAccount. With a proxy in between, the controllers can be cut off.
    pub(super) fn account_kubeconfig(&self, with_proxy: bool) -> Result<PathBuf> {
        let mut arguments = vec!["--service-account", ACCOUNT];
        arguments.extend(with_proxy.then_some("--proxy"));
        self.bed.kubeconfig(&arguments)
    }

    /// Returns the folder of the logs. Removes it unless `keep` says that somebody needs it.
    pub(super) fn keep_logs(&self, keep: bool) -> PathBuf {
        if keep {
            drop(std::fs::copy(
                &self.ready().power_log,
                self.logs.join("power.log"),
            ));
        } else {
            drop(std::fs::remove_dir_all(&self.logs));
        }
        self.logs.clone()
    }
}

/// Every run has a folder of its own: a good run removes its logs and must leave those of a failed run.
fn logs_folder() -> PathBuf {
    static RUNS: AtomicU32 = AtomicU32::new(1);
    let run = RUNS.fetch_add(1, Ordering::SeqCst);
    std::env::temp_dir().join(format!("junban-scenario-{}-{run}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_runs_of_a_process_share_their_logs() {
        assert_ne!(logs_folder(), logs_folder());
    }
}
