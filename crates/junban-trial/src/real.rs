//! Runs a scenario on the real control plane of `testbed/`: real API servers, controllers and scheduler, and simulated
//! machines. The controllers are child processes with the token of their own ServiceAccount.
//!
//! The facts come from an administrator's watches and from the power log of the machines, not from Junban's processes. When
//! the run is over, the checkers of the simulated world judge what these have shown.

mod controllers;
mod manifests;
mod people;
mod volumes;
mod workloads;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::scenario::facts::EndState;
use crate::scenario::judge::{Failure, Judge};
use crate::scenario::model::{Act, Fault, Scenario, Span};
use crate::scenario::sweep::{self, SweepReport, SweptRun};
use crate::testbed::Testbed;
use crate::watched::Watched;

use controllers::Controllers;

/// What a run on the real control plane needs.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub exit_after_writes: Option<u64>,
    /// The testbed's program (`cargo xtask testbed path`).
    pub testbed: PathBuf,
    /// The `junban` program.
    pub junban: PathBuf,
    /// The checkout's `manifests/`.
    pub manifests: PathBuf,
}

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

/// The controllers of the cluster need this long to react to what was done before the run.
const QUIET: Duration = Duration::from_secs(3);
/// After this time the slowest watch has shown the last write of a run.
const SHOWN_AFTER: Duration = Duration::from_secs(2);
/// The Node of a dead machine must be NotReady within this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(120);

/// Runs a scenario on a testbed of its own.
pub fn run(scenario: &Scenario, options: &Options) -> Result<RealReport> {
    if let Some(at) = scenario.operators.first() {
        bail!(
            "{}:{}: operators exist in the simulated world only",
            scenario.file,
            at.line
        );
    }
    let flags = flags(scenario, options.seed);
    let bed = Testbed::up(&options.testbed, &options.manifests, &options.junban, &flags)?;
    manifests::apply(&bed, scenario)?;
    workloads::apply(&bed, scenario)?;
    for at in &scenario.given {
        people::act(&bed, scenario, &at.what)?;
    }
    let mut watched = Watched::start(&bed.ready.kubeconfig, &bed.ready.power_log)?;
    watched.wait_for_lists()?;
    // Wait until what was done last is over, and until the Nodes of dead machines are NotReady.
    let began_to_watch = Instant::now();
    loop {
        watched.wait_out(QUIET)?;
        let nodes = watched.facts().nodes;
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
    watched.begin();
    let exit = options.exit_after_writes.or(scenario.exit_after_writes);
    let mut controllers = Controllers::new(&bed, scenario, exit)?;
    let leniency = if exit.is_some() {
        LENIENCY_AFTER_A_CRASH
    } else {
        Duration::ZERO
    };
    let mut judge = Judge::new(scenario, leniency);
    let mut retried = BTreeSet::new();
    let began = Instant::now();
    for number in 1..=scenario.controllers {
        controllers.start(number)?;
        if number < scenario.controllers {
            std::thread::sleep(OTHERS_AFTER);
        }
    }
    watched.wait(Duration::ZERO)?;
    while !judge.is_over() {
        let mut seen = watched.facts();
        while let Some(at) = judge.look(began.elapsed(), &seen) {
            let done = match controllers.act(&at.what) {
                Some(done) => done,
                None => people::act(&bed, scenario, &at.what),
            };
            if let Err(error) = done {
                judge.not_done(began.elapsed(), at.line, &at.text, format!("{error:#}"));
            }
            watched.wait(Duration::ZERO)?;
            seen = watched.facts();
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
        watched.wait(pause.min(HEARTBEAT))?;
    }
    let took = began.elapsed();
    let end = EndState::of(&watched.facts());
    controllers.stop();
    watched.wait_out(SHOWN_AFTER)?;
    judge_rules(&watched, &bed, &mut judge)?;
    let failures = judge.failures().to_vec();
    Ok(RealReport {
        end,
        exited: controllers.exited(),
        took,
        logs: bed.keep_logs(!failures.is_empty()),
        failures,
    })
}

/// Judges the rules of every run. If one is broken, the events are kept with the logs.
fn judge_rules(watched: &Watched, bed: &Testbed, judge: &mut Judge<'_>) -> Result<()> {
    let mut events = String::new();
    let violations = watched.judge(|_, event| {
        events += &serde_json::to_string(event).unwrap_or_default();
        events.push('\n');
    })?;
    for violation in &violations {
        let at = Duration::from_millis(violation.at.saturating_sub(watched.began()));
        judge.fail(
            at,
            format!("the rule {} is broken", violation.rule),
            &violation.text,
        );
    }
    if !judge.failures().is_empty() {
        std::fs::write(bed.logs.join("events.jsonl"), events)?;
    }
    Ok(())
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

/// The flags of `testbed up` for the machines of the scenario.
fn flags(scenario: &Scenario, seed: u64) -> Vec<String> {
    let nodes = &scenario.nodes;
    let seconds = |span: Span| format!("{}..{}", span.from.as_secs_f64(), span.to.as_secs_f64());
    let mut flags = vec![
        format!("--nodes={}", nodes.workers),
        format!("--control-planes={}", nodes.control_planes),
        format!("--boot-seconds={}", seconds(nodes.boot)),
        format!("--seed={seed}"),
    ];
    if nodes.control_planes > 1 {
        // An etcd member that goes away costs its API server seconds. A real cluster waits 50 s.
        flags.push("--monitor-grace-seconds=25".to_owned());
    }
    if let Some(cpu) = &nodes.cpu {
        flags.push(format!("--node-cpu={}", cpu.text));
    }
    if let Some(memory) = &nodes.memory {
        flags.push(format!("--node-memory={}", memory.text));
    }
    flags
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
