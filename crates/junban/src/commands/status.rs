//! `junban status`: how far the queue is, what blocks it and what would help. It reads the status of Junban's objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use junban_api::convert::{format_goal, format_span};
use junban_api::names;
use junban_core::blocker::Blocker;
use junban_core::cluster::{Cluster, QueueView};
use junban_core::derived::Derived;
use junban_core::detail::Detail;
use junban_core::entry::{Entry, Phase};
use junban_core::explain;
use junban_core::gates::pause;
use junban_core::ids::{EntryName, natural};
use junban_core::memory::Memory;
use junban_core::policy::Policy;
use junban_core::reason::{Class, Reason};
use junban_core::verbs::wait::needs_somebody;
use junban_engine::shell::locked;
use junban_kube::Store;
use junban_kube::list_once::Scope;
use serde::Serialize;

use super::columns::{or_dash, some, table};
use super::cost::{self, Cost};
use super::leader::{self, Leader, NoLeader};
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::snapshot::{self, Snapshot};
use super::watch;
use crate::cli::{self, Output};

/// The shortest time between two pictures: events come in bursts.
const REFRESH: Duration = Duration::from_millis(500);
const BAR_WIDTH: usize = 30;

pub(crate) async fn run(
    session: &Session,
    arguments: &cli::Status,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    // For the cost every pod must be listed, so it is shown only on demand.
    let wide = printer.format == Output::Wide && !arguments.watch;
    let scope = if wide { Scope::Everything } else { Scope::Nodes };
    let snapshot = Snapshot::take(session, scope).await?;
    let mut status = Status::of(&snapshot.cluster, session.now());
    let (mut leader, _) = Leader::read(session).await;
    status.no_leader = leader.none().cloned();
    if wide {
        status.cost = Some(cost_of_rest(&snapshot.cluster, session.now()));
    }
    show(&status, printer)?;
    if !arguments.watch {
        return Ok(Exit::Done);
    }
    let store = Arc::new(Store::new(names::NAMESPACE));
    locked(&store.cluster).nodes = snapshot.cluster.nodes;
    let _watches = watch::follow(session, &store).await?;
    let mut last = Some(status);
    let mut staleness = watch::Staleness::default();
    let mut look_again = tokio::time::Instant::now() + leader::EVERY;
    loop {
        let (status, note) = {
            let cluster = locked(&store.cluster);
            let note = staleness.note(cluster.stale.as_ref());
            let mut status = Status::of(&cluster, session.now());
            status.no_leader = leader.none().cloned();
            (status, note)
        };
        if last.as_ref() != Some(&status) {
            if printer.format == Output::Table {
                // Clears the screen of a terminal. The printer drops the codes for a file, which gets an empty line.
                printer.data("\u{1b}[2J\u{1b}[H");
            }
            show(&status, printer)?;
            last = Some(status);
        }
        if let Some(note) = note {
            printer.message(&note);
        }
        if printer.is_closed() {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = store.changed.notified() => tokio::time::sleep(REFRESH).await,
            () = tokio::time::sleep_until(look_again) => {
                leader = Leader::read(session).await.0;
                // Nodes are not watched, because their status changes all the time.
                if let Ok(snapshot) = Snapshot::with_nodes(session).await {
                    locked(&store.cluster).nodes = snapshot.cluster.nodes;
                }
                look_again = tokio::time::Instant::now() + leader::EVERY;
            }
            // A user ends the watch with Ctrl-C: that is no failure.
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

fn show(status: &Status, printer: &mut Printer) -> Result<(), Problem> {
    if printer.format == Output::Name {
        printer.data("rebootqueue.junban.dev/default");
        return Ok(());
    }
    printer.value(status, || status.describe())
}

/// What the command shows.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    no_leader: Option<NoLeader>,
    state: String,
    message: String,
    hint: String,
    /// Nodes of all goals, and how many of them have booted since.
    total: u32,
    done: u32,
    phases: BTreeMap<String, u32>,
    policies: Vec<PolicyStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_bound_seconds: Option<u64>,
    bound_by: String,
    /// How long the rest takes at the pace so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_seconds: Option<u64>,
    /// Nodes that hold places of maxUnavailable.
    holding: Vec<String>,
    blockers: Vec<ReasonWithNodes>,
    /// Objects that cannot be read.
    unreadable: Vec<String>,
    /// What the reboots of the remaining nodes will cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Cost>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyStatus {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<String>,
    goal_is_due: bool,
    desired: u32,
    done: u32,
    active: u32,
    failed: u32,
    problem: String,
    message: String,
    hint: String,
}

/// Nodes that wait for the same reason, or failed for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReasonWithNodes {
    reason: String,
    failed: bool,
    needs_somebody: bool,
    message: String,
    hint: String,
    nodes: Vec<String>,
}

impl Status {
    fn of(cluster: &Cluster, now: Timestamp) -> Self {
        let entries = snapshot::turns(cluster, now);
        // What the nodes show now. The stored reasons are seconds behind.
        let clocks = snapshot::now(cluster, now, None);
        let live = if cluster.nodes.is_empty() {
            BTreeMap::new()
        } else {
            explain::of_queued(cluster, &Memory::default(), clocks)
        };
        let policies = cluster.policies.values();
        let mut status = Self {
            policies: policies.map(|policy| PolicyStatus::new(policy, now)).collect(),
            eta_seconds: eta(cluster, &entries),
            blockers: blockers(&cluster.queue, &entries, &live),
            unreadable: cluster
                .unreadable()
                .map(|(key, text)| format!("{key}: {text}"))
                .collect(),
            ..Self::default()
        };
        status.read_queue(&cluster.queue);
        if !cluster.nodes.is_empty() {
            status.holding = explain::holding(cluster, &Memory::default(), clocks);
        }
        for policy in status.policies.iter().filter(|policy| policy.goal.is_some()) {
            status.total += policy.desired;
            status.done += policy.done;
        }
        // Counted here, because the counts in the policies' status are seconds behind.
        for entry in entries {
            *status.phases.entry(entry.record.phase.to_string()).or_default() += 1;
        }
        status
    }

    fn read_queue(&mut self, queue: &QueueView) {
        let pause = pause::of(queue);
        if let Some(blocker) = &pause {
            self.state = Reason::Paused.to_string();
            self.message = match &blocker.detail {
                // "Paused" is said already.
                Detail::PausedBecause(reason) => reason.clone(),
                _ => blocker.to_string(),
            };
            self.hint = blocker.hint().to_owned();
        }
        let Some(queue) = queue.present() else { return };
        let summary = &queue.summary;
        if pause.is_none() {
            self.state.clone_from(&summary.state);
            self.message.clone_from(&summary.message);
            self.hint = hint(&self.state);
        } else if !summary.trouble.is_empty() {
            self.message.push_str(&format!("; {} as well", summary.trouble));
        }
        if summary.observed_generation < queue.generation {
            self.message
                .push_str(if self.message.is_empty() { "" } else { "; " });
            self.message
                .push_str("no controller has seen the last change yet");
            self.hint = "kubectl get pods -n junban; kubectl get lease junban -n junban".to_owned();
        }
        if self.state.is_empty() {
            self.state = "Unknown".to_owned();
        }
        self.lower_bound_seconds = summary.lower_bound_seconds;
        self.bound_by.clone_from(&summary.bound_by);
        self.holding.clone_from(&summary.holding);
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(none) = &self.no_leader {
            text.push_str(&format!("{}\nAs the last controller left it:\n", none.describe()));
        }
        text.push_str(&format!("Queue: {}", self.state));
        if !self.message.is_empty() {
            text.push_str(&format!(" ({})", self.message));
        }
        if !self.hint.is_empty() {
            text.push_str(&format!("\n  hint: {}", self.hint));
        }
        text.push_str(&self.progress());
        if self.policies.is_empty() {
            text.push_str("\n\nNo policy selects any node: there is no RebootPolicy\n  hint: kubectl apply --server-side -f manifests/defaults");
        } else {
            text.push_str("\n\n");
            text.push_str(&self.policy_table());
        }
        if !self.holding.is_empty() {
            text.push_str(&format!("\n\nUnavailable now:\n  {}", self.holding.join("\n  ")));
        }
        for (heading, failed) in [("Failed:", true), ("Waiting:", false)] {
            let of_kind: Vec<String> = self
                .blockers
                .iter()
                .filter(|blocker| blocker.failed == failed)
                .map(ReasonWithNodes::describe)
                .collect();
            if !of_kind.is_empty() {
                text.push_str(&format!("\n\n{heading}\n{}", of_kind.join("\n")));
            }
        }
        let cost = self.cost.as_ref().map_or_else(String::new, Cost::describe);
        if !cost.is_empty() {
            text.push_str(&format!("\n{}", cost.trim_end()));
        }
        if !self.unreadable.is_empty() {
            text.push_str(&format!(
                "\n\nLeft out, because they cannot be read:\n  {}\n  hint: kubectl get rebootpolicies,nodereboots -o yaml | junban lint -",
                self.unreadable.join("\n  ")
            ));
        }
        text
    }

    fn progress(&self) -> String {
        let has_goal = self.policies.iter().any(|policy| policy.goal.is_some());
        if self.total == 0 && self.phases.is_empty() {
            if has_goal {
                return "\nNo entries yet".to_owned();
            }
            return "\nNothing is queued\n  hint: junban reboot --all --dry-run".to_owned();
        }
        let mut text = String::new();
        if self.total > 0 {
            let full = (self.done.min(self.total) as usize * BAR_WIDTH) / self.total as usize;
            text.push_str(&format!(
                "\n[{}{}] {} of {} servers done",
                "=".repeat(full),
                " ".repeat(BAR_WIDTH - full),
                self.done,
                self.total
            ));
        }
        let counts: Vec<String> = Phase::ALL
            .iter()
            .filter_map(|phase| Some(format!("{} {phase}", self.phases.get(phase.as_str())?)))
            .collect();
        if !counts.is_empty() {
            text.push_str(&format!("\nEntries: {}", counts.join(", ")));
        }
        let span = |seconds| format_span(Duration::from_secs(seconds));
        if let Some(seconds) = self.eta_seconds {
            text.push_str(&format!("\nAbout {} more at the pace so far", span(seconds)));
        }
        if let Some(seconds) = self.lower_bound_seconds {
            let bound = span(seconds);
            text.push_str(&format!("\nAt least {bound} more; what binds: {}", self.bound_by));
        }
        text
    }

    fn policy_table(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .policies
            .iter()
            .map(|policy| {
                vec![
                    policy.name.clone(),
                    match &policy.goal {
                        Some(goal) if !policy.goal_is_due => format!("{goal} (not due yet)"),
                        goal => or_dash(goal.as_deref().unwrap_or_default()),
                    },
                    policy.desired.to_string(),
                    policy.done.to_string(),
                    policy.active.to_string(),
                    policy.failed.to_string(),
                    or_dash(&policy.problem),
                ]
            })
            .collect();
        let mut text = table(
            &["POLICY", "GOAL", "DESIRED", "DONE", "ACTIVE", "FAILED", "PROBLEM"],
            &rows,
        );
        // That a goal lies in the future stands in the table already.
        let says_more = |policy: &&PolicyStatus| {
            let is_future = policy.goal.is_some() && !policy.goal_is_due && policy.problem.is_empty();
            !policy.message.is_empty() && !is_future
        };
        for policy in self.policies.iter().filter(says_more) {
            text.push_str(&format!("\n  {}: {}", policy.name, policy.message));
            if !policy.hint.is_empty() {
                text.push_str(&format!("\n    hint: {}", policy.hint));
            }
        }
        text
    }
}

impl ReasonWithNodes {
    fn describe(&self) -> String {
        let mut text = format!("  {} [{}]", self.reason, some(&self.nodes, 6));
        if !self.message.is_empty() {
            text.push_str(&format!(": {}", self.message));
        }
        if !self.hint.is_empty() {
            text.push_str(&format!("\n    hint: {}", self.hint));
        }
        text
    }
}

impl PolicyStatus {
    fn new(policy: &Policy, now: Timestamp) -> Self {
        let summary = &policy.summary;
        Self {
            name: policy.name.to_string(),
            goal: policy.booted_after.map(format_goal),
            goal_is_due: policy.booted_after.is_some_and(|goal| goal <= now),
            desired: summary.desired,
            done: summary.done,
            active: summary.active,
            failed: summary.failed,
            problem: summary.problem.clone(),
            message: summary.message.clone(),
            hint: hint(&summary.problem),
        }
    }
}

/// The hint of the reason of this name, if there is one.
fn hint(reason: &str) -> String {
    Reason::named(reason).map_or_else(String::new, |reason| reason.hint().to_owned())
}

/// The cost of the nodes whose entries are Queued or Draining.
fn cost_of_rest(cluster: &Cluster, now: Timestamp) -> Cost {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, snapshot::now(cluster, now, None));
    let rest = derived
        .turns
        .values()
        .filter(|turn| matches!(turn.phase(), Phase::Queued | Phase::Draining));
    let nodes = rest.map(|turn| turn.entry.spec.node.clone()).collect();
    cost::of(cluster, &derived, &nodes)
}

