//! A test for each guard (docs/design/safety.md#guards). With the guard a run has no failure. Without it, a claim of the
//! scenario or a checker of the world must fail.
//!
//! In most runs here the network always takes 50 ms each way, so that an act of a person can be placed between two
//! steps. If the write-ahead record is done at time R, then the attempt is in the mark at R + 100 ms, the live reads see
//! the cluster of R + 200 ms, and the driver is called at R + 300 ms.
//!
//! Some guards protect the same rule. Then one of them alone changes nothing, so the test removes both and says so.

#![expect(
    clippy::panic,
    reason = "a scenario that cannot be read is a mistake of this file"
)]

use junban_core::effect::{Effect, NodeWrite, Read};
use junban_core::guard::{Guard, Slip, with_slip, without};
use junban_sim::sim::{Delays, Trouble, Troubles};
use junban_sim::watch::Watch;
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::simulated::{Options, SimulatedReport, run_in};
use junban_world::Span;

mod budgets;
mod preconditions;
mod the_act;
mod the_ledger;
mod the_node;
mod two_leaders;

/// A scenario, and how to run it.
struct Trial {
    scenario: Scenario,
    delays: Delays,
    troubles: fn() -> Troubles,
    seeds: Vec<u64>,
    /// For each of the first writes, up to this number, there is a run with a crash after it.
    crashes: u64,
}

/// A file of `tests/scenarios/` over the usual network.
fn file(name: &str) -> Trial {
    let path = format!("{}/../../tests/scenarios/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    Trial {
        scenario: parse(name, &text).unwrap_or_else(|error| panic!("{error}")),
        delays: Delays::default(),
        troubles: Troubles::default,
        seeds: vec![1],
        crashes: 0,
    }
}

/// A scenario over a network that takes 50 ms each way.
fn aimed(lines: &str) -> Trial {
    let text = format!("scenario: aimed\n{lines}");
    Trial {
        scenario: parse("aimed", &text).unwrap_or_else(|error| panic!("{error}")),
        delays: Delays {
            latency: Span::ms(100, 100),
            driver: Span::ms(100, 100),
            ..Delays::default()
        },
        troubles: Troubles::default,
        seeds: vec![1],
        crashes: 0,
    }
}

impl Trial {
    fn with(self, troubles: fn() -> Troubles) -> Self {
        Self { troubles, ..self }
    }

    fn crashed_after_each_of_the_first(self, crashes: u64) -> Self {
        Self { crashes, ..self }
    }

    /// Sets the time from a request to its answer.
    fn takes(mut self, ms: u64) -> Self {
        self.delays.latency = Span::ms(ms, ms);
        self
    }

    fn watches_lag(mut self, ms: u64) -> Self {
        self.delays.watch = Span::ms(ms, ms);
        self
    }

    /// Sets the lag of one watch of one controller.
    fn watch_lags(mut self, controller: u32, watch: Watch, ms: u64) -> Self {
        self.delays.late_watch = Some((controller, watch, ms));
        self
    }

    fn runs(&self) -> Vec<SimulatedReport> {
        let crashes = (0..=self.crashes).filter(|nth| *nth > 0 || self.crashes == 0);
        let exits = crashes.map(|nth| Some(nth).filter(|nth| *nth > 0));
        let one = |seed, exit_after_writes| {
            let options = Options {
                seed,
                exit_after_writes,
                ..Options::default()
            };
            run_in(&self.scenario, options, self.delays, (self.troubles)())
        };
        exits
            .flat_map(|exit| self.seeds.iter().map(move |seed| (*seed, exit)))
            .map(|(seed, exit)| one(seed, exit))
            .collect()
    }

    /// The failures of all runs.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for report in self.runs() {
            wrong.extend(
                report
                    .failures
                    .iter()
                    .map(|failure| failure.describe(&self.scenario.file)),
            );
            if report.denied > 0 {
                wrong.push(format!(
                    "denied: {} evictions that Junban should not have asked for",
                    report.denied
                ));
            }
        }
        wrong
    }

    fn has_no_failure(&self) {
        let wrong = self.wrong();
        assert!(wrong.is_empty(), "with all guards: {wrong:#?}");
    }

    /// With all guards there is no failure. Without these guards there is one, and a failure contains `words`.
    fn needs(&self, guards: &[Guard], words: &str) {
        self.has_no_failure();
        let wrong = without(guards, || self.wrong());
        assert!(!wrong.is_empty(), "there is no failure without {guards:?}");
        assert!(
            wrong.iter().any(|line| says(line, words)),
            "without {guards:?} no failure contains `{words}`: {wrong:#?}"
        );
    }

    /// With a planted mistake in the arithmetic, and without the guards `off`, a failure contains `words`.
    fn needs_arithmetic(&self, slip: Slip, off: &[Guard], words: &str) {
        self.has_no_failure();
        let wrong = without(off, || with_slip(slip, || self.wrong()));
        assert!(
            wrong.iter().any(|line| says(line, words)),
            "with {slip:?} no failure contains `{words}`: {wrong:#?}"
        );
    }
}

/// Whether a line contains exactly these words: S16 does not contain S1.
fn says(line: &str, words: &str) -> bool {
    let ends = |(at, found): (usize, &str)| !line[at + found.len()..].starts_with(char::is_alphanumeric);
    line.match_indices(words).any(ends)
}

#[test]
fn a_rule_is_not_found_in_the_name_of_another_rule() {
    assert!(says("a rule broken: S16: ended is ended; S1: twice", "S1"));
    assert!(!says("a rule broken: S16: ended is ended", "S1"));
}

/// The first request that `aim` picks has this trouble.
fn once(aim: fn(&Effect) -> bool, trouble: Trouble) -> Troubles {
    let mut hit = false;
    Troubles {
        on_send: Some(Box::new(move |_, effect| {
            if !hit && aim(effect) {
                hit = true;
                return trouble;
            }
            Trouble::default()
        })),
        ..Troubles::default()
    }
}

/// The answer to the first request that `aim` picks arrives this much later.
fn answered_late(aim: fn(&Effect) -> bool, ms: u64) -> Troubles {
    let trouble = Trouble {
        answer_late: ms,
        ..Trouble::default()
    };
    once(aim, trouble)
}

/// The first request that `aim` picks arrives this much later, and its process is killed after it has sent the request.
fn late_and_killed(aim: fn(&Effect) -> bool, ms: u64) -> Troubles {
    let trouble = Trouble {
        late: ms,
        kill: true,
        ..Trouble::default()
    };
    once(aim, trouble)
}

fn is_attempt(effect: &Effect) -> bool {
    matches!(effect, Effect::PatchNode(patch) if patch.what == NodeWrite::Attempt)
}

fn is_read_before_the_act(effect: &Effect) -> bool {
    matches!(effect, Effect::Read(Read::Act { .. }))
}

const ONE: &str = "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: node-1 is Rebooting\n";

fn after_the_record(lines: &str) -> Trial {
    aimed(&format!("{ONE}{lines}"))
}
