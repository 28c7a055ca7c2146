//! Runs a scenario on the real control plane of `testbed/`: real API servers, controllers and scheduler, simulated
//! machines, the controller as a child process under its own ServiceAccount and nothing more.
//!
//! What is judged comes from watches of an administrator and from the machines' power log; Junban's own processes
//! are asked for nothing.

mod controllers;
mod facts;
mod manifests;
mod options;
mod people;
mod rules;
mod testbed;
mod volumes;
mod watches;
mod workloads;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::scenario::facts::EndState;
use crate::scenario::judge::{Failure, Judge};
use crate::scenario::model::{Act, Fault, MachineFault, Scenario};
use crate::scenario::sweep::{self, Ended, Swept};

use controllers::Controllers;
pub use options::Options;
use testbed::Testbed;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub failures: Vec<Failure>,
    pub end: EndState,
    /// Whether the first controller ended after its write, as asked.
    pub exited: bool,
    pub took: Duration,
    /// Where logs are, if something failed.
    pub logs: PathBuf,
}

/// A crash may cost a whole `bootTimeout`, 15 minutes by default, before a person may retry.
const LENIENCY_AFTER_A_CRASH: Duration = Duration::from_secs(20 * 60);
/// Between the start of the first controller and the others'.
const OTHERS_AFTER: Duration = Duration::from_secs(3);
/// The processes are looked after so often, also if nothing changes.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The watches show nothing new for so long.
const QUIET: Duration = Duration::from_secs(3);
/// A dead machine's Node is NotReady by then.
const NOTICED_WITHIN: Duration = Duration::from_secs(120);

/// Runs it.
pub fn run(scenario: &Scenario, options: &Options) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run_on(scenario, options))
}

/// Runs it with a crash after each write from `first` to `last`, one testbed each. `told` hears of each run.
pub fn sweep(
    scenario: &Scenario,
    options: &Options,
    first: u64,
    last: u64,
    mut told: impl FnMut(Option<u64>, &Outcome),
) -> Result<Swept> {
    sweep::sweep(first, last, |exit_after_writes| {
        let options = Options {
            exit_after_writes,
            ..options.clone()
        };
        let outcome = run(scenario, &options)?;
        told(exit_after_writes, &outcome);
        Ok(Ended {
            failures: outcome.failures,
            end: outcome.end,
            exited: outcome.exited,
        })
    })
}

/// Machines that are down when the run begins.
fn dead_before(scenario: &Scenario) -> BTreeSet<&str> {
    let mut dead = BTreeSet::new();
    let is_dead = |fault: &&MachineFault| fault.fault == Fault::Dead;
    let faults = scenario.faults.iter().map(|at| &at.what);
    dead.extend(faults.filter(is_dead).map(|fault| fault.node.as_str()));
    for at in &scenario.given {
        match &at.what {
            Act::PowerOff(node) => drop(dead.insert(node)),
            Act::Fault(fault) if is_dead(&fault) => drop(dead.insert(&fault.node)),
            Act::Repair(node) => drop(dead.remove(node.as_str())),
            _ => {}
        }
    }
    dead
}

async fn run_on(scenario: &Scenario, options: &Options) -> Result<Outcome> {
    let bed = Testbed::up(scenario, options)?;
    manifests::apply(&bed, scenario)?;
    workloads::apply(&bed, scenario)?;
    for fault in &scenario.faults {
        people::inject(&bed, &fault.what)?;
    }
    for at in &scenario.given {
        people::act(&bed, scenario, &at.what)?;
    }
    let mut watches = watches::start(&bed).await?;
    let mut facts = facts::Collector::default();
    // Everything that there is has been listed, and what people did and what is dead already is known.
    let listening = Instant::now();
    loop {
        while let Ok(Some(event)) = tokio::time::timeout(QUIET, watches.recv()).await {
            facts.apply(event);
        }
        let nodes = facts.facts().nodes;
        let unnoticed = dead_before(scenario);
        if !unnoticed
            .iter()
            .any(|node| nodes.get(*node).is_some_and(|node| node.ready))
        {
            break;
        }
        if listening.elapsed() > NOTICED_WITHIN {
            bail!("a machine is dead, and its Node is Ready all the same");
        }
    }
    facts.begin(&bed);
    let exit = options.exit_after_writes.or(scenario.exit_after_writes);
    let mut controllers = Controllers::new(&bed, scenario, options, exit)?;
    let leniency = if exit.is_some() {
        LENIENCY_AFTER_A_CRASH
    } else {
        Duration::ZERO
    };
    let mut judge = Judge::new(scenario, leniency);
    let mut rules = rules::Rules::new(scenario);
    let faults = scenario.faults.iter().map(|at| Act::Fault(at.what.clone()));
    for act in scenario.given.iter().map(|at| at.what.clone()).chain(faults) {
        rules.forgive(&act, &facts.facts());
    }
    let began = Instant::now();
    for number in 1..=scenario.controllers {
        controllers.start(number)?;
        if number < scenario.controllers {
            // The first has become the leader by then.
            tokio::time::sleep(OTHERS_AFTER).await;
        }
    }
    while !judge.is_over() {
        facts.read_power_log(&bed);
        let mut seen = facts.facts();
        rules.look(
            &seen,
            facts.budgets(),
            facts.queue(),
            facts.policies(),
            began.elapsed(),
            &mut judge,
        );
        while let Some(at) = judge.look(began.elapsed(), &seen) {
            rules.forgive(&at.what, &seen);
            let done = match controllers.act(&at.what) {
                Some(done) => done,
                None => people::act(&bed, scenario, &at.what),
            };
            if let Err(error) = done {
                judge.not_done(began.elapsed(), at.line, &at.text, format!("{error:#}"));
            }
            facts.read_power_log(&bed);
            seen = facts.facts();
        }
        for node in facts.in_doubt_after(controllers.exited()) {
            judge.suspend_never();
            bed.junban(&["retry", &node])?;
        }
        controllers.look_after()?;
        let pause = judge
            .next_look(began.elapsed())
            .map_or(HEARTBEAT, |at| at.saturating_sub(began.elapsed()));
        if let Ok(event) = tokio::time::timeout(pause.min(HEARTBEAT), watches.recv()).await {
            facts.apply(event.context("the watches ended")?);
        }
    }
    controllers.stop();
    let failures = judge.failures().to_vec();
    Ok(Outcome {
        end: EndState::of(&facts.facts()),
        exited: controllers.exited(),
        took: began.elapsed(),
        logs: bed.keep_logs(!failures.is_empty()),
        failures,
    })
}
