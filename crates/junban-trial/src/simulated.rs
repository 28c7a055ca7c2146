//! Runs a scenario in the simulated world. The world's own checkers watch every run; a rule that they see broken
//! fails the scenario as well.

mod build;
mod facts;
mod limits;
mod people;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use jiff::SignedDuration;
use junban_world::{Checkers, EvictionAnswer, Ms, Params, Truth};

use crate::scenario::facts::EndState;
use crate::scenario::judge::{Failure, Judge};
use crate::scenario::model::{Act, Scenario, Target};
use crate::scenario::sweep::{self, Ended, Swept};
use junban_sim::sim::{Delays, Sim, Troubles};

pub use people::PeopleError;

/// How a scenario is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub seed: u64,
    /// The controller ends after its so-many-th acknowledged write, and is started again at once.
    pub exit_after_writes: Option<u64>,
    /// Adds time to every limit of the file, because trouble on the way costs time.
    pub lenient: bool,
    /// Judges the rules of every run only, not the claims of the file. The run goes on when a claim is broken.
    pub rules_only: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Empty: everything was as claimed.
    pub failures: Vec<Failure>,
    pub end: EndState,
    /// Acknowledged writes of the first controller in its last life.
    pub writes: u64,
    /// Whether the controller ended itself.
    pub exited: bool,
    /// Virtual time that the run took.
    pub took: Duration,
    /// Steps of the engines.
    pub steps: u64,
    /// Evictions that a budget denied: Junban asks for none that it knows to be impossible.
    pub denied: u32,
    /// What happened to nodes, entries, machines and the ledger, and what people did: a line each.
    pub log: Vec<String>,
}

/// A person looks at a server whose power action is in doubt, and says `retry`, at most so often.
const RETRIES_OF_A_PERSON: u32 = 1;
/// The first controller has become the leader by then.
const OTHERS_AFTER_MS: Ms = 1_000;
/// How long a controller takes to be started again.
const RESTART_MS: Ms = 1_000;

/// Runs it.
pub fn run(scenario: &Scenario, options: Options) -> Outcome {
    run_in(scenario, options, Delays::default(), Troubles::default())
}

/// Runs it over a network of one's own.
pub fn run_in(scenario: &Scenario, options: Options, delays: Delays, troubles: Troubles) -> Outcome {
    Run::new(scenario, options, delays, troubles).run()
}

/// Runs it with a crash after each write from `first` to `last`, one run each.
pub fn sweep(scenario: &Scenario, seed: u64, first: u64, last: u64) -> Swept {
    let swept = sweep::sweep(first, last, |exit_after_writes| {
        let outcome = run(
            scenario,
            Options {
                seed,
                exit_after_writes,
                ..Options::default()
            },
        );
        Ok::<_, Infallible>(Ended {
            failures: outcome.failures,
            end: outcome.end,
            exited: outcome.exited,
        })
    });
    match swept {
        Ok(swept) => swept,
        Err(never) => match never {},
    }
}

struct Run<'s> {
    scenario: &'s Scenario,
    options: Options,
    sim: Sim,
    judge: Judge<'s>,
    checkers: Checkers,
    limits: limits::Limits,
    facts: facts::Collector,
    began: Ms,
    restart_at: Option<Ms>,
    /// When the controllers after the first are started, so that the first leads.
    others_at: Option<Ms>,
    retried: BTreeMap<String, u32>,
    exited: bool,
    denied: u32,
    log: Vec<String>,
}

impl<'s> Run<'s> {
    fn new(scenario: &'s Scenario, options: Options, delays: Delays, troubles: Troubles) -> Self {
        let exit = options.exit_after_writes.or(scenario.exit_after_writes);
        let options = Options {
            exit_after_writes: exit,
            ..options
        };
        let world = build::world(scenario, options.seed);
        let limits = limits::Limits::of(&world);
        let mut sim = Sim::new(world, delays);
        let leniency = if exit.is_some() || options.lenient {
            Duration::from_secs(5_400)
        } else {
            Duration::ZERO
        };
        let mut judge = Judge::new(scenario, leniency);
        if options.rules_only {
            judge.judge_rules_only();
        }
        sim.trouble(troubles);
        Self {
            scenario,
            options,
            sim,
            judge,
            checkers: Checkers::new(Params::default()),
            limits,
            facts: facts::Collector::default(),
            began: 0,
            restart_at: None,
            others_at: None,
            retried: BTreeMap::new(),
            exited: false,
            denied: 0,
            log: Vec::new(),
        }
    }

