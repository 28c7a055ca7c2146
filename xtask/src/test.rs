//! `cargo xtask test`: every test of the repository, on a machine that has Rust and Go, with the number of passed and
//! failed tests in its last line. A part that cannot run has failed: nothing is skipped in silence.

mod tools;

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
use tools::Tool;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the parts whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Leave out the parts that need the real control plane (and say so at the end)
    #[arg(long)]
    without_real: bool,
}

struct Part {
    name: &'static str,
    /// Its words, with a space between them.
    command: &'static str,
    /// Starts a testbed.
    real: bool,
    /// Runs at the same time as the parts next to it: it waits for machines to boot more than it works.
    beside: bool,
}

const fn part(name: &'static str, command: &'static str) -> Part {
    Part {
        name,
        command,
        real: false,
        beside: false,
    }
}

const fn real(name: &'static str, command: &'static str) -> Part {
    Part {
        real: true,
        ..part(name, command)
    }
}

const fn beside(name: &'static str, command: &'static str) -> Part {
    Part {
        beside: true,
        ..real(name, command)
    }
}

/// How many parts run at the same time where they may: a testbed keeps about one core busy.
const AT_ONCE: usize = 2;

/// In the order that finds a mistake soonest.
const PARTS: &[Part] = &[
    part("format", "cargo fmt --all --check"),
    part("tidy", "cargo xtask tidy"),
    part(
        "lints",
        "cargo clippy --workspace --all-targets --locked -- -D warnings",
    ),
    part("tests", "cargo test --workspace --locked --no-fail-fast"),
    part("alerts", "promtool test rules manifests/alerts_test.yaml"),
    part("go format", "gofmt -d testbed"),
    // Only packages that link nothing of Kubernetes. The flags are those of the testbed's build, so that both use the
    // same build cache.
    part(
        "go tests",
        "env CGO_ENABLED=0 go -C testbed test -trimpath ./internal/... ./cmd/...",
    ),
    // `go vet` reads everything that a package uses: for a package that links Kubernetes it would take minutes.
    part(
        "go lints",
        "env CGO_ENABLED=0 go -C testbed vet -trimpath ./internal/... ./cmd/...",
    ),
    real("testbed", "cargo xtask testbed check"),
    // It measures times, so nothing may run beside it.
    real(
        "rehearsal",
        "cargo xtask rehearsal --nodes 5 --control-planes 1 --pods 40 --minutes 5",
    ),
    // The part that takes longest starts first.
    beside(
        "scenarios",
        "cargo xtask scenario --world real tests/scenarios/three_control_planes.txt \
         tests/scenarios/kill_in_rebooting.txt tests/scenarios/pause_in_draining.txt \
         tests/scenarios/budget_of_one.txt",
    ),
    beside(
        "more scenarios",
        "cargo xtask scenario --world real tests/scenarios/freeze_in_rebooting.txt \
         tests/scenarios/pinned_pods_one_after_the_other.txt tests/scenarios/impossible_budget.txt \
         tests/scenarios/volume_is_detached_first.txt",
    ),
    beside("command line", "cargo xtask cli-check"),
    beside("api", "cargo xtask api-check"),
    beside(
        "ports",
        "cargo test --locked -p junban-kube --test real -- --ignored",
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
    let root = tidy::root()?;
    let missing = missing(&parts, |tool| tool.is_installed(&root));
    for (tool, parts) in &missing {
        let names: Vec<_> = parts.iter().map(|part| part.name).collect();
        say(&format!(
            "MISSING: {}, which these parts need: {}",
            tool.name,
            names.join(", ")
        ))?;
        say(&format!("         install it: {}", tool.install))?;
        tally.broken.extend(names);
    }
    if !missing.is_empty() {
        // The other parts take a quarter of an hour: a person would learn only then what is missing.
        say("Nothing was run.")?;
        tally.failed = tally.broken.len();
        return tally.close();
    }
    run_all(&parts, &mut tally)?;
    tally.close()
}

/// The tools that are not installed, each with the parts that need it.
fn missing<'a>(
    parts: &[&'a Part],
    is_installed: impl Fn(&Tool) -> bool,
) -> Vec<(&'static Tool, Vec<&'a Part>)> {
    let users = |tool: &Tool| {
        let needs = |part: &&&Part| tool.is_needed_by(part.command, part.real);
        parts.iter().filter(needs).copied().collect::<Vec<_>>()
    };
    let needed = tools::ALL.iter().map(|tool| (tool, users(tool)));
    needed
        .filter(|(tool, users)| !users.is_empty() && !is_installed(tool))
        .collect()
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
        for (part, result) in run_beside_each_other(neighbours) {
            tally.count(part, result)?;
        }
    }
    Ok(())
}

/// Runs parts, [`AT_ONCE`] at a time.
fn run_beside_each_other<'a>(parts: &[&'a Part]) -> Vec<(&'a Part, Result<Counts>)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(parts.len()) {
            scope.spawn(|| {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = part.run(parts.len() > 1);
                    results
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((*part, result));
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The tests of a part.
struct Counts {
    passed: usize,
    failed: usize,
    good: bool,
}

impl Part {
    /// Runs the part and prints its output; with `named`, the part's name stands before each line. A test runner says
    /// how many tests it ran; any other command counts as one test.
    fn run(&self, named: bool) -> Result<Counts> {
        say(&format!("== {}: {}", self.name, self.command))?;
        let begun = Instant::now();
        let (program, arguments) = self.command.split_once(' ').unwrap_or((self.command, ""));
        let mut command = tied(Path::new(program));
        as_from_a_shell(&mut command);
        let mut child = command
            .args(arguments.split_whitespace())
            .current_dir(tidy::root()?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot run: is {program} installed?", self.name))?;
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
        Ok(Counts { passed, failed, good })
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
    /// A part that could not run has failed; the other parts still run.
    fn count(&mut self, part: &Part, result: Result<Counts>) -> Result<()> {
        let counts = match result {
            Ok(counts) => counts,
            Err(error) => {
                say(&format!("== {}: FAILED: {error:#}", part.name))?;
                Counts {
                    passed: 0,
                    failed: 1,
                    good: false,
                }
            }
        };
        self.passed += counts.passed;
        self.failed += counts.failed;
        if !counts.good {
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

/// How many tests passed and failed, if this is the closing line of a test runner: `test result: ok. 3 passed; 0
/// failed; ...` of cargo, or `3 passed, 0 failed` of xtask, perhaps after one word with a colon.
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
mod tests;
