//! Runs a scenario in the simulated world. The world's checkers watch every run: a rule that they see broken also fails the
//! scenario.

mod build;
mod people;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use jiff::SignedDuration;
use junban_world::{Checkers, EvictionAnswer, Ms, Params, Truth};

use crate::scenario::facts::{Collector, EndState};
use crate::scenario::judge::{Failure, Judge};
use crate::scenario::limits::Limits;
use crate::scenario::model::{Act, Scenario};
use crate::scenario::sweep::{self, SweepReport, SweptRun};
use crate::time::ms;
use junban_sim::sim::{Delays, Sim, Troubles};

pub use people::PeopleError;

/// How to run a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub seed: u64,
    /// The controller ends itself after this acknowledged write, and is started again.
    pub exit_after_writes: Option<u64>,
    /// Adds time to every limit of the file, because trouble on the way costs time.
    pub lenient: bool,
    /// Judges the rules of every run only, not the claims of the file. The run goes on when a claim is broken.
    pub rules_only: bool,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct SimulatedReport {
    /// Empty if every claim held.
    pub failures: Vec<Failure>,
    pub end: EndState,
    /// Acknowledged writes of the first controller since its last start.
    pub writes: u64,
    /// Whether the first controller ended itself.
    pub exited: bool,
    /// How much virtual time the run took.
    pub took: Duration,
    /// How many steps the engines took.
    pub steps: u64,
    /// Evictions that a budget denied. Junban knew all budgets, so it should not have asked.
    pub denied: u32,
    /// One line for each event of nodes, entries, machines and the ledger, and for each act of a person.
    pub log: Vec<String>,
}

/// The other controllers start this much later than the first, so that the first becomes the leader.
const OTHERS_AFTER_MS: Ms = 1_000;
/// A controller that ended itself starts again after this time.
const RESTART_MS: Ms = 1_000;

/// Runs a scenario over the usual network.
pub fn run(scenario: &Scenario, options: Options) -> SimulatedReport {
    run_in(scenario, options, Delays::default(), Troubles::default())
}

/// Runs a scenario over this network.
pub fn run_in(scenario: &Scenario, options: Options, delays: Delays, troubles: Troubles) -> SimulatedReport {
    Run::new(scenario, options, delays, troubles).run()
}

/// Runs a scenario once for each write from `first` to `last`, with a crash after that write.
pub fn sweep(scenario: &Scenario, seed: u64, first: u64, last: u64) -> SweepReport {
    let swept = sweep::sweep(first, last, |exit_after_writes| {
        let options = Options {
            seed,
            exit_after_writes,
            ..Options::default()
        };
        let report = run(scenario, options);
        Ok::<_, Infallible>(SweptRun {
            failures: report.failures,
            end: report.end,
            exited: report.exited,
        })
    });
    swept.unwrap_or_else(|never| match never {})
}