    fn run(mut self) -> Outcome {
        for at in &self.scenario.given {
            self.act(at.line, &at.text, &at.what);
        }
        for fault in &self.scenario.faults {
            people::inject(&mut self.sim.world(), &fault.what);
        }
        // What people did and what is dead already is known before the controller comes.
        let settled = self.sim.now() + build::BEGINS_AT_MS;
        self.sim.world().advance_to(settled);
        self.began = settled;
        self.look_at_truth();
        self.facts.begin();
        if self.scenario.controllers > 0 {
            self.start(1, SignedDuration::ZERO);
        }
        self.others_at = (self.scenario.controllers > 1).then_some(settled + OTHERS_AFTER_MS);
        while !self.judge.is_over() {
            self.turn();
        }
        self.outcome()
    }

    /// One look, all acts that are due, then on to the next change.
    fn turn(&mut self) {
        self.look_at_truth();
        self.look_at_refusals();
        self.restart();
        self.person();
        let mut facts = self.facts.collect(&self.sim.world());
        while let Some(at) = self.judge.look(self.elapsed(), &facts) {
            self.act(at.line, &at.text, &at.what);
            self.look_at_truth();
            facts = self.facts.collect(&self.sim.world());
        }
        let look = self
            .judge
            .next_look(self.elapsed())
            .map(|at| self.began + u64::try_from(at.as_millis()).unwrap_or(Ms::MAX));
        let now = self.sim.now();
        let next = [look, self.restart_at, self.others_at]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now + 1_000);
        self.sim.advance(next.max(now + 1));
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.sim.now().saturating_sub(self.began))
    }

    fn look_at_truth(&mut self) {
        let truth = {
            let mut world = self.sim.world();
            if let Some(params) = self.limits.take_new(&world) {
                *self.checkers.params() = params;
            }
            world.take_truth()
        };
        let elapsed = self.elapsed();
        for event in &truth {
            self.facts.observe(&event.what);
            self.denied += u32::from(is_denial(&event.what, self.checkers.params()));
            if let Some(told) = told(&event.what) {
                self.note(event.at, &told);
            }
            if self.checkers.observe(event) > 0 && event.at >= self.began {
                let broken: Vec<String> = self
                    .checkers
                    .violations()
                    .iter()
                    .filter(|violation| violation.at == event.at)
                    .map(|violation| format!("{}: {}", violation.rule, violation.text))
                    .collect();
                self.judge.fail(
                    elapsed,
                    "a checker of the world saw a rule broken",
                    broken.join("; "),
                );
            }
        }
    }

    /// An effect that the engine's independent check refused is a bug of the planner, whatever came of the run.
    fn look_at_refusals(&mut self) {
        let refused = self.sim.take_refused();
        if !refused.is_empty() {
            let elapsed = self.elapsed();
            self.judge.fail(
                elapsed,
                "the independent check refused an effect",
                refused.join("; "),
            );
        }
    }

    fn note(&mut self, at: Ms, what: &str) {
        #[expect(clippy::cast_precision_loss, reason = "shown with a tenth of a second")]
        let seconds = (at as f64 - self.began as f64) / 1_000.0;
        self.log.push(format!("{seconds:9.3} {what}"));
    }

    /// A controller that ended after its write is started again.
    fn restart(&mut self) {
        if !self.sim.take_exited().is_empty() {
            self.exited = true;
            self.note(self.sim.now(), "the controller ended after its write");
            self.restart_at = Some(self.sim.now() + RESTART_MS);
        }
        if self.restart_at.is_some_and(|at| at <= self.sim.now()) {
            self.restart_at = None;
            self.sim.start(1, None);
        }
        if self.others_at.is_some_and(|at| at <= self.sim.now()) {
            self.others_at = None;
            for number in 2..=self.scenario.controllers {
                self.sim.start(number, None);
            }
        }
    }

    /// After a crash a person retries what is in doubt, and one `retry` gives the same end state
    /// (safety.md 4, crash sweep).
    fn person(&mut self) {
        if !self.exited {
            return;
        }
        let doubtful: Vec<String> = {
            let facts = self.facts.collect(&self.sim.world());
            let in_doubt = facts
                .entries
                .iter()
                .filter(|entry| entry.phase == "Failed" && entry.reason == "PowerUnknown");
            in_doubt.map(|entry| entry.node.clone()).collect()
        };
        for node in doubtful {
            self.judge.suspend_never();
            let retried = self.retried.entry(node.clone()).or_default();
            if *retried < RETRIES_OF_A_PERSON {
                *retried += 1;
                self.act(0, "retry", &Act::Retry(node));
            }
        }
    }

    fn act(&mut self, line: usize, text: &str, act: &Act) {
        self.note(self.sim.now(), &format!("act: {act:?}"));
        let done = match act {
            Act::KillController(number) => {
                self.sim.kill(*number);
                Ok(())
            }
            Act::StartController(number, _) if self.sim.is_closing(*number) => Err(
                people::PeopleError::Other(format!("controller {number} was stopped and has not ended yet")),
            ),
            Act::StartController(number, ahead) if !ahead.is_zero() && self.sim.is_running(*number) => {
                Err(people::PeopleError::Other(format!(
                    "controller {number} runs: its clock is set when it starts"
                )))
            }
            Act::StartController(number, ahead) => {
                self.start(*number, *ahead);
                Ok(())
            }
            Act::StopController(number) => {
                self.sim.stop(*number);
                Ok(())
            }
            Act::RestartController(number, ahead) => {
                self.sim.kill(*number);
                self.start(*number, *ahead);
                Ok(())
            }
            Act::FreezeController(number) => {
                self.sim.freeze(*number);
                Ok(())
            }
            Act::ThawController(number) => {
                self.sim.thaw(*number);
                Ok(())
            }
            Act::CutOff => {
                self.sim.cut_off(true);
                Ok(())
            }
            Act::Reconnect => {
                self.sim.cut_off(false);
                Ok(())
            }
            Act::Cancel(Target::All) => people::cancel_all(&mut self.sim.world()),
            other => people::act(&mut self.sim.world(), self.scenario, other),
        };
        self.limits.look(&self.sim.world());
        if let Err(error) = done {
            let elapsed = self.elapsed();
            self.judge.not_done(elapsed, line, text, error.to_string());
        }
    }

    fn start(&mut self, number: u32, clock_ahead: SignedDuration) {
        let exit_after_writes = self.options.exit_after_writes;
        let ends = exit_after_writes.filter(|_| number == 1 && !self.exited);
        self.sim.set_clock(number, clock_ahead);
        self.sim.start(number, ends);
    }

    fn outcome(self) -> Outcome {
        let facts = self.facts.collect(&self.sim.world());
        Outcome {
            end: EndState::of(&facts),
            writes: self.sim.writes(1),
            exited: self.exited,
            took: self.elapsed(),
            steps: self.sim.steps(),
            denied: self.denied,
            log: self.log,
            failures: self.judge.failures().to_vec(),
        }
    }
}

