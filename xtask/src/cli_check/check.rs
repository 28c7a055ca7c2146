//! Runs commands and counts which of them did what they should.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

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

/// What a command must do.
pub(super) struct Expect<'a> {
    exit: i32,
    /// Texts that must all stand in stdout or stderr.
    says: &'a [&'a str],
}

pub(super) fn done<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 0, says }
}

pub(super) fn failed<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 1, says }
}

pub(super) fn usage<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 2, says }
}

pub(super) fn blocked<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 3, says }
}

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

    /// Runs `junban ARGUMENTS` as the administrator.
    pub(super) fn junban(&mut self, arguments: &[&str], expect: &Expect<'_>) -> Result<Output> {
        let kubeconfig = self.bed.ready.kubeconfig.clone();
        self.junban_with(&kubeconfig, arguments, expect)
    }

    /// Runs `junban ARGUMENTS` with another kubeconfig.
    pub(super) fn junban_with(
        &mut self,
        kubeconfig: &Path,
        arguments: &[&str],
        expect: &Expect<'_>,
    ) -> Result<Output> {
        let mut command = junban::command(&self.program, kubeconfig, arguments);
        let output = to_its_end(&mut command, "")?;
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let mut wrong = Vec::new();
        if output.status.code() != Some(expect.exit) {
            wrong.push(format!(
                "exit {:?} instead of {}",
                output.status.code(),
                expect.exit
            ));
        }
        for word in expect.says {
            if !stdout.contains(word) && !stderr.contains(word) {
                wrong.push(format!("does not say {word:?}"));
            }
        }
        let last = stderr.trim_end().lines().last().unwrap_or_default();
        if expect.exit != 0 && !last.starts_with("hint: ") {
            wrong.push(format!("ends without a hint: {last:?}"));
        }
        if stderr.contains("panicked") {
            wrong.push("panicked".to_owned());
        }
        let what = format!("junban {}", arguments.join(" "));
        let shown = if wrong.is_empty() {
            String::new()
        } else {
            format!("\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
        };
        self.note(&what, &wrong, &shown)?;
        Ok(output)
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

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