struct Run<'s> {
    scenario: &'s Scenario,
    options: Options,
    sim: Sim,
    judge: Judge<'s>,
    checkers: Checkers,
    limits: Limits,
    facts: Collector,
    began: Ms,
    restart_at: Option<Ms>,
    /// When the other controllers start.
    others_at: Option<Ms>,
    /// Servers whose power action was in doubt, and which a person has retried.
    retried: BTreeSet<String>,
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
        let limits = Limits::of(world.store());
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
            facts: Collector::default(),
            began: 0,
            restart_at: None,
            others_at: None,
            retried: BTreeSet::new(),
            exited: false,
            denied: 0,
            log: Vec::new(),
        }
    }

    fn run(mut self) -> SimulatedReport {
        for at in &self.scenario.given {
            self.act(at.line, &at.text, &at.what);
        }
        // The control plane knows all of this before the controller starts.
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
            self.look_and_advance();
        }
        self.report()
    }

    /// Looks at the world, does all acts that are due, and runs on to the next change.
    fn look_and_advance(&mut self) {
        self.look_at_truth();
        self.look_at_refusals();
        self.start_controllers();
        self.retry_what_is_in_doubt();
        let mut facts = self.facts.collect(self.sim.world().store());
        while let Some(at) = self.judge.look(self.elapsed(), &facts) {
            self.act(at.line, &at.text, &at.what);
            self.look_at_truth();
            facts = self.facts.collect(self.sim.world().store());
        }
        let look = self.judge.next_look(self.elapsed());
        let look = look.map(|at| self.began + ms(at));
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
            if let Some(params) = self.limits.take_new(world.store(), world.now()) {
                *self.checkers.params() = params;
            }
            world.take_truth()
        };
        let elapsed = self.elapsed();
        for event in &truth {
            self.facts.observe(&event.what);
            self.denied += u32::from(is_denial(&event.what, self.checkers.params()));
            if let Some(line) = log_line(&event.what) {
                self.note(event.at, &line);
            }
            if self.checkers.observe(event) > 0 && event.at >= self.began {
                let violations = self.checkers.violations().iter();
                let now = violations.filter(|violation| violation.at == event.at);
                let broken: Vec<String> = now
                    .map(|violation| format!("{}: {}", violation.rule, violation.text))
                    .collect();
                let rule = "a checker of the world saw a rule broken";
                self.judge.fail(elapsed, rule, broken.join("; "));
            }
        }
    }

    /// An effect that the engine's independent check refused is a bug of the planner, so it fails the run.
    fn look_at_refusals(&mut self) {
        let refused = self.sim.take_refused();
        if !refused.is_empty() {
            let (elapsed, rule) = (self.elapsed(), "the independent check refused an effect");
            self.judge.fail(elapsed, rule, refused.join("; "));
        }
    }

    fn note(&mut self, at: Ms, what: &str) {
        #[expect(clippy::cast_precision_loss, reason = "shown with a tenth of a second")]
        let seconds = (at as f64 - self.began as f64) / 1_000.0;
        self.log.push(format!("{seconds:9.3} {what}"));
    }

    /// Starts the controllers that are due: one that ended itself, and those after the first.
    fn start_controllers(&mut self) {
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

    /// After a crash a person retries a server whose power action is in doubt. One `retry` must give the same end state
    /// (docs/design/safety.md#crash-sweep).
    fn retry_what_is_in_doubt(&mut self) {
        if !self.exited {
            return;
        }
        let facts = self.facts.collect(self.sim.world().store());
        for node in facts.in_doubt() {
            if self.retried.insert(node.clone()) {
                self.judge.suspend_never();
                self.act(0, "retry", &Act::Retry(node.clone()));
            }
        }
    }

    fn act(&mut self, line: usize, text: &str, act: &Act) {
        self.note(self.sim.now(), &format!("act: {act:?}"));
        let done = match self.act_on_controllers(act) {
            Some(done) => done,
            None => people::act(&mut self.sim.world(), self.scenario, act),
        };
        let now = self.sim.now();
        self.limits.look(self.sim.world().store(), now);
        if let Err(error) = done {
            let elapsed = self.elapsed();
            self.judge.not_done(elapsed, line, text, error.to_string());
        }
    }

    /// Does an act that concerns controllers; `None` for any other act.
    fn act_on_controllers(&mut self, act: &Act) -> Option<Result<(), PeopleError>> {
        match act {
            Act::KillController(number) => self.sim.kill(*number),
            Act::StartController(number, _) if self.sim.is_closing(*number) => {
                let why = format!("controller {number} got SIGTERM and has not ended yet");
                return Some(Err(PeopleError::Other(why)));
            }
            Act::StartController(number, ahead) if !ahead.is_zero() && self.sim.is_running(*number) => {
                let why = format!("controller {number} runs; its clock can only be set at its start");
                return Some(Err(PeopleError::Other(why)));
            }
            Act::StartController(number, ahead) => self.start(*number, *ahead),
            Act::StopController(number) => self.sim.stop(*number),
            Act::RestartController(number, ahead) => {
                self.sim.kill(*number);
                self.start(*number, *ahead);
            }
            Act::FreezeController(number) => self.sim.freeze(*number),
            Act::ThawController(number) => self.sim.thaw(*number),
            Act::CutOff => self.sim.cut_off(true),
            Act::Reconnect => self.sim.cut_off(false),
            _ => return None,
        }
        Some(Ok(()))
    }

    fn start(&mut self, number: u32, clock_ahead: SignedDuration) {
        let exit_after_writes = self.options.exit_after_writes;
        let ends = exit_after_writes.filter(|_| number == 1 && !self.exited);
        self.sim.set_clock(number, clock_ahead);
        self.sim.start(number, ends);
    }

    fn report(self) -> SimulatedReport {
        let facts = self.facts.collect(self.sim.world().store());
        SimulatedReport {
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

/// Whether a budget denied an eviction that Junban should not have asked for. In a namespace of `deleteAfterDenial` it
/// must ask: only after a denial may it delete the pod.
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

/// The line for the log of a run, if this event belongs there.
fn log_line(truth: &Truth) -> Option<String> {
    match truth {
        Truth::Entry(entry) => Some(format!(
            "{}: {} (attempt {})",
            entry.node, entry.phase, entry.attempt
        )),
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