/// A denial by a budget; in a namespace of `deleteAfterDenial` it is asked for, since only then a pod may be deleted.
fn is_denial(truth: &Truth, params: &Params) -> bool {
    let Truth::Eviction {
        pod,
        answer: EvictionAnswer::BudgetDenied,
        dry_run: false,
        ..
    } = truth
    else {
        return false;
    };
    let namespace = pod.split('/').next().unwrap_or_default();
    !params.delete_allowed.contains(namespace)
}

/// What of the truth belongs into the log of a run.
fn told(truth: &Truth) -> Option<String> {
    match truth {
        Truth::Entry {
            node,
            from,
            to,
            attempt,
            ..
        } => Some(format!("{node}: {from} -> {to} (attempt {attempt})")),
        Truth::Cordon { node, cordoned, by } => Some(format!("{node}: cordoned {cordoned} by {by}")),
        Truth::NodeReady { node, ready } => Some(format!("{node}: Ready {ready:?}")),
        Truth::MachineDown { machine, cause, .. } => Some(format!("{machine}: down ({cause:?})")),
        Truth::MachineUp { machine, .. } => Some(format!("{machine}: up")),
        Truth::PowerCalled {
            node, tag, outcome, ..
        } => Some(format!(
            "{node}: power called, attempt {}: {outcome:?}",
            tag.attempt
        )),
        Truth::PowerEffect { node, .. } => Some(format!("{node}: power took effect")),
        Truth::PodRemoval { pod, why, .. } => Some(format!("pod {pod}: {why:?}")),
        Truth::Slots { holders } => Some(format!("slots: {:?}", holders.keys().collect::<Vec<_>>())),
        Truth::Eviction { .. } | Truth::PodAdded(_) | Truth::PodChanged(_) | Truth::PodGone { .. } => None,
        Truth::Serving { .. } | Truth::Budget { .. } | Truth::Owner { .. } => None,
        other => Some(format!("{other:?}")),
    }
}
