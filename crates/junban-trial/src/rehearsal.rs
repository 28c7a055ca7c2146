//! The rehearsal: does what a person would do who wants to judge Junban. It starts a cluster with real control planes,
//! simulated machines and load, runs the controller with the token of its account, and calls
//! `junban reboot --all --wait`. An administrator's watches see what the users of the cluster see. At the end a report
//! judges what the watches, the audit logs and the power log show.

mod args;
mod budgets;
mod logs;
mod report;
mod say;
mod seen;
mod starts;
mod trouble;
mod turns;
mod unknown;
mod workload;

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use junban_testbed::junban::Controller;
use junban_world::Pod;
use serde_json::json;

pub use args::Args;
use args::Exceptions;
use report::RunRecord;
use say::say;
use trouble::Trouble;
use workload::APP;

use crate::testbed::Testbed;
use crate::time::now;
use crate::watched::Watched;

/// Much longer than the slowest simulated boot takes.
const BOOT_TIMEOUT: &str = "90s";
/// `junban explain` is also called for this many servers that were rebooted.
const EXPLAINED_OF_OTHERS: usize = 5;
/// A workload that is not Ready after this time never is.
const SETTLE: Duration = Duration::from_secs(300);
/// After this time the slowest watch has shown the last write of a run.
const SHOWN_AFTER: Duration = Duration::from_secs(3);
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
    let bed = Testbed::up(&args.testbed, &args.manifests, &args.program, &flags)?;
    bed.apply_objects(&workload.objects)?;
    configure(&bed)?;
    let mut watched = Watched::start(&bed.ready.kubeconfig, &bed.ready.power_log)?;
    let pods = workload.pods;
    let nodes = bed.ready.nodes.len();
    settle(&mut watched, pods, nodes)?;
    say(&format!("{pods} pods are Ready on {nodes} nodes"))?;
    let record = rehearse(args, &bed, &mut watched, &exceptions)?;
    let judged = report::report(&bed, &watched, &exceptions, &record, pods)?;
    let (held, broken) = (judged.held, judged.broken);
    let keep = args.keep || !broken.is_empty();
    let logs = bed.keep_logs(keep);
    if keep {
        say(&format!("logs: {}", logs.display()))?;
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

/// Sets the power command and the URLs of the control plane.
fn configure(bed: &Testbed) -> Result<()> {
    let ready = &bed.ready;
    let reboot = json!({"spec": {"reboot": {
        "bootTimeout": BOOT_TIMEOUT,
        "ladder": [{"driver": "command", "command": ready.power_command}],
    }}});
    for policy in ["workers", "control-plane", "etcd"] {
        bed.merge("rebootpolicy", policy, &reboot)?;
    }
    let urls = json!({"spec": {"controlPlane": {
        "apiServers": ready.api_servers, "etcd": ready.etcd.health,
    }}});
    bed.merge("rebootqueue", "default", &urls)
}

/// Waits until every pod of the workload is Ready and every node is seen. From then on rules are judged.
fn settle(watched: &mut Watched, pods: usize, nodes: usize) -> Result<()> {
    watched.wait_for_lists()?;
    let begun = Instant::now();
    loop {
        let store = watched.live().store();
        let is_ready = |pod: &Pod| pod.status.ready && !pod.terminating();
        let of_apps = store.pods().filter(|pod| pod.meta.labels.contains_key(APP));
        let ready = of_apps.filter(|pod| is_ready(pod)).count();
        let found = store.nodes().count();
        if ready == pods && found == nodes {
            watched.begin();
            return Ok(());
        }
        if begun.elapsed() > SETTLE {
            bail!("{ready} of {pods} pods are Ready, {found} of {nodes} nodes seen");
        }
        watched.wait_out(Duration::from_millis(200))?;
    }
}

/// Starts the controllers, reboots the cluster, and asks Junban to explain some nodes.
fn rehearse(args: &Args, bed: &Testbed, watched: &mut Watched, exceptions: &Exceptions) -> Result<RunRecord> {
    let mut controllers = Vec::new();
    for _ in 0..args.controllers.max(1) {
        controllers.push(bed.controller()?);
    }
    let mut record = RunRecord {
        began: seconds_now(),
        exit: None,
        trouble: Trouble::new(args.trouble),
        explained: BTreeMap::new(),
        unknown: BTreeMap::new(),
    };
    let timeout = format!("{}m", args.minutes);
    let done = reboot_all(bed, watched, &mut controllers, &mut record, &timeout);
    if done.is_ok() {
        if record.trouble.wanted {
            record.unknown = unknown::retry(bed, watched)?;
        }
        let others = bed.ready.nodes.iter().filter(|node| !exceptions.contains(node));
        let named = exceptions.lost.iter().chain(&exceptions.stuck);
        for node in named.chain(others.take(EXPLAINED_OF_OTHERS)) {
            record.explained.insert(node.clone(), bed.explain(node)?);
        }
    }
    drop(controllers);
    done.map(|()| record)
}

/// Calls `junban reboot --all --wait`. Until it ends, makes trouble, starts controllers again that ended by themselves,
/// and prints the progress.
fn reboot_all(
    bed: &Testbed,
    watched: &mut Watched,
    controllers: &mut [Controller],
    record: &mut RunRecord,
    timeout: &str,
) -> Result<()> {
    record.began = seconds_now();
    say("junban reboot --all --wait")?;
    let mut arguments = vec!["reboot", "--all", "--wait", "--timeout", timeout];
    arguments.extend(["--reason", "rehearsal"]);
    let log = File::create(bed.logs.join("reboot.log"))?;
    let mut reboot = bed.command_of_a_person(&arguments);
    let mut reboot = reboot.stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut said = Instant::now();
    let ended = loop {
        if let Some(ended) = reboot.try_wait()? {
            break ended;
        }
        record.trouble.act(bed, controllers, &watched.facts())?;
        for controller in controllers.iter_mut() {
            if let Some(status) = controller.ended()? {
                let what = format!("a controller ended by itself: {status}");
                record.trouble.broken.push(what);
                *controller = bed.controller().context("start it again")?;
            }
        }
        if said.elapsed() > PROGRESS_EVERY {
            said = Instant::now();
            say(&progress(watched, record))?;
        }
        watched.wait_out(Duration::from_millis(200))?;
    };
    record.exit = ended.code();
    watched.wait_out(SHOWN_AFTER)?;
    Ok(())
}

fn progress(watched: &Watched, record: &RunRecord) -> String {
    let nodes = watched.facts().nodes;
    let back = nodes.values().filter(|node| node.is_back()).count();
    let seconds = seconds_now() - record.began;
    format!("{seconds:>5.0} s: {back} of {} nodes are back", nodes.len())
}

/// Seconds since 1970.
fn seconds_now() -> f64 {
    now() as f64 / 1_000.0
}
