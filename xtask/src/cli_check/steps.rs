//! The steps, in order: each leaves the cluster in the state that the next one needs.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::check::{BLOCKED, Check, DONE, FAILED, USAGE};

pub(super) fn all(check: &mut Check) -> Result<()> {
    bad_arguments(check)?;
    bad_ways_in(check)?;
    lint(check)?;
    not_installed(check)?;
    bad_goals(check)?;
    unreadable(check)?;
    bad_rights(check)?;
    paused(check)?;
    whole_run(check)?;
    server_that_does_not_return(check)?;
    cancels(check)?;
    cancels_without_nodes(check)
}

fn bad_arguments(check: &mut Check) -> Result<()> {
    check.junban("frobnicate", USAGE, &["frobnicate", "hint: junban --help"])?;
    check.junban("reboot", USAGE, &["--all | NODE... | -l SELECTOR"])?;
    let long = "x".repeat(1025);
    check.junban(
        &format!("pause --reason {long}"),
        USAGE,
        &["--reason", "more than 1024"],
    )?;
    check.junban("reboot --all node-1", USAGE, &["cannot be used with"])?;
    check.junban("reboot -l ''", USAGE, &["an empty selector selects nothing"])?;
    check.junban("reboot -l a=b=c", USAGE, &["is no selector"])?;
    check.junban("reboot --all --wait --timeout 5", USAGE, &["30m or 1h30m"])?;
    check.junban("cancel", USAGE, &[])?;
    check.junban("list -o xml", USAGE, &["xml"])?;
    check.junban("--help", DONE, &["reboot", "kubectl junban"])
}

fn bad_ways_in(check: &mut Check) -> Result<()> {
    check.junban(
        "list --kubeconfig /does/not/exist",
        USAGE,
        &["/does/not/exist", "No such file"],
    )?;
    check.junban("list --context nope", USAGE, &["nope", "get-contexts"])?;
    let admin = fs::read_to_string(&check.bed.ready.kubeconfig)?;
    let dead = admin.replace(&check.bed.ready.server, "https://127.0.0.1:1");
    let dead = check.bed.file("dead.kubeconfig", &dead)?;
    check.junban_with(
        &dead,
        "status",
        FAILED,
        &["https://127.0.0.1:1 cannot be reached"],
    )?;
    let frozen = check.bed.kubeconfig(&["--user", "testbed-admin", "--proxy"])?;
    check.bed.command("proxy", &["freeze"])?;
    let begun = Instant::now();
    check.junban_with(&frozen, "status", FAILED, &["does not answer within 5 s"])?;
    check.holds(
        "a server that never answers is reported within 8 s",
        begun.elapsed() < Duration::from_secs(8),
    )?;
    check.bed.command("proxy", &["thaw"]).map(drop)
}

fn lint(check: &mut Check) -> Result<()> {
    let bad = check.file("bad.yaml", BAD)?;
    check.junban(
        &format!("lint '{bad}'"),
        FAILED,
        &[
            "\"120%\"",
            "did you mean failures?",
            "lies in the future",
            "PolicyConflict",
            "an empty selector selects nothing",
            "4 errors",
        ],
    )?;
    check.junban("lint /does/not/exist", USAGE, &["No such file"])?;
    let good = check.file("good.yaml", GOOD)?;
    check.junban(&format!("lint '{good}'"), DONE, &["may be applied"])
}

fn not_installed(check: &mut Check) -> Result<()> {
    check.junban("status", FAILED, &["Junban is not installed", "kubectl apply"])?;
    check.junban("reboot --all", FAILED, &["Junban is not installed"])?;
    check.bed.apply_crds()?;
    check.junban(
        "reboot --all",
        FAILED,
        &["there is no RebootQueue", "manifests/defaults"],
    )?;
    check.junban("pause", FAILED, &["there is no RebootQueue"])?;
    check.holds(
        "pause creates no queue",
        check.kubectl("get rbq -o name")?.is_empty(),
    )?;
    check.bed.apply(&["junban", "defaults"])
}

