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
use junban_core::derived::Derived;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::{EntryName, PolicyName};
use junban_core::memory::Memory;
use junban_core::node::Node;
use junban_core::reason::{Class, Reason};
use junban_engine::shell::locked;
use junban_kube::Store;

use super::columns::some;
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::view::{self, View};

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
    let _watches = view::follow(session, &store).await?;
    let is_goal = matches!(target, Target::Policies { .. });
    if is_goal {
        look_at_nodes(session, &store).await?;
    }
    let mut nodes_seen = Instant::now();
    let mut progress = Progress::new();
    let mut quiet_since = None;
    let mut warned = false;
    let mut staleness = view::Staleness::default();
    loop {
        let (mut state, is_over) = {
            let cluster = locked(&store.cluster);
            let picture = Picture::of(&cluster, target, session.now());
            progress.tell(&picture, session.now(), printer);
            let state = picture.state.clone();
            quiet_since = state.is_quiet().then(|| quiet_since.unwrap_or_else(Instant::now));
            let is_over = quiet_since
                .is_some_and(|since: Instant| state.is_complete() || since.elapsed() >= BLOCKED_FOR);
            if is_over && (!is_goal || nodes_seen.elapsed() < TICK) {
                progress.end();
                return picture.verdict(printer);
            }
            (state, is_over)
        };
        if is_over {
            match look_at_nodes(session, &store).await {
                Ok(()) => {
                    nodes_seen = Instant::now();
                    continue;
                }
                Err(problem) => state.stale = Some(problem.text),
            }
        }
        if let Some(note) = staleness.news(state.stale.as_ref()) {
            printer.talk(&note);
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

/// Takes a fresh list of the nodes. They are not watched, for their status changes all the time, and one may have
/// booted without an entry: so they are looked at before the first count and before the verdict.
async fn look_at_nodes(session: &Session, store: &Store) -> Result<(), Problem> {
    let view = View::with_nodes(session).await?;
    let nodes = std::mem::take(&mut view.cluster().nodes);
    locked(&store.cluster).nodes = nodes;
    Ok(())
}

/// What is left.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct State {
    observed: bool,
    /// Why what is seen may be old.
    stale: Option<String>,
    /// Servers of a goal, or entries; each of the next four is part of it.
    total: usize,
    done: usize,
    cancelled: usize,
    /// Entries that are gone before they were seen to end.
    deleted: usize,
    /// Servers that are not done and have no entry for it.
    without: Vec<String>,
    phases: BTreeMap<Phase, usize>,
    /// Queued for a reason that passes.
    passing: usize,
}

impl State {
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
        self.is_quiet() && self.count(Phase::Queued) == 0 && self.without.is_empty()
    }

    fn describe(&self) -> String {
        let mut text = format!("{} of {} done", self.done, self.total);
        for (count, what) in [(self.cancelled, "cancelled"), (self.deleted, "deleted")] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
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

/// One look at the cluster.
struct Picture<'a> {
    target: &'a Target,
    /// Those that count for the target.
    entries: Vec<&'a Entry>,
    state: State,
}

impl<'a> Picture<'a> {
    fn of(cluster: &'a Cluster, target: &'a Target, now: Timestamp) -> Self {
        let (entries, mut state) = match target {
            Target::Policies { generations, goal } => of_goal(cluster, generations, *goal, now),
            Target::Entries(names) => of_entries(cluster, names),
        };
        state.stale.clone_from(&cluster.stale);
        for entry in &entries {
            *state.phases.entry(entry.record.phase).or_default() += 1;
            let queued = entry.record.phase == Phase::Queued;
            state.passing += usize::from(queued && !needs_somebody(entry));
        }
        Self {
            target,
            entries,
            state,
        }
    }

    fn verdict(&self, printer: &mut Printer) -> Result<Exit, Problem> {
        let nodes = |phase: Phase| -> Vec<String> {
            let in_phase = self.entries.iter().filter(|entry| entry.record.phase == phase);
            let described = in_phase.map(|entry| {
                let reason = entry.record.reason;
                let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                format!("{}{reason}", entry.spec.node)
            });
            described.collect()
        };
        let (failed, blocked) = (nodes(Phase::Failed), nodes(Phase::Queued));
        let counted = self.state.describe();
        if !failed.is_empty() {
            return Err(Problem::failed(
                format!("{counted}; failed: {}", some(&failed, 10)),
                format!("junban explain {}", first(&failed)),
            ));
        }
        if !blocked.is_empty() {
            let mut entries = self.entries.iter();
            let hint = if entries.any(|entry| entry.record.reason == Some(Reason::Paused)) {
                "junban resume".to_owned()
            } else {
                format!("junban explain {}", first(&blocked))
            };
            return Err(Problem::blocked(
                format!("{counted}; somebody is needed for: {}", some(&blocked, 10)),
                hint,
            ));
        }
        let without = &self.state.without;
        if !without.is_empty() {
            return Err(Problem::blocked(
                format!("{counted}; there is no entry yet for: {}", some(without, 10)),
                format!("junban explain {}", first(without)),
            ));
        }
        let goal = match self.target {
            Target::Policies { goal, .. } => format!(" (goal {})", format_goal(*goal)),
            Target::Entries(_) => String::new(),
        };
        printer.talk(&format!("{counted}{goal}"));
        Ok(Exit::Done)
    }

    /// What Queued entries wait for, by number.
    fn reasons(&self) -> String {
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        let queued = self
            .entries
            .iter()
            .filter(|entry| entry.record.phase == Phase::Queued);
        for reason in queued.filter_map(|entry| entry.record.reason) {
            *counts.entry(reason).or_default() += 1;
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
}

/// Of a goal: the entries that its boots end, one a node. What is done follows from nodes and entries: the summary in
/// a policy's status is seconds behind them.
fn of_goal<'a>(
    cluster: &'a Cluster,
    generations: &BTreeMap<PolicyName, i64>,
    goal: Timestamp,
    now: Timestamp,
) -> (Vec<&'a Entry>, State) {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, view::now(cluster, now, None));
    let is_for_goal = |entry: &Entry| entry.spec.booted_after >= goal;
    let is_live = |entry: &Entry| !entry.record.phase.is_ended();
    // An entry that has ended is the turn until its slot is freed: others of the node are still to come.
    let to_come = derived.waiting.iter().copied().filter(|entry| {
        let turn = derived.turns.get(&entry.spec.node);
        turn.is_some_and(|turn| turn.phase().is_ended())
    });
    let turns = derived.turns.values().map(|turn| turn.entry);
    let counts = |entry: &&Entry| {
        generations.contains_key(&entry.spec.policy) && (is_for_goal(entry) || is_live(entry))
    };
    let entries: Vec<&Entry> = turns.chain(to_come).filter(counts).collect();
    let live = entries.iter().filter(|entry| is_live(entry));
    let live: BTreeSet<_> = live.map(|entry| &entry.spec.node_uid).collect();
    let succeeded: BTreeSet<_> = cluster
        .entries
        .values()
        .filter(|entry| entry.record.phase == Phase::Succeeded && is_for_goal(entry))
        .map(|entry| &entry.spec.node_uid)
        .collect();
    let mut state = State {
        // A policy that is gone asks for nothing. Of one that cannot be read the status may never be written: its
        // entries say what it waits for.
        observed: generations.iter().all(|(name, generation)| {
            let policy = cluster.policies.get(name);
            policy.is_none_or(|policy| policy.summary.observed_generation >= *generation)
                || cluster.unreadable_policy(name).is_some()
        }),
        ..State::default()
    };
    let is_asked = |node: &&Node| {
        let policy = derived.policy_of(&node.name);
        !node.excluded && policy.is_some_and(|policy| generations.contains_key(&policy.name))
    };
    for node in cluster.nodes.values().filter(is_asked) {
        state.total += 1;
        let turn = derived.turns.get(&node.name).filter(|turn| turn.node.is_some());
        // A waiver outlives its entry, whose own goal may be an earlier one.
        let is_cancelled = derived.is_waived(node, goal)
            || turn.is_some_and(|turn| turn.phase() == Phase::Cancelled && is_for_goal(turn.entry));
        if derived.has_booted_since(node, goal) || succeeded.contains(&node.uid) {
            state.done += 1;
        } else if live.contains(&node.uid) {
            // Its entry says how far it is.
        } else if is_cancelled {
            state.cancelled += 1;
        } else {
            state.without.push(node.name.to_string());
        }
    }
    (entries, state)
}

fn of_entries<'a>(cluster: &'a Cluster, names: &BTreeSet<EntryName>) -> (Vec<&'a Entry>, State) {
    let known = names.iter().filter_map(|name| cluster.entries.get(name));
    let entries: Vec<&Entry> = known.collect();
    let count = |phase: Phase| {
        let in_phase = entries.iter().filter(|entry| entry.record.phase == phase);
        in_phase.count()
    };
    let state = State {
        observed: entries.iter().all(|entry| {
            entry.record.observed_generation >= entry.generation || entry.record.phase.is_ended()
        }),
        total: names.len(),
        done: count(Phase::Succeeded),
        cancelled: count(Phase::Cancelled),
        deleted: names.len() - entries.len(),
        ..State::default()
    };
    (entries, state)
}

fn needs_somebody(entry: &Entry) -> bool {
    entry
        .record
        .reason
        .is_some_and(|reason| reason.class() == Class::NeedsSomebody)
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

    fn tell(&mut self, picture: &Picture<'_>, now: Timestamp, printer: &mut Printer) {
        let (time, state) = (format_goal(now), &picture.state);
        for entry in &picture.entries {
            let record = &entry.record;
            // Of a goal, reasons of entries that only wait for their turn change all the time.
            let by_name = matches!(picture.target, Target::Entries(_)) && record.phase == Phase::Queued;
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
            bar.set_length(state.total as u64);
            bar.set_position(state.done as u64);
            bar.set_message(state.open());
            return;
        }
        let is_news = self.told.as_ref().is_none_or(|(told, at)| {
            told.done != state.done || told.total != state.total || at.elapsed() >= STILL
        });
        if is_news {
            printer.talk(&format!("{time} {}{}", state.describe(), picture.reasons()));
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
