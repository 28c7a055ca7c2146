//! The rehearsal: what somebody who judges Junban would do. A cluster of real control planes and simulated
//! machines under load, the controller with its account's token and nothing more, `junban reboot --all --wait`;
//! beside it a watcher that shares no code with Junban, and at the end figures from the audit and power logs.

mod bed;
mod figures;
mod report;
mod starts;
mod stream;
mod trouble;
mod unknown;
mod watcher;
mod workload;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use bed::Bed;
use trouble::Trouble;
use watcher::{Watcher, now};

use junban_testbed::junban::Controller;

/// Far beyond what the slowest of the simulated boots takes.
const BOOT_TIMEOUT: &str = "90s";
/// Of how many servers that are done `junban explain` is asked as well.
const EXPLAINED_OF_OTHERS: usize = 5;
/// A workload that is not Running by then never will be.
const SETTLE: Duration = Duration::from_secs(300);

#[derive(clap::Parser)]
#[command(
    bin_name = "xtask rehearsal",
    override_usage = "xtask rehearsal [OPTIONS]",
    about = "What a judge would do: a whole cluster, rebooted under load and watched"
)]
pub struct Args {
    /// Workers
    #[arg(long, default_value_t = 30)]
    nodes: usize,
    /// 1 (not a Node) or 3 (Nodes besides)
    #[arg(long, default_value_t = 3)]
    control_planes: usize,
    /// Pods of Deployments and `StatefulSets`
    #[arg(long, default_value_t = 300)]
    pods: usize,
    /// A server that never returns; may be repeated
    #[arg(long)]
    lost: Vec<String>,
    /// Adds a lost server, a budget of 0, SIGKILL for the controller every 20 s, and a pause in the middle
    #[arg(long)]
    trouble: bool,
    /// Controllers side by side
    #[arg(long, default_value_t = 2)]
    controllers: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Minutes until the command gives up
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// With the optimised program
    // Read by xtask, which builds the program.
    #[arg(long)]
    release: bool,
    /// This program instead of one that is built now
    #[arg(long)]
    program: PathBuf,
    /// Keep the logs, and say where
    #[arg(long)]
    keep: bool,
    /// The testbed's program (`cargo xtask testbed path`)
    #[arg(long, hide = true)]
    testbed: PathBuf,
    /// The checkout's `manifests/`
    #[arg(long, hide = true)]
    manifests: PathBuf,
}

/// Which servers will not be done at the end, and why.
#[derive(Default)]
struct Exceptions {
    lost: Vec<String>,
    stuck: Option<String>,
}

impl Exceptions {
    fn of(args: &Args) -> Self {
        let mut exceptions = Self {
            lost: args.lost.clone(),
            stuck: None,
        };
        if args.trouble {
            exceptions.stuck = Some(format!("node-{}", args.nodes));
            if exceptions.lost.is_empty() {
                exceptions.lost.push("node-2".to_owned());
            }
        }
        exceptions
    }

    /// What the command ends with: 1 for what failed, 3 for what is blocked.
    fn exit(&self) -> i32 {
        match (self.lost.is_empty(), &self.stuck) {
            (false, _) => 1,
            (true, Some(_)) => 3,
            (true, None) => 0,
        }
    }

    fn contains(&self, node: &str) -> bool {
        self.stuck.as_deref() == Some(node) || self.lost.iter().any(|lost| lost == node)
    }
}

/// What a run leaves behind for the report.
struct Outcome {
    began: f64,
    exit: Option<i32>,
    boots_before: BTreeMap<String, String>,
    trouble: Trouble,
    /// What `junban explain` says of the servers that are not done, and of some that are.
    explained: BTreeMap<String, String>,
    /// The same of servers whose power command was killed, before the one `retry` that must do for them.
    unknown: BTreeMap<String, String>,
}

pub fn run(args: &Args) -> Result<()> {
    let exceptions = Exceptions::of(args);
    let workload = workload::generate(args.pods, exceptions.stuck.as_deref());
    let mut flags = vec![
        format!("--nodes={}", args.nodes),
        format!("--control-planes={}", args.control_planes),
        format!("--seed={}", args.seed),
    ];
    for lost in &exceptions.lost {
        flags.push(format!("--fault={lost}=never-returns"));
    }
    say(&format!("testbed up {}", flags.join(" ")))?;
    let bed = Bed::up(args, &workload.objects, &flags)?;
    bed.install(BOOT_TIMEOUT)?;
    let watcher = Watcher::start(&bed.ready().kubectl, &workload.apps);
    let pods = workload.apps.iter().map(|app| app.replicas).sum();
    settle(&watcher, pods, bed.ready().nodes.len())?;
    say(&format!(
        "{pods} pods are Ready on {} nodes",
        bed.ready().nodes.len()
    ))?;
    let outcome = rehearse(args, &bed, &watcher, &exceptions)?;
    let verdict = report::report(&bed, &watcher, &exceptions, &outcome, pods)?;
    let (held, broken) = (verdict.held, verdict.broken);
    if let Some(kept) = bed.end(args.keep || !broken.is_empty())? {
        say(&format!("logs: {}", kept.display()))?;
    }
    // In the words of Rust's test runner, which `cargo xtask test` counts.
    let word = if broken.is_empty() { "ok" } else { "FAILED" };
    say(&format!(
        "test result: {word}. {held} passed; {} failed",
        broken.len()
    ))?;
    if !broken.is_empty() {
        bail!("broken: {}", broken.join("; "));
    }
    Ok(())
}

