//! The rehearsal: does what a person would do who wants to judge Junban. It starts a cluster with real control planes,
//! simulated machines and load, runs the controller with the token of its account, and calls
//! `junban reboot --all --wait`. A watcher that shares no code with Junban sees what the users of the cluster see. At the
//! end a report judges what the watcher, the audit logs and the power log show.

mod args;
mod budgets;
mod logs;
mod report;
mod say;
mod starts;
mod stream;
mod testbed;
mod trouble;
mod turns;
mod unknown;
mod watcher;
mod workload;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use junban_testbed::junban::Controller;

pub use args::Args;
use args::Exceptions;
use report::RunRecord;
use say::say;
use testbed::InstalledTestbed;
use trouble::Trouble;
use watcher::{Watcher, now};

/// Much longer than the slowest simulated boot takes.
const BOOT_TIMEOUT: &str = "90s";
/// `junban explain` is also called for this many servers that were rebooted.
const EXPLAINED_OF_OTHERS: usize = 5;
/// A workload that is not Ready after this time never is.
const SETTLE: Duration = Duration::from_secs(300);
const PROGRESS_EVERY: Duration = Duration::from_secs(20);

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
    let bed = InstalledTestbed::up(args, &workload.objects, &flags)?;
    bed.install(BOOT_TIMEOUT)?;
    let watcher = Watcher::start(&bed.ready().kubectl, &workload.apps);
    let pods = workload.apps.iter().map(|app| app.replicas).sum();
    let nodes = bed.ready().nodes.len();
    settle(&watcher, pods, nodes)?;
    say(&format!("{pods} pods are Ready on {nodes} nodes"))?;
    let record = rehearse(args, &bed, &watcher, &exceptions)?;
    let judged = report::report(&bed, &watcher, &exceptions, &record, pods)?;
    let (held, broken) = (judged.held, judged.broken);
    if let Some(kept) = bed.end(args.keep || !broken.is_empty())? {
        say(&format!("logs: {}", kept.display()))?;
    }
    // `cargo xtask test` counts this line: it has the form that Rust's test runner prints.
    let word = if broken.is_empty() { "ok" } else { "FAILED" };
    let failed = broken.len();
    say(&format!("test result: {word}. {held} passed; {failed} failed"))?;
    if failed > 0 {
        bail!("broken: {}", broken.join("; "));
    }
    Ok(())
}

/// Waits until every pod of the workload is Ready and the watcher sees every node. From then on rules are judged.
fn settle(watcher: &Watcher, pods: usize, nodes: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        {
            let mut seen = watcher.seen();
            let (ready, found) = (seen.healthy_pods(), seen.nodes().len());
            if ready == pods && found == nodes {
                seen.judging = true;
                return Ok(());
            }
            if begun.elapsed() > SETTLE {
                bail!("{ready} of {pods} pods are Ready, {found} of {nodes} nodes seen");
            }
        }
        sleep(Duration::from_millis(200));
    }
}

/// Starts the controllers, reboots the cluster, and asks Junban to explain some nodes.
fn rehearse(
    args: &Args,
    bed: &InstalledTestbed,
    watcher: &Watcher,
    exceptions: &Exceptions,
) -> Result<RunRecord> {
    let mut controllers = Vec::new();
    for _ in 0..args.controllers.max(1) {
        controllers.push(bed.controller()?);
    }
    let boots_before = watcher
        .seen()
        .nodes()
        .iter()
        .map(|(name, node)| (name.clone(), node.boot.clone()))
        .collect();
    let mut record = RunRecord {
        began: now(),
        exit: None,
        boots_before,
        trouble: Trouble::new(args.trouble),
        explained: BTreeMap::new(),
        unknown: BTreeMap::new(),
    };
    let timeout = format!("{}m", args.minutes);
    let done = reboot_all(bed, watcher, &mut controllers, &mut record, &timeout);
    if done.is_ok() {
        if record.trouble.wanted {
            record.unknown = unknown::retry(bed, watcher, &record.boots_before)?;
        }
        let others = bed.ready().nodes.iter().filter(|node| !exceptions.contains(node));
        let named = exceptions.lost.iter().chain(&exceptions.stuck);
        for node in named.chain(others.take(EXPLAINED_OF_OTHERS)) {
            record.explained.insert(node.clone(), bed.explain(node)?);
        }
    }
    drop(controllers);
    watcher.stop();
    done.map(|()| record)
}

/// Calls `junban reboot --all --wait`. Until it ends, makes trouble, starts controllers again that ended by themselves,
/// and prints the progress.
fn reboot_all(
    bed: &InstalledTestbed,
    watcher: &Watcher,
    controllers: &mut [Controller],
    record: &mut RunRecord,
    timeout: &str,
) -> Result<()> {
    let nodes = bed.ready().nodes.len();
    record.began = now();
    say("junban reboot --all --wait")?;
    let mut arguments = vec!["reboot", "--all", "--wait", "--timeout", timeout];
    arguments.extend(["--reason", "rehearsal"]);
    let mut reboot = bed.begin(&arguments, "reboot.log")?;
    let mut said = Instant::now();
    let ended = loop {
        if let Some(ended) = reboot.try_wait()? {
            break ended;
        }
        record.trouble.act(bed, controllers, watcher, nodes)?;
        for controller in controllers.iter_mut() {
            if let Some(status) = controller.ended()? {
                let what = format!("a controller ended by itself: {status}");
                record.trouble.broken.push(what);
                *controller = bed.controller().context("start it again")?;
            }
        }
        if said.elapsed() > PROGRESS_EVERY {
            said = Instant::now();
            say(&progress(watcher, record, nodes))?;
        }
        sleep(Duration::from_millis(200));
    };
    record.exit = ended.code();
    // The watches still show the last events.
    sleep(Duration::from_secs(2));
    Ok(())
}

fn progress(watcher: &Watcher, record: &RunRecord, nodes: usize) -> String {
    let seen = watcher.seen();
    let is_back = |(name, node): &(&String, &watcher::Node)| {
        record.boots_before.get(*name) != Some(&node.boot) && node.available()
    };
    let back = seen.nodes().iter().filter(is_back).count();
    let broken = match seen.broken.len() {
        0 => String::new(),
        count => format!(", {count} rules broken"),
    };
    let seconds = now() - record.began;
    format!("{seconds:>5.0} s: {back} of {nodes} nodes are back{broken}")
}
