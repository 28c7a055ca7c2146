//! Runs a scenario on the real control plane of `testbed/`: real API servers, controllers and scheduler, and simulated
//! machines. The controllers are child processes with the token of their own ServiceAccount.
//!
//! The facts come from an administrator's watches and from the power log of the machines, not from Junban's processes.

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
use crate::scenario::model::{Act, Fault, Scenario};
use crate::scenario::sweep::{self, SweepReport, SweptRun};

use controllers::Controllers;
pub use options::Options;
use testbed::Testbed;

/// What a run showed.
#[derive(Clone, Debug)]
pub struct RealReport {
    pub failures: Vec<Failure>,
    pub end: EndState,
    /// Whether the first controller ended itself after its write.
    pub exited: bool,
    pub took: Duration,
    /// The folder of the logs. It exists only if something failed.
    pub logs: PathBuf,
}

/// After a crash, all limits are longer: a person can retry only after `bootTimeout`, which is 15 minutes by default.
const LENIENCY_AFTER_A_CRASH: Duration = Duration::from_secs(20 * 60);
/// The time between the starts of two controllers, so that the first becomes the leader.
const OTHERS_AFTER: Duration = Duration::from_secs(3);
/// The processes and the power log are looked at this often, even if nothing changes.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// If the watches show nothing for this long, they have shown everything that there is.
const QUIET: Duration = Duration::from_secs(3);
/// The Node of a dead machine must be NotReady within this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(120);

/// Runs a scenario on a testbed of its own.
pub fn run(scenario: &Scenario, options: &Options) -> Result<RealReport> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run_on(scenario, options))
}

/// Runs a scenario once for each write from `first` to `last`, with a crash after that write and on a testbed of its own.
/// Calls `each_run` after each run.
pub fn sweep(
    scenario: &Scenario,
    options: &Options,
    first: u64,
    last: u64,
    mut each_run: impl FnMut(Option<u64>, &RealReport),
) -> Result<SweepReport> {
    sweep::sweep(first, last, |exit_after_writes| {
        let options = Options {
            exit_after_writes,
            ..options.clone()
        };
        let report = run(scenario, &options)?;
        each_run(exit_after_writes, &report);
        Ok(SweptRun {
            failures: report.failures,
            end: report.end,
            exited: report.exited,
        })
    })
}

/// Machines that are down when the run begins.
fn dead_before(scenario: &Scenario) -> BTreeSet<&String> {
    let mut dead = BTreeSet::new();
    for at in &scenario.given {
        match &at.what {
            Act::PowerOff(node) => drop(dead.insert(node)),
            Act::Fault(fault) if fault.fault == Fault::Dead => drop(dead.insert(&fault.node)),
            Act::Repair(node) => drop(dead.remove(node)),
            _ => {}
        }
    }
    dead
}

async fn run_on(scenario: &Scenario, options: &Options) -> Result<RealReport> {
    if let Some(at) = scenario.operators.first() {
        anyhow::bail!(
            "{}:{}: operators exist in the simulated world only",
            scenario.file,
            at.line
        );
    }
    let bed = Testbed::up(scenario, options)?;
    manifests::apply(&bed, scenario)?;
    workloads::apply(&bed, scenario)?;
    for at in &scenario.given {
        people::act(&bed, scenario, &at.what)?;
    }
    let mut watches = watches::start(&bed).await?;
    let mut facts = facts::Collector::default();
    // Wait until the watches have listed everything, and until the Nodes of dead machines are NotReady.
    let began_to_watch = Instant::now();
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
        if began_to_watch.elapsed() > NOTICED_WITHIN {
            bail!("a machine is dead, but its Node stays Ready");
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
    for at in &scenario.given {
        rules.forgive(&at.what, &facts.facts());
    }
    let mut retried = BTreeSet::new();
    let began = Instant::now();
    for number in 1..=scenario.controllers {
        controllers.start(number)?;
        if number < scenario.controllers {
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
        for node in seen.in_doubt().filter(|_| controllers.exited()) {
            if retried.insert(node.clone()) {
                judge.suspend_never();
                bed.junban(&["retry", node])?;
            }
        }
        controllers.look_after()?;
        workloads::operate(&bed, scenario, &seen)?;
        let pause = judge
            .next_look(began.elapsed())
            .map_or(HEARTBEAT, |at| at.saturating_sub(began.elapsed()));
        if let Ok(event) = tokio::time::timeout(pause.min(HEARTBEAT), watches.recv()).await {
            facts.apply(event.context("the watches ended")?);
        }
    }
    controllers.stop();
    let failures = judge.failures().to_vec();
    Ok(RealReport {
        end: EndState::of(&facts.facts()),
        exited: controllers.exited(),
        took: began.elapsed(),
        logs: bed.keep_logs(!failures.is_empty()),
        failures,
    })
}