fn bad_goals(check: &mut Check) -> Result<()> {
    check.junban(
        "reboot --all --dry-run",
        DONE,
        &["2 nodes", "NoDriver", "Nothing was changed"],
    )?;
    check.holds("a dry run sets no goal", goal(check, "workers")?.is_empty())?;
    check.junban(
        "reboot node-1 node-9",
        FAILED,
        &["there is no node named node-9: nothing was done"],
    )?;
    check.junban("reboot -l role=nobody", FAILED, &["no node has labels"])?;
    check.junban("explain node-9", FAILED, &["there is no node named node-9"])?;
    check.junban("cancel node-9", FAILED, &["there is no node named node-9"])?;
    check.junban("retry node-1", FAILED, &["no entry to retry"])?;
    check.holds("no entry was created", no_entries(check)?)?;

    let twin = check.file("twin.yaml", TWIN)?;
    check.kubectl(&format!("apply -f '{twin}'"))?;
    check.junban("reboot node-1", FAILED, &["have the same priority -1000"])?;
    check.junban("reboot --all", FAILED, &["have the same priority -1000"])?;
    check.junban("explain node-1", DONE, &["have the same priority -1000"])?;
    check.kubectl(&format!("delete -f '{twin}'"))?;
    check.holds("a conflict sets no goal", goal(check, "workers")?.is_empty())?;

    let future = json!({"spec": {"bootedAfter": "2099-01-01T00:00:00Z"}});
    check.bed.merge("rebootpolicy", "workers", &future)?;
    check.junban("reboot --all", FAILED, &["lies in the future", "--again"])?;
    check.junban("explain node-1", DONE, &["not due yet"])?;
    // kubectl owns the field now.
    check.junban(
        "reboot --all --again",
        FAILED,
        &["the goal of policy workers belongs to kubectl-patch"],
    )?;
    check.holds(
        "a goal that another manager owns stays",
        goal(check, "workers")?.starts_with("2099"),
    )?;
    check.holds(
        "and no other goal is set",
        goal(check, "control-plane")?.is_empty(),
    )?;
    check.junban(
        "cancel --all",
        DONE,
        &[
            "withdrawn",
            "the goal of policy workers belonged to kubectl-patch",
        ],
    )
}

/// An object that the server accepts and Junban cannot read.
fn unreadable(check: &mut Check) -> Result<()> {
    let unreadable = check.file("unreadable.yaml", UNREADABLE)?;
    check.kubectl(&format!("apply -f '{unreadable}'"))?;
    check.junban(
        "reboot --all --dry-run",
        DONE,
        &["2 nodes", "policy unreadable cannot be read"],
    )?;
    let all_yaml = "get rebootpolicies,rebootqueues -o yaml";
    let all = check.kubectl(all_yaml)?;
    let all = check.file("all.yaml", &all)?;
    check.junban(
        &format!("lint '{all}'"),
        FAILED,
        &["(RebootPolicy unreadable)", "cannot be the key of a label"],
    )?;
    check.kubectl(&format!("delete -f '{unreadable}'"))?;
    let all = check.kubectl(all_yaml)?;
    let all = check.file("all.yaml", &all)?;
    check.junban(&format!("lint '{all}'"), DONE, &["1 files may be applied"])
}

fn bad_rights(check: &mut Check) -> Result<()> {
    let stranger = check.bed.kubeconfig(&["--user", "stranger"])?;
    check.junban_with(
        &stranger,
        "status",
        FAILED,
        &["you may not list rebootqueues", "junban-view"],
    )?;
    let viewer = check.bed.kubeconfig(&["--user", "viewer"])?;
    check.kubectl("create clusterrolebinding viewer --clusterrole=junban-view --user=viewer")?;
    check.junban_with(&viewer, "status", DONE, &["Queue:"])?;
    check.junban_with(&viewer, "explain node-1", DONE, &["Node node-1"])?;
    check.junban_with(
        &viewer,
        "reboot node-1",
        FAILED,
        &["you may not create nodereboots"],
    )?;
    check.junban_with(
        &viewer,
        "reboot --all",
        FAILED,
        &["you may not patch rebootpolicies"],
    )?;
    check.junban_with(&viewer, "pause", FAILED, &["you may not patch rebootqueues"])?;
    check.holds(
        "an account that may only read changes nothing",
        no_entries(check)? && goal(check, "workers")?.is_empty(),
    )
}

