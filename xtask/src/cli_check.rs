//! `cargo xtask cli-check`: the verbs of the command line and bad input, against a real API server, with a real
//! controller under its own account. Asserts exit codes, what is said, and that nothing else happens.

mod steps;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Result, bail};
use junban_testbed::Testbed;
use junban_testbed::junban::{self, Controller};
use junban_testbed::process::to_its_end;

use crate::bed;

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<()> {
    let mut check = Check {
        program: bed::junban(&[])?,
        controller: None,
        bed: bed::up(&["--nodes=2"], Stdio::null())?,
        passed: 0,
        failed: Vec::new(),
    };
    steps::all(&mut check)?;
    let (passed, failed) = (check.passed, check.failed.len());
    // In the words of Rust's test runner, which `cargo xtask test` counts.
    let word = if failed == 0 { "ok" } else { "FAILED" };
    check.say(&format!("test result: {word}. {passed} passed; {failed} failed"))?;
    if failed > 0 {
        bail!("failed: {}", check.failed.join("; "));
    }
    Ok(())
}

/// Counts what held and what did not.
struct Check {
    program: PathBuf,
    /// Before the testbed: the fields are dropped in this order.
    controller: Option<Controller>,
    bed: Testbed,
    passed: usize,
    failed: Vec<String>,
}

/// What a command is to do.
struct Expect<'a> {
    exit: i32,
    /// Each must stand in stdout or stderr.
    says: &'a [&'a str],
}

fn done<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 0, says }
}

fn failed<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 1, says }
}

fn usage<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 2, says }
}

fn blocked<'a>(says: &'a [&'a str]) -> Expect<'a> {
    Expect { exit: 3, says }
}

impl Check {
    /// Runs `junban ARGUMENTS` as the administrator.
    fn junban(&mut self, arguments: &[&str], expect: &Expect<'_>) -> Result<Output> {
        let kubeconfig = self.bed.ready.kubeconfig.clone();
        self.junban_with(&kubeconfig, arguments, expect)
    }

    /// The same with another kubeconfig.
    fn junban_with(&mut self, kubeconfig: &Path, arguments: &[&str], expect: &Expect<'_>) -> Result<Output> {
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

    fn start_controller(&mut self) -> Result<()> {
        let log = self.bed.path("controller.log");
        self.controller = Some(Controller::start(&self.program, &self.bed, &log)?);
        Ok(())
    }

    /// Something that must hold besides.
    fn holds(&mut self, what: &str, is: bool) -> Result<()> {
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
