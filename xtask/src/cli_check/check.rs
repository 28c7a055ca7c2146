//! Runs commands and counts which of them did what they should.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, bail};

use junban_testbed::Testbed;
use junban_testbed::junban::{self, Controller};
use junban_testbed::process::to_its_end;

use crate::bed;

pub(super) struct Check {
    program: PathBuf,
    /// Stands before the testbed because fields are dropped in this order: the controller ends first.
    controller: Option<Controller>,
    pub(super) bed: Testbed,
    passed: usize,
    failed: Vec<String>,
}

/// The exit codes of `junban`.
pub(super) const DONE: i32 = 0;
pub(super) const FAILED: i32 = 1;
pub(super) const USAGE: i32 = 2;
pub(super) const BLOCKED: i32 = 3;

impl Check {
    pub(super) fn start() -> Result<Self> {
        Ok(Self {
            program: bed::junban(&[])?,
            controller: None,
            bed: bed::up(&["--nodes=2"], Stdio::null())?,
            passed: 0,
            failed: Vec::new(),
        })
    }

    pub(super) fn report(&self) -> Result<()> {
        let (passed, failed) = (self.passed, self.failed.len());
        // `cargo xtask test` counts this line: it is worded like that of Rust's test runner.
        let word = if failed == 0 { "ok" } else { "FAILED" };
        self.say(&format!("test result: {word}. {passed} passed; {failed} failed"))?;
        if failed > 0 {
            bail!("failed: {}", self.failed.join("; "));
        }
        Ok(())
    }

    /// Writes a file, and returns its path.
    pub(super) fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.bed.file(name, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Runs `kubectl ARGUMENTS` as the administrator. It must succeed; returns what it printed.
    pub(super) fn kubectl(&self, arguments: &str) -> Result<String> {
        self.bed.kubectl(&words(arguments))
    }

    /// Runs `junban ARGUMENTS` as the administrator. It must end with this exit code, and stdout or stderr must have each
    /// of the texts.
    pub(super) fn junban(&mut self, arguments: &str, exit: i32, says: &[&str]) -> Result<()> {
        let kubeconfig = self.bed.ready.kubeconfig.clone();
        self.junban_with(&kubeconfig, arguments, exit, says)
    }

    /// Runs `junban ARGUMENTS` with another kubeconfig.
    pub(super) fn junban_with(
        &mut self,
        kubeconfig: &Path,
        arguments: &str,
        exit: i32,
        says: &[&str],
    ) -> Result<()> {
        self.run(kubeconfig, arguments, exit, says).map(drop)
    }

    /// Runs `junban ARGUMENTS` as the administrator. It must succeed; returns its stdout.
    pub(super) fn output_of(&mut self, arguments: &str) -> Result<String> {
        let kubeconfig = self.bed.ready.kubeconfig.clone();
        self.run(&kubeconfig, arguments, DONE, &[])
    }

    fn run(&mut self, kubeconfig: &Path, arguments: &str, exit: i32, says: &[&str]) -> Result<String> {
        let mut command = junban::command(&self.program, kubeconfig, &words(arguments));
        let output = to_its_end(&mut command, "")?;
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let mut wrong = Vec::new();
        let code = output.status.code();
        if code != Some(exit) {
            wrong.push(format!("exit {code:?} instead of {exit}"));
        }
        for word in says {
            if !stdout.contains(word) && !stderr.contains(word) {
                wrong.push(format!("does not say {word:?}"));
            }
        }
        let last = stderr.trim_end().lines().last().unwrap_or_default();
        if exit != 0 && !last.starts_with("hint: ") {
            wrong.push(format!("ends without a hint: {last:?}"));
        }
        if stderr.contains("panicked") {
            wrong.push("panicked".to_owned());
        }
        let what = format!("junban {arguments}");
        let shown = if wrong.is_empty() {
            String::new()
        } else {
            format!("\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
        };
        self.note(&what, &wrong, &shown)?;
        Ok(stdout)
    }

    pub(super) fn start_controller(&mut self) -> Result<()> {
        let log = self.bed.path("controller.log");
        self.controller = Some(Controller::start(&self.program, &self.bed, &log)?);
        Ok(())
    }

    /// Counts something else that must hold.
    pub(super) fn holds(&mut self, what: &str, is: bool) -> Result<()> {
        let wrong = if is {
            Vec::new()
        } else {
            vec!["does not hold".to_owned()]
        };
        self.note(what, &wrong, "")
    }

    fn note(&mut self, what: &str, wrong: &[String], shown: &str) -> Result<()> {
        if wrong.is_empty() {
            self.passed += 1;
            return self.say(&format!("ok      {what}"));
        }
        let line = format!("{what}: {}", wrong.join(", "));
        self.say(&format!("FAILED  {line}{shown}"))?;
        self.failed.push(line);
        Ok(())
    }

    fn say(&self, line: &str) -> Result<()> {
        writeln!(std::io::stdout(), "{line}")?;
        Ok(())
    }
}

/// The words of a command line. A word in single quotes may have spaces, or be empty.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_quoted_word_keeps_its_spaces() {
        let found = words("pause --reason 'change freeze' -l ''");
        assert_eq!(found, ["pause", "--reason", "change freeze", "-l", ""]);
    }
}