fn paused(check: &mut Check) -> Result<()> {
    let ladder = json!({"spec": {
        "minInterval": "0s",
        "reboot": {"bootTimeout": "25s", "ladder": [{"driver": "command", "command": check.bed.ready.power_command}]},
    }});
    check.bed.merge("rebootpolicy", "workers", &ladder)?;
    check.start_controller()?;
    check.junban(
        "pause --reason 'change freeze'",
        DONE,
        &["rebootqueue/default paused"],
    )?;
    check.junban("pause", DONE, &["was paused already"])?;
    check.junban(
        "reboot node-1 --reason test",
        DONE,
        &["created for node node-1", "junban resume"],
    )?;
    check.junban("reboot node-1", DONE, &["joined: it is Queued already"])?;
    check.junban(
        "reboot node-1 --wait",
        BLOCKED,
        &["somebody is needed for: node-1 (Paused)", "hint: junban resume"],
    )?;
    check.junban(
        "explain node-1",
        DONE,
        &["Paused", "change freeze", "since:", "hint: junban resume"],
    )?;
    check.junban("status", DONE, &["Queue: Paused (change freeze)", "[node-1]"])?;
    check.junban("retry node-1", FAILED, &["nothing to retry"])?;
    check.junban("cancel node-1", DONE, &["cancelled"])?;
    until("the entry is Cancelled", || {
        Ok(phase(check, "node-1")? == "Cancelled")
    })?;
    let waived = check.kubectl("get node node-1 -o jsonpath={.metadata.annotations.junban\\.dev/waived}")?;
    check.holds("the goal is waived on the Node", !waived.is_empty())?;
    check.junban("resume", DONE, &["rebootqueue/default resumed"])?;
    check.holds("nothing was rebooted", power_actions(check) == 0)
}

fn whole_run(check: &mut Check) -> Result<()> {
    check.junban(
        "reboot --all --wait --timeout 1s --reason firmware",
        BLOCKED,
        &["goal set to", "after 1s it is not over", "hint: junban status"],
    )?;
    let first = goal(check, "workers")?;
    check.junban("reboot --all", DONE, &["joined the goal"])?;
    check.holds("a second call joins", goal(check, "workers")? == first)?;
    check.junban("reboot --all --wait --timeout 3m", DONE, &["2 of 2 done"])?;
    check.holds("every server was rebooted once", power_actions(check) == 2)?;
    check.junban("status", DONE, &["2 of 2 servers done"])?;
    check.junban("explain node-1", DONE, &["is met: it has booted since"])?;
    check.junban("list", DONE, &["NODE", "node-1", "node-2", "Succeeded"])?;
    let list: Value = serde_json::from_str(&check.output_of("list -o json")?)?;
    check.holds(
        "the json is a List of objects",
        list["kind"] == "List" && list["items"][0]["kind"] == "NodeReboot",
    )?;
    let names = check.output_of("list -o name")?;
    check.holds(
        "kubectl accepts the names",
        names.lines().count() == 2
            && names
                .lines()
                .all(|name| check.kubectl(&format!("get {name}")).is_ok()),
    )?;
    let status: Value = serde_json::from_str(&check.output_of("status -o json")?)?;
    check.holds("the status counts", status["done"] == 2 && status["total"] == 2)
}

fn server_that_does_not_return(check: &mut Check) -> Result<()> {
    check.bed.command("machine", &["node-2", "never-returns"])?;
    check.junban(
        "reboot node-2 --wait",
        FAILED,
        &["failed: node-2 (BootTimeout)", "hint: junban explain node-2"],
    )?;
    check.junban(
        "explain node-2",
        DONE,
        &["BootTimeout", "junban retry node-2", "junban cancel node-2"],
    )?;
    check.junban("status", DONE, &["Failed:", "BootTimeout [node-2]"])?;
    check.junban("reboot node-2", DONE, &["joined: it is Failed (BootTimeout)"])?;
    check.junban(
        "cancel --all",
        DONE,
        &["withdrawn", "failed, and left as they are: node-2"],
    )?;
    check.holds("no policy has a goal", goal(check, "workers")?.is_empty())?;
    check.junban("retry node-2", DONE, &["one more round"])?;
    check.bed.command("machine", &["node-2", "heal"])?;
    until("the retried entry succeeds", || {
        Ok(phase(check, "node-2")? == "Succeeded")
    })?;
    check.junban("retry node-2", FAILED, &["nothing to retry"])?;
    check.junban("cancel node-2", FAILED, &["no entry that could be cancelled"])
}