/// How long the rest will take if it goes on at the pace of the same goals so far. The rest are entries that need no
/// person. `None` before two nodes are proven, and when nothing is left.
fn eta(cluster: &Cluster, entries: &[&Entry]) -> Option<u64> {
    let goals: BTreeSet<_> = cluster
        .policies
        .values()
        .filter_map(|policy| Some((&policy.name, policy.booted_after?)))
        .collect();
    let of_goals = entries
        .iter()
        .filter(|entry| goals.contains(&(&entry.spec.policy, entry.spec.booted_after)));
    let goes_on = |entry: &&&Entry| !entry.record.phase.is_ended() && !needs_somebody(entry);
    let rest = of_goals.clone().filter(goes_on).count() as u64;
    let proven: Vec<_> = of_goals
        .filter(|entry| entry.record.phase == Phase::Succeeded)
        .collect();
    let first = proven.iter().map(|entry| entry.created).min()?;
    let last = proven.iter().filter_map(|entry| entry.record.since).max()?;
    let took = u64::try_from(last.as_second() - first.as_second()).ok()?;
    (proven.len() >= 2 && rest > 0).then(|| took * rest / proven.len() as u64)
}

/// One line for each reason and message: first what failed, then what needs a person, then what passes.
fn blockers(
    queue: &QueueView,
    entries: &[&Entry],
    live: &BTreeMap<EntryName, Option<Blocker>>,
) -> Vec<ReasonWithNodes> {
    let pause = pause::of(queue);
    let mut grouped: BTreeMap<(bool, bool, Reason, String), BTreeSet<String>> = BTreeMap::new();
    for entry in entries {
        let record = &entry.record;
        let Some(reason) = record.reason.filter(|_| !record.phase.is_ended()) else {
            continue;
        };
        let (reason, message) = match live.get(&entry.name) {
            None => (reason, record.message.clone()),
            Some(Some(blocker)) => (blocker.reason, blocker.to_string()),
            // The gate has opened: the controller starts the node, or writes what else it waits for.
            Some(None) => continue,
        };
        let failed = record.phase == Phase::Failed;
        if reason.class() == Class::Progress && !failed {
            continue;
        }
        let passes = reason.class() == Class::Passes;
        grouped
            .entry((!failed, passes, reason, message))
            .or_default()
            .insert(entry.spec.node.to_string());
    }
    grouped
        .into_iter()
        .map(|((not_failed, passes, reason, message), nodes)| {
            let mut nodes: Vec<String> = nodes.into_iter().collect();
            // For one node the hint is a command that can be typed as it stands.
            let hint = match &pause {
                Some(pause) if reason == Reason::Paused => pause.hint(),
                _ => reason.hint(),
            };
            let hint = match nodes.as_slice() {
                [one] => hint.replace("NODE", one),
                _ => hint.to_owned(),
            };
            nodes.sort_by_key(|name| natural(name));
            ReasonWithNodes {
                reason: reason.to_string(),
                failed: !not_failed,
                needs_somebody: !passes,
                message,
                hint,
                nodes,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