/// Waits until every pod of the workload is Ready and every node can be seen.
fn settle(watcher: &Watcher, pods: usize, nodes: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        {
            let mut sight = watcher.look();
            if sight.healthy_pods() == pods && sight.nodes().len() == nodes {
                sight.judging = true;
                return Ok(());
            }
            if begun.elapsed() > SETTLE {
                bail!(
                    "{} of {pods} pods are Ready, {} of {nodes} nodes seen",
                    sight.healthy_pods(),
                    sight.nodes().len()
                );
            }
        }
        sleep(Duration::from_millis(200));
    }
}

fn rehearse(args: &Args, bed: &Bed, watcher: &Watcher, exceptions: &Exceptions) -> Result<Outcome> {
    let mut controllers = Vec::new();
    for _ in 0..args.controllers.max(1) {
        controllers.push(bed.controller()?);
    }
    let boots_before = watcher
        .look()
        .nodes()
        .iter()
        .map(|(name, node)| (name.clone(), node.boot.clone()))
        .collect();
    let mut outcome = Outcome {
        began: now(),
        exit: None,
        boots_before,
        trouble: Trouble::new(args.trouble),
        explained: BTreeMap::new(),
        unknown: BTreeMap::new(),
    };
    let timeout = format!("{}m", args.minutes);
    let done = drive(bed, watcher, &mut controllers, &mut outcome, &timeout);
    if done.is_ok() {
        if outcome.trouble.wanted {
            outcome.unknown = unknown::retry(bed, watcher, &outcome.boots_before)?;
        }
        let others = bed.ready().nodes.iter().filter(|node| !exceptions.contains(node));
        let named = exceptions.lost.iter().chain(&exceptions.stuck);
        for node in named.chain(others.take(EXPLAINED_OF_OTHERS)) {
            let said = bed.junban(&["explain", node])?;
            let text = String::from_utf8_lossy(&said.stdout).into_owned();
            outcome.explained.insert(node.clone(), text);
        }
    }
    drop(controllers);
    watcher.stop();
    done.map(|()| outcome)
}

fn drive(
    bed: &Bed,
    watcher: &Watcher,
    controllers: &mut [Controller],
    outcome: &mut Outcome,
    timeout: &str,
) -> Result<()> {
    let nodes = bed.ready().nodes.len();
    outcome.began = now();
    say("junban reboot --all --wait")?;
    let mut reboot = bed.begin(
        &[
            "reboot",
            "--all",
            "--wait",
            "--timeout",
            timeout,
            "--reason",
            "rehearsal",
        ],
        "reboot.log",
    )?;
    let mut said = Instant::now();
    let ended = loop {
        if let Some(ended) = reboot.try_wait()? {
            break ended;
        }
        outcome.trouble.act(bed, controllers, watcher, nodes)?;
        for controller in controllers.iter_mut() {
            if let Some(status) = controller.ended()? {
                outcome
                    .trouble
                    .broken
                    .push(format!("a controller ended by itself: {status}"));
                *controller = bed.controller().context("start it again")?;
            }
        }
        if said.elapsed() > Duration::from_secs(20) {
            said = Instant::now();
            let sight = watcher.look();
            let rebooted = sight
                .nodes()
                .iter()
                .filter(|(name, node)| {
                    outcome.boots_before.get(*name) != Some(&node.boot) && !node.cordoned && node.ready
                })
                .count();
            let bad = sight.broken.len();
            drop(sight);
            say(&format!(
                "{:>5.0} s: {rebooted} of {nodes} nodes are back{}",
                now() - outcome.began,
                if bad > 0 {
                    format!(", {bad} musts broken")
                } else {
                    String::new()
                }
            ))?;
        }
        sleep(Duration::from_millis(200));
    };
    outcome.exit = ended.code();
    // The watches' last events.
    sleep(Duration::from_secs(2));
    Ok(())
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to stdout")
}
