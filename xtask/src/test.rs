//! `cargo xtask test`: everything, on a machine that has Rust and Go, with the number of passed and failed at its
//! end. A part that cannot run says so loudly and counts as failed: nothing is skipped in silence.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use junban_testbed::process::tied;

use crate::cargo::as_from_a_shell;
use crate::tidy;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only parts whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Leave out what needs the real control plane (says so at the end)
    #[arg(long)]
    without_real: bool,
}

/// One part: a name, what it needs, and a command.
struct Part {
    name: &'static str,
    command: &'static [&'static str],
    /// Brings up the testbed.
    real: bool,
    /// Runs beside its neighbours: it waits for machines that boot more than it works.
    beside: bool,
}

const fn part(name: &'static str, command: &'static [&'static str]) -> Part {
    Part {
        name,
        command,
        real: false,
        beside: false,
    }
}

const fn real(name: &'static str, command: &'static [&'static str]) -> Part {
    Part {
        name,
        command,
        real: true,
        beside: false,
    }
}

const fn beside(name: &'static str, command: &'static [&'static str]) -> Part {
    Part {
        beside: true,
        ..real(name, command)
    }
}

/// Parts at a time, of those that run beside each other: a testbed keeps about one core busy.
const AT_ONCE: usize = 2;

/// In the order in which a mistake is found soonest.
const PARTS: &[Part] = &[
    part("format", &["cargo", "fmt", "--all", "--check"]),
    part("tidy", &["cargo", "xtask", "tidy"]),
    part(
        "lints",
        &[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
    ),
    part(
        "tests",
        &["cargo", "test", "--workspace", "--locked", "--no-fail-fast"],
    ),
    part(
        "alerts",
        &["promtool", "test", "rules", "manifests/alerts_test.yaml"],
    ),
    part("go format", &["gofmt", "-d", "testbed"]),
    // What links nothing of Kubernetes, with the flags of the testbed's own build: so one cache serves both.
    part(
        "go tests",
        &[
            "env",
            "CGO_ENABLED=0",
            "go",
            "-C",
            "testbed",
            "test",
            "-trimpath",
            "./internal/...",
            "./cmd/...",
        ],
    ),
    // Vet looks at all that a package uses: of what links Kubernetes that would be minutes.
    part(
        "go lints",
        &[
            "env",
            "CGO_ENABLED=0",
            "go",
            "-C",
            "testbed",
            "vet",
            "-trimpath",
            "./internal/...",
            "./cmd/...",
        ],
    ),
    real("testbed", &["cargo", "xtask", "testbed", "check"]),
    // Its figures are times: nothing runs beside it.
    real(
        "rehearsal",
        &[
            "cargo",
            "xtask",
            "rehearsal",
            "--nodes",
            "5",
            "--control-planes",
            "1",
            "--pods",
            "40",
            "--minutes",
            "5",
        ],
    ),
    // The longest first.
    beside(
        "scenarios",
        &[
            "cargo",
            "xtask",
            "scenario",
            "--world",
            "real",
            "tests/scenarios/three_control_planes.txt",
            "tests/scenarios/kill_in_rebooting.txt",
            "tests/scenarios/pause_in_draining.txt",
            "tests/scenarios/budget_of_one.txt",
        ],
    ),
    beside(
        "more scenarios",
        &[
            "cargo",
            "xtask",
            "scenario",
            "--world",
            "real",
            "tests/scenarios/freeze_in_rebooting.txt",
            "tests/scenarios/pinned_pods_one_after_the_other.txt",
            "tests/scenarios/impossible_budget.txt",
            "tests/scenarios/volume_is_detached_first.txt",
        ],
    ),
    beside("command line", &["cargo", "xtask", "cli-check"]),
    beside("api", &["cargo", "xtask", "api-check"]),
    beside(
        "ports",
        &[
            "cargo",
            "test",
            "--locked",
            "-p",
            "junban-kube",
            "--test",
            "real",
            "--",
            "--ignored",
        ],
    ),
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut tally = Tally::default();
    let (left_out, parts): (Vec<&Part>, Vec<&Part>) = wanted(args.only.as_deref().unwrap_or_default())?
        .into_iter()
        .partition(|part| part.real && args.without_real);
    for part in left_out {
        say(&format!(
            "NOT RUN: {}: it needs the real control plane, and --without-real was given",
            part.name
        ))?;
        tally.left_out.push(part.name);
    }
    run_all(&parts, &mut tally)?;
    tally.close()
}

/// The parts whose name contains `word`.
fn wanted(word: &str) -> Result<Vec<&'static Part>> {
    let parts: Vec<&Part> = PARTS.iter().filter(|part| part.name.contains(word)).collect();
    if parts.is_empty() {
        let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        bail!("no part is named {word:?}; there are: {}", names.join(", "));
    }
    Ok(parts)
}

fn run_all(parts: &[&Part], tally: &mut Tally) -> Result<()> {
    for neighbours in parts.chunk_by(|one, next| one.beside && next.beside) {
        for (part, ended) in side_by_side(neighbours) {
            tally.count(part, ended)?;
        }
    }
    Ok(())
}

/// Runs parts, [`AT_ONCE`] at a time; a single one has the output for itself.
fn side_by_side<'a>(parts: &[&'a Part]) -> Vec<(&'a Part, Result<Ended>)> {
    let next = AtomicUsize::new(0);
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(parts.len()) {
            scope.spawn(|| {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = part.run(parts.len() > 1);
                    ended
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((*part, result));
                }
            });
        }
    });
    ended.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What came of a part.
