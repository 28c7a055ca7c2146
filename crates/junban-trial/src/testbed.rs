//! The testbed of one run with Junban on it, the logs of the run, and the programs that talk to the testbed.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use junban_testbed::junban::{self, Controller};
use junban_testbed::process;
use serde_json::{Value, json};

/// The annotations by which a pod tells the testbed how it behaves begin with this.
pub(crate) const ANNOTATION: &str = "testbed.junban.dev/";

/// A running testbed. It ends when this value is dropped.
pub(crate) struct Testbed {
    bed: junban_testbed::Testbed,
    pub(crate) junban: PathBuf,
    /// The folder for the logs.
    pub(crate) logs: PathBuf,
}

impl Deref for Testbed {
    type Target = junban_testbed::Testbed;

    fn deref(&self) -> &junban_testbed::Testbed {
        &self.bed
    }
}

impl Testbed {
    /// Starts the testbed `binary` with `flags` of `testbed up`, and installs Junban's `manifests`.
    pub(crate) fn up(binary: &Path, manifests: &Path, program: &Path, flags: &[String]) -> Result<Self> {
        let logs = logs_folder();
        fs::create_dir_all(&logs)?;
        // Run a copy: somebody may build the program again during the run.
        let junban = logs.join("junban");
        fs::copy(program, &junban).with_context(|| format!("copy {}", program.display()))?;
        let log = logs.join("testbed.log");
        let bed = junban_testbed::Testbed::up(binary, manifests, flags, fs::File::create(&log)?)
            .with_context(|| format!("{} may say why", log.display()))?;
        bed.install()?;
        Ok(Self { bed, junban, logs })
    }

    /// `kubectl get` of an object or of a list.
    pub(crate) fn get(&self, what: &[&str]) -> Result<Value> {
        let text = self.kubectl(&[&["get", "-o", "json"], what].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// `kubectl patch` of an object. `form` is `merge` or `json`.
    pub(crate) fn patch(&self, form: &str, object: &[&str], patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        let arguments = ["patch", "--type", form, "-p", &patch];
        self.kubectl(&[&arguments, object].concat()).map(drop)
    }

    /// Applies objects, those fields included that somebody else has set.
    pub(crate) fn apply_all(&self, objects: &[Value]) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        self.apply_objects(&json!({"apiVersion": "v1", "kind": "List", "items": objects}))
    }

    /// `junban` as the administrator calls it.
    pub(crate) fn command_of_a_person(&self, arguments: &[&str]) -> Command {
        junban::command(&self.junban, &self.ready.kubeconfig, arguments)
    }

    /// `junban` as the administrator calls it. It may fail.
    pub(crate) fn try_junban(&self, arguments: &[&str]) -> Result<Output> {
        process::to_its_end(&mut self.command_of_a_person(arguments), "")
    }

    /// `junban` as the administrator calls it. It must succeed.
    pub(crate) fn junban(&self, arguments: &[&str]) -> Result<Output> {
        process::successful(&mut self.command_of_a_person(arguments), "")
    }

    /// What `junban explain` says of a node.
    pub(crate) fn explain(&self, node: &str) -> Result<String> {
        let said = self.try_junban(&["explain", node])?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    pub(crate) fn controller(&self) -> Result<Controller> {
        Controller::start(&self.junban, self, &self.logs.join("controller.log"))
    }

    /// Returns the folder of the logs. Removes it unless `keep` says that somebody needs it.
    pub(crate) fn keep_logs(&self, keep: bool) -> PathBuf {
        if keep {
            for log in self.ready.audit_logs.iter().chain([&self.ready.power_log]) {
                let name = log.file_name().unwrap_or_default();
                drop(fs::copy(log, self.logs.join(name)));
            }
            drop(fs::remove_file(&self.junban));
        } else {
            drop(fs::remove_dir_all(&self.logs));
        }
        self.logs.clone()
    }
}

/// Every run has a folder of its own: a good run removes its logs and must leave those of a failed run.
fn logs_folder() -> PathBuf {
    static RUNS: AtomicU32 = AtomicU32::new(1);
    let run = RUNS.fetch_add(1, Ordering::SeqCst);
    std::env::temp_dir().join(format!("junban-run-{}-{run}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_runs_of_a_process_share_their_logs() {
        assert_ne!(logs_folder(), logs_folder());
    }
}
