//! `--wait`: until what was asked is done, failed or blocked (lifecycle.md 8). Woken by watches.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use junban_api::convert::{format_goal, format_span};
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::{EntryName, PolicyName};
use junban_core::reason::{Class, Reason};
use junban_engine::shell::locked;
use junban_kube::{Store, cache};

use super::columns::some;
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;

/// A reason that needs somebody must hold for so long: it may be a moment's.
const BLOCKED_FOR: Duration = Duration::from_secs(10);
/// After so long without a sign of the controller somebody should know.
const NO_SIGN: Duration = Duration::from_secs(15);
/// The clocks above are looked at this often; all else is an event.
const TICK: Duration = Duration::from_secs(1);
/// Where nothing changes, that is said so often, for whoever reads a log.
const STILL: Duration = Duration::from_secs(60);

/// What is waited for.
#[derive(Debug)]
pub(crate) enum Target {
    /// A goal, once the status of each policy has seen the generation that carries it.
    Policies {
        generations: BTreeMap<PolicyName, i64>,
        goal: Timestamp,
    },
    Entries(BTreeSet<EntryName>),
}

pub(crate) async fn run(
    session: &Session,
    target: &Target,
    timeout: Option<Duration>,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let store = Arc::new(Store::new(names::NAMESPACE));
    let begun = Instant::now();
    let deadline = timeout.map(|timeout| begun + timeout);
    let listed = cache::start_own(&session.connection, &store);
    let Ok(_watches) = tokio::time::timeout(Duration::from_secs(30), listed).await else {
        return Err(Problem::failed(
            "queue, policies and entries cannot be watched",
            "kubectl auth can-i watch nodereboots",
        ));
    };
    let mut progress = Progress::new();
    let mut quiet_since = None;
    let mut warned = false;
    let mut stale = None;
    loop {
        let state = State::of(&locked(&store.cluster), target);
        progress.tell(&locked(&store.cluster), target, &state, session.now(), printer);
        if state.is_quiet() {
            let since = *quiet_since.get_or_insert_with(Instant::now);
            if state.is_complete() || since.elapsed() >= BLOCKED_FOR {
                progress.end();
                return verdict(&locked(&store.cluster), target, &state, printer);
            }
        } else {
            quiet_since = None;
        }
        if state.stale != stale {
            stale.clone_from(&state.stale);
            let text = stale.as_deref().unwrap_or("the API server answers again");
            printer.talk(&format!("note: {text}"));
        }
        if !state.observed && !warned && begun.elapsed() >= NO_SIGN {
            warned = true;
            printer.talk("note: no controller has taken note of it yet\nhint: kubectl get pods -n junban; kubectl get lease junban -n junban");
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            progress.end();
            return Err(time_is_over(&state, timeout.unwrap_or_default()));
        }
        tokio::select! {
            () = store.changed.notified() => {
                // A burst of events is one look.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// What is left.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct State {
    observed: bool,
    /// Why what is seen may be old.
    stale: Option<String>,
    total: u64,
    done: u64,
    phases: BTreeMap<Phase, usize>,
    /// Queued for a reason that passes.
    passing: usize,
}

impl State {
    fn of(cluster: &Cluster, target: &Target) -> Self {
        let mut state = Self {
            observed: true,
            stale: cluster.stale.clone(),
            ..Self::default()
        };
        for entry in entries(cluster, target) {
            *state.phases.entry(entry.record.phase).or_default() += 1;
            let queued = entry.record.phase == Phase::Queued;
            state.passing += usize::from(queued && !needs_somebody(entry));
        }
        match target {
            Target::Policies { generations, .. } => {
                for (name, generation) in generations {
                    // A policy that is gone asks for nothing.
                    let Some(policy) = cluster.policies.get(name) else {
                        continue;
                    };
                    state.observed &= policy.summary.observed_generation >= *generation;
                    state.total += u64::from(policy.summary.desired);
                    state.done += u64::from(policy.summary.done);
                }
            }
            Target::Entries(names) => {
                let known = names.iter().filter_map(|name| cluster.entries.get(name));
                state.observed = known.clone().all(|entry| {
                    entry.record.observed_generation >= entry.generation || entry.record.phase.is_ended()
                });
                state.total = names.len() as u64;
                // One that is gone was withdrawn: it is not waited for.
                let left = known.filter(|entry| !entry.record.phase.is_ended()).count() as u64;
                state.done = state.total - left;
            }
        }
        state
    }

    fn count(&self, phase: Phase) -> usize {
        self.phases.get(&phase).copied().unwrap_or(0)
    }

    fn in_flight(&self) -> usize {
        self.phases
            .iter()
            .filter(|(phase, _)| phase.is_in_flight())
            .map(|(_, count)| count)
            .sum()
    }

    /// Nothing moves, and nothing will by itself.
    fn is_quiet(&self) -> bool {
        self.observed && self.stale.is_none() && self.in_flight() == 0 && self.passing == 0
    }

    fn is_complete(&self) -> bool {
        self.is_quiet()
            && self.count(Phase::Queued) == 0
            && self.done + self.count(Phase::Failed) as u64 >= self.total
    }

    fn describe(&self) -> String {
        let mut text = format!("{} of {} done", self.done, self.total);
        let open = self.open();
        if !open.is_empty() {
            text.push_str(&format!(": {open}"));
        }
        text
    }

    /// Entries that are not ended, by phase.
    fn open(&self) -> String {
        let counts: Vec<String> = self
            .phases
            .iter()
            .filter(|(phase, _)| !phase.is_ended())
            .map(|(phase, count)| format!("{count} {phase}"))
            .collect();
        counts.join(", ")
    }
}

/// The entries that count for the target: of a goal, those that its boots end, and each node's newest only.
fn entries<'a>(cluster: &'a Cluster, target: &'a Target) -> Vec<&'a Entry> {
    match target {
        Target::Entries(names) => names
            .iter()
            .filter_map(|name| cluster.entries.get(name))
            .collect(),
        Target::Policies { generations, goal } => {
            let mut newest: BTreeMap<_, &Entry> = BTreeMap::new();
            for entry in cluster.entries.values() {
                let counts = generations.contains_key(&entry.spec.policy)
                    && (entry.spec.booted_after >= *goal || !entry.record.phase.is_ended());
                if !counts {
                    continue;
                }
                let known = newest.entry(&entry.spec.node).or_insert(entry);
                let rank = |entry: &Entry| (!entry.record.phase.is_ended(), entry.spec.booted_after);
                if rank(entry) > rank(known) {
                    *known = entry;
                }
            }
            newest.into_values().collect()
        }
    }
}

fn needs_somebody(entry: &Entry) -> bool {
    entry
        .record
        .reason
        .is_some_and(|reason| reason.class() == Class::NeedsSomebody)
}

fn verdict(
    cluster: &Cluster,
    target: &Target,
    state: &State,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let nodes = |phase: Phase| -> Vec<String> {
        entries(cluster, target)
            .into_iter()
            .filter(|entry| entry.record.phase == phase)
            .map(|entry| {
                let reason = entry
                    .record
                    .reason
                    .map_or_else(String::new, |reason| format!(" ({reason})"));
                format!("{}{reason}", entry.spec.node)
            })
            .collect()
    };
    let (failed, blocked) = (nodes(Phase::Failed), nodes(Phase::Queued));
    let counted = state.describe();
    if !failed.is_empty() {
        return Err(Problem::failed(
            format!("{counted}; failed: {}", some(&failed, 10)),
            format!("junban explain {}", first(&failed)),
        ));
    }
    if !blocked.is_empty() {
        let paused = entries(cluster, target)
            .iter()
            .any(|entry| entry.record.reason == Some(Reason::Paused));
        let hint = if paused {
            "junban resume".to_owned()
        } else {
            format!("junban explain {}", first(&blocked))
        };
        return Err(Problem::blocked(
            format!("{counted}; somebody is needed for: {}", some(&blocked, 10)),
            hint,
        ));
    }
    let goal = match target {
        Target::Policies { goal, .. } => format!(" (goal {})", format_goal(*goal)),
        Target::Entries(_) => String::new(),
    };
    let cancelled = state.count(Phase::Cancelled) as u64;
    let without = state.total.saturating_sub(state.done + cancelled);
    if without > 0 && matches!(target, Target::Policies { .. }) {
        return Err(Problem::blocked(
            format!(
                "{counted}; {without} have no entry: never seen with a bootID, or the controller may not make one"
            ),
            "junban explain NODE; kubectl logs -n junban deploy/junban",
        ));
    }
    printer.talk(&format!("{counted}{goal}"));
    Ok(Exit::Done)
}

fn first(nodes: &[String]) -> &str {
    nodes
        .first()
        .and_then(|text| text.split_whitespace().next())
        .unwrap_or("NODE")
}

fn time_is_over(state: &State, timeout: Duration) -> Problem {
    let text = format!(
        "after {} it is not over, and goes on: {}",
        format_span(timeout),
        state.describe()
    );
    if state.count(Phase::Failed) > 0 {
        return Problem::failed(text, "junban list");
    }
    Problem::blocked(text, "junban status")
}

/// What Queued entries wait for, by number.
fn reasons(cluster: &Cluster, target: &Target) -> String {
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    for entry in entries(cluster, target) {
        if let Some(reason) = entry
            .record
            .reason
            .filter(|_| entry.record.phase == Phase::Queued)
        {
            *counts.entry(reason).or_default() += 1;
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    if counts.is_empty() {
        return String::new();
    }
    format!(" (waiting: {})", counts.join(", "))
}

/// A bar where somebody looks, else a line per change.
struct Progress {
    bar: Option<ProgressBar>,
    phases: BTreeMap<EntryName, (Phase, Option<Reason>)>,
    told: Option<(State, Instant)>,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos}/{len} {wide_msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            bar,
            phases: BTreeMap::new(),
            told: None,
        }
    }

    fn tell(
        &mut self,
        cluster: &Cluster,
        target: &Target,
        state: &State,
        now: Timestamp,
        printer: &mut Printer,
    ) {
        let time = format_goal(now);
        for entry in entries(cluster, target) {
            let record = &entry.record;
            // Of a goal, reasons of entries that only wait for their turn change all the time.
            let by_name = matches!(target, Target::Entries(_)) && record.phase == Phase::Queued;
            let told = needs_somebody(entry) || record.phase == Phase::Failed || by_name;
            let shown = (record.phase, record.reason.filter(|_| told));
            if self.phases.insert(entry.name.clone(), shown) == Some(shown) {
                continue;
            }
            let mut line = format!("{time} {}: {}", entry.spec.node, record.phase);
            if let Some(reason) = shown.1 {
                line.push_str(&format!(" ({reason}: {})", record.message));
            }
            match &self.bar {
                Some(bar) if told => bar.println(line),
                Some(_) => {}
                None => printer.talk(&line),
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_length(state.total);
            bar.set_position(state.done);
            bar.set_message(state.open());
            return;
        }
        let is_news = self.told.as_ref().is_none_or(|(told, at)| {
            told.done != state.done || told.total != state.total || at.elapsed() >= STILL
        });
        if is_news {
            printer.talk(&format!(
                "{time} {}{}",
                state.describe(),
                reasons(cluster, target)
            ));
            self.told = Some((state.clone(), Instant::now()));
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests;