struct Ended {
    passed: usize,
    failed: usize,
    good: bool,
}

impl Part {
    /// Runs it and passes its output on; beside others, with its name before each line. Test runners count each of
    /// their tests, other parts count one.
    fn run(&self, named: bool) -> Result<Ended> {
        say(&format!("== {}: {}", self.name, self.command.join(" ")))?;
        let begun = Instant::now();
        let root = tidy::root()?;
        let mut command = tied(Path::new(self.command[0]));
        as_from_a_shell(&mut command);
        let mut child = command
            .args(&self.command[1..])
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot run: is {} installed?", self.name, self.command[0]))?;
        let (mut passed, mut failed) = (0, 0);
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                let line = line?;
                if let Some((of_line_passed, of_line_failed)) = counts(&line) {
                    passed += of_line_passed;
                    failed += of_line_failed;
                }
                match named {
                    true => say(&format!("{} | {line}", self.name))?,
                    false => say(&line)?,
                }
            }
        }
        let good = child.wait()?.success();
        if !good && failed == 0 {
            failed = 1;
        }
        if good && passed == 0 {
            passed = 1;
        }
        let word = if good { "ok" } else { "FAILED" };
        say(&format!(
            "== {}: {word}, {passed} passed, {failed} failed, {:.0} s",
            self.name,
            begun.elapsed().as_secs_f64()
        ))?;
        Ok(Ended { passed, failed, good })
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    broken: Vec<&'static str>,
    left_out: Vec<&'static str>,
}

impl Tally {
    /// What cannot run has failed, and the others go on.
    fn count(&mut self, part: &Part, ended: Result<Ended>) -> Result<()> {
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                say(&format!("== {}: FAILED: {error:#}", part.name))?;
                Ended {
                    passed: 0,
                    failed: 1,
                    good: false,
                }
            }
        };
        self.passed += ended.passed;
        self.failed += ended.failed;
        if !ended.good {
            self.broken.push(part.name);
        }
        Ok(())
    }

    fn close(&self) -> Result<()> {
        if !self.left_out.is_empty() {
            say(&format!("NOT RUN on request: {}", self.left_out.join(", ")))?;
        }
        if !self.broken.is_empty() {
            say(&format!("FAILED: {}", self.broken.join(", ")))?;
        }
        say(&format!("{} passed, {} failed", self.passed, self.failed))?;
        if self.failed > 0 {
            bail!("{} failed", self.failed);
        }
        Ok(())
    }
}

/// What the closing line of a test runner says: `test result: ok. 3 passed; 0 failed; ...` of cargo's, or
/// `3 passed, 0 failed` of ours, where one word with a colon may stand before it.
fn counts(line: &str) -> Option<(usize, usize)> {
    let number_before =
        |text: &str, word: &str| text.split(word).next()?.split_whitespace().last()?.parse().ok();
    if let Some(rest) = line.strip_prefix("test result: ") {
        return Some((number_before(rest, " passed;")?, number_before(rest, " failed")?));
    }
    let rest = line
        .split_once(": ")
        .filter(|(word, _)| !word.contains(' '))
        .map_or(line, |(_, rest)| rest);
    let (passed, failed) = rest.split_once(" passed, ")?;
    let failed = failed.strip_suffix(" failed")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to stdout")
}

#[cfg(test)]
mod tests {
    use super::{Tally, counts, part, run_all, wanted};

    #[test]
    fn a_part_that_cannot_run_has_failed_and_the_others_go_on() {
        let parts = [part("gone", &["no-such-program"]), part("here", &["true"])];
        let mut tally = Tally::default();
        run_all(&parts.each_ref(), &mut tally).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.broken), (1, 1, vec!["gone"]));
    }

    #[test]
    fn a_word_that_no_part_has_is_an_error_that_lists_them() {
        assert_eq!(wanted("scenarios").unwrap().len(), 2);
        let told = wanted("scenarois").err().unwrap().to_string();
        assert!(told.contains("format, tidy, lints"), "{told}");
    }

    #[test]
    fn the_closing_line_of_a_runner_is_counted() {
        let line = "test result: FAILED. 29 passed; 7 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.75s";
        assert_eq!(counts(line), Some((29, 7)));
        assert_eq!(counts("test result: ok. 87 passed; 0 failed"), Some((87, 0)));
        assert_eq!(counts("api-check: 248 passed, 1 failed"), Some((248, 1)));
        assert_eq!(counts("26 passed, 0 failed"), Some((26, 0)));
        for other in [
            "running 3 tests",
            "== tests: ok, 3 passed, 0 failed, 7 s",
            "a word: 3 passed, 0 failed and more",
        ] {
            assert_eq!(counts(other), None, "{other}");
        }
    }
}