fn cancels(check: &mut Check) -> Result<()> {
    check.bed.command("machine", &["node-1", "slow=2"])?;
    check.junban("reboot node-1", DONE, &["created"])?;
    until("node-1 has had its power action", || {
        Ok(phase(check, "node-1")? == "Rebooting")
    })?;
    check.junban("cancel node-1", FAILED, &["seen through", "node-1 (Rebooting)"])?;
    until("the reboot is finished", || {
        Ok(phase(check, "node-1")? == "Succeeded")
    })?;
    check.bed.command("machine", &["node-1", "heal"])?;

    check.junban("reboot node-2", DONE, &["created"])?;
    until("node-2 drains", || Ok(phase(check, "node-2")? == "Draining"))?;
    check.junban("cancel --all", DONE, &["given back"])?;
    until("the node is back in service", || {
        let cordon = "get node node-2 -o jsonpath={.spec.unschedulable}";
        Ok(phase(check, "node-2")? == "Cancelled" && check.kubectl(cordon)?.is_empty())
    })?;
    check.junban("cancel --all", DONE, &["nothing to cancel"])?;
    check.junban("explain node-2", DONE, &["has no goal"])
}

/// An account that may not write the waiver can cancel: the command ends when the controller has cancelled the entry.
fn cancels_without_nodes(check: &mut Check) -> Result<()> {
    let canceller = check.bed.kubeconfig(&["--user", "canceller"])?;
    check.kubectl("create clusterrole canceller --verb=patch --resource=nodereboots.junban.dev")?;
    for role in ["canceller", "junban-view"] {
        check.kubectl(&format!(
            "create clusterrolebinding canceller-{role} --clusterrole={role} --user=canceller"
        ))?;
    }
    check.junban("pause", DONE, &["paused"])?;
    check.junban("reboot node-2", DONE, &["created"])?;
    check.junban_with(
        &canceller,
        "cancel node-2",
        DONE,
        &["you may not annotate node node-2", "cancelled"],
    )?;
    check.holds(
        "the command ended after the entry",
        phase(check, "node-2")? == "Cancelled",
    )?;
    check.junban("resume", DONE, &["resumed"])
}

/// How many power actions there were: each is a line of the power log.
fn power_actions(check: &Check) -> usize {
    fs::read_to_string(&check.bed.ready.power_log).map_or(0, |log| log.lines().count())
}

fn goal(check: &Check, policy: &str) -> Result<String> {
    check.kubectl(&format!(
        "get rebootpolicy {policy} -o jsonpath={{.spec.bootedAfter}}"
    ))
}

fn no_entries(check: &Check) -> Result<bool> {
    Ok(check.kubectl("get nodereboots -o name")?.is_empty())
}

/// The phase of the newest entry.
fn phase(check: &Check, node: &str) -> Result<String> {
    let phases = check.kubectl(&format!(
        "get nodereboots -l junban.dev/node={node} --sort-by=.metadata.creationTimestamp \
         -o 'jsonpath={{range .items[*]}}{{.status.phase}}{{\"\\n\"}}{{end}}'"
    ))?;
    Ok(phases.lines().last().unwrap_or_default().to_owned())
}

fn until(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        if begun.elapsed() > Duration::from_secs(90) {
            bail!("after 90 s this does not hold: {what}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

const BAD: &str = r#"apiVersion: junban.dev/v1alpha1
kind: RebootQueue
metadata: {name: default}
spec: {maxUnavailable: 120%, failurs: {max: 1}}
---
apiVersion: junban.dev/v1alpha1
kind: RebootPolicy
metadata: {name: a}
spec: {nodeSelector: {matchLabels: {role: worker}}, priority: 1, bootedAfter: "2099-01-01T00:00:00Z"}
---
apiVersion: junban.dev/v1alpha1
kind: RebootPolicy
metadata: {name: b}
spec: {nodeSelector: {matchLabels: {role: worker}}, priority: 1}
---
apiVersion: junban.dev/v1alpha1
kind: RebootPolicy
metadata: {name: c}
spec: {nodeSelector: {}, priority: 1}
"#;

const GOOD: &str = r#"apiVersion: junban.dev/v1alpha1
kind: RebootPolicy
metadata: {name: a}
spec:
  nodeSelector: {matchLabels: {role: worker}}
  priority: 1
  reboot: {ladder: [{driver: command, command: [/bin/reboot-it]}]}
"#;

/// A schema cannot restrict the keys of a map, so the server accepts this one.
const UNREADABLE: &str = "apiVersion: junban.dev/v1alpha1
kind: RebootPolicy
metadata: {name: unreadable}
spec: {nodeSelector: {matchLabels: {role: nobody}}, priority: 5, drain: {jobs: {evict: {matchLabels: {not a key: a}}}}}
";

/// Selects the same nodes as the default policy, with the same priority.
const TWIN: &str = r#"apiVersion: junban.dev/v1alpha1
kind: RebootPolicy
metadata: {name: twin}
spec:
  priority: -1000
  nodeSelector: {matchLabels: {role: worker}}
"#;
