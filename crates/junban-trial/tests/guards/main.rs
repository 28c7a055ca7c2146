//! A test per guard of lifecycle.md 4 to 6: with the guard a run is good, without it a claim of the scenario or a
//! checker of the world turns red (safety.md 4, planted bugs).
//!
//! The network of most runs here takes 50 ms each way, always, so that an act of a person can be aimed between two
//! steps. With the write-ahead record done at R, the attempt stands in the mark at R + 100 ms, the live reads see
//! the cluster of R + 200 ms, and the driver is called at R + 300 ms.
//!
//! Not each guard can be seen to matter alone. Where a rule is held twice both are taken out, and the test says so.

#![expect(
    clippy::panic,
    reason = "a scenario that does not parse is a mistake of this file"
)]

use junban_core::effect::{Effect, NodeWrite, Read};
use junban_core::guard::{Guard, Slip, with_slip, without};
use junban_sim::sim::{Delays, Trouble, Troubles};
use junban_sim::watch::Watch;
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::simulated::{Options, Outcome, run_in};
use junban_world::Span;

mod budgets;
mod preconditions;
mod the_act;
mod the_ledger;
mod the_node;
mod two_leaders;

/// One way of running a scenario.
struct Trial {
    scenario: Scenario,
    delays: Delays,
    troubles: fn() -> Troubles,
    seeds: Vec<u64>,
    /// Runs end after each of so many writes, one run each.
    crashes: u64,
}

/// A file of `tests/scenarios/`, over the usual network.
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

/// A scenario over the network with 50 ms each way.
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

    fn ended_after_each_of(self, crashes: u64) -> Self {
        Self { crashes, ..self }
    }

    /// From sending a request to its answer.
    fn takes(mut self, ms: u64) -> Self {
        self.delays.latency = Span::ms(ms, ms);
        self
    }

    fn watches_lag(mut self, ms: u64) -> Self {
        self.delays.watch = Span::ms(ms, ms);
        self
    }

    /// One watch of one controller is so late.
    fn watch_lags(mut self, controller: u32, watch: Watch, ms: u64) -> Self {
        self.delays.late_watch = Some((controller, watch, ms));
        self
    }

    fn runs(&self) -> Vec<Outcome> {
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

    /// What was wrong in any of the runs.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for outcome in self.runs() {
            wrong.extend(
                outcome
                    .failures
                    .iter()
                    .map(|failure| failure.describe(&self.scenario.file)),
            );
            if outcome.denied > 0 {
                wrong.push(format!(
                    "denied: {} evictions that Junban need not have asked for",
                    outcome.denied
                ));
            }
        }
        wrong
    }

    fn is_good(&self) {
        let wrong = self.wrong();
        assert!(wrong.is_empty(), "with all guards: {wrong:#?}");
    }

    /// Good as it is; without the guards something turns red, and says one of `words`.
    fn needs(&self, guards: &[Guard], words: &str) {
        self.is_good();
        let wrong = without(guards, || self.wrong());
        assert!(!wrong.is_empty(), "nothing turned red without {guards:?}");
        assert!(
            wrong.iter().any(|line| says(line, words)),
            "without {guards:?}: `{words}` is not in {wrong:#?}"
        );
    }

    fn needs_arithmetic(&self, slip: Slip, off: &[Guard], words: &str) {
        self.is_good();
        let wrong = without(off, || with_slip(slip, || self.wrong()));
        assert!(
            wrong.iter().any(|line| says(line, words)),
            "with {slip:?}: `{words}` is not in {wrong:#?}"
        );
    }
}

/// Whether a line has these words as they are: S1 is not S16.
fn says(line: &str, words: &str) -> bool {
    let ends = |(at, found): (usize, &str)| !line[at + found.len()..].starts_with(char::is_alphanumeric);
    line.match_indices(words).any(ends)
}

#[test]
fn the_name_of_a_rule_is_not_the_beginning_of_another_s() {
    assert!(says("a rule broken: S16: ended is ended; S1: twice", "S1"));
    assert!(!says("a rule broken: S16: ended is ended", "S1"));
}

/// Something goes wrong with the first request that `aim` picks.
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

fn is_attempt(effect: &Effect) -> bool {
    matches!(effect, Effect::PatchNode(patch) if patch.what == NodeWrite::Attempt)
}

fn is_look_before_the_act(effect: &Effect) -> bool {
    matches!(effect, Effect::Read(Read::Act { .. }))
}

const ONE: &str = "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: node-1 is Rebooting\n";

fn after_the_record(lines: &str) -> Trial {
    aimed(&format!("{ONE}{lines}"))
}
