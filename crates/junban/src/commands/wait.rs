//! `--wait`: waits until what was asked is done, failed or blocked (docs/design/life-cycle.md#waiting). Watches wake it.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use junban_api::convert::{format_goal, format_span};
use junban_api::names;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::{EntryName, NodeName};
use junban_core::reason::Reason;
use junban_core::verbs::wait::{self, Look, Progress, Target, Verdict, needs_somebody};
use junban_engine::shell::locked;
use junban_kube::Store;

use super::columns::some;
use super::leader::{self, Leader};
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::snapshot::{self, Snapshot};
use super::watch;

/// If no controller has seen what was asked after this time, a note says so.
const UNSEEN_FOR: Duration = Duration::from_secs(15);
/// How often the time limits are checked. Everything else wakes the loop as an event.
const TICK: Duration = Duration::from_secs(1);
/// How often a line is printed while nothing changes, for a reader of a log.
const STILL_EVERY: Duration = Duration::from_secs(60);

pub(crate) async fn run(
    session: &Session,
    target: &Target,
    timeout: Option<Duration>,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let store = Arc::new(Store::new(names::NAMESPACE));
    let begun = Instant::now();
    let deadline = timeout.map(|timeout| begun + timeout);
    let _watches = watch::follow(session, &store).await?;
    let is_goal = matches!(target, Target::Goal { .. });
    if is_goal {
        look_at_nodes(session, &store).await?;
    }
    let mut nodes_seen = Instant::now();
    let mut display = Display::new();
    let mut quiet_since = None;
    let mut warned = false;
    let mut staleness = watch::Staleness::default();
    let mut leader = leader::Changes::default();
    // The command has said already whether a controller leads now.
    leader.note(Leader::read(session).await.0);
    let mut look_at_lease = Instant::now() + leader::EVERY;
    loop {
        let (mut progress, is_over) = {
            let cluster = locked(&store.cluster);
            let look = wait::look(&cluster, target, snapshot::now(&cluster, session.now(), None));
            display.show(&look, target, session.now(), printer);
            let progress = look.progress.clone();
            quiet_since = progress
                .is_quiet()
                .then(|| quiet_since.unwrap_or_else(Instant::now));
            let is_over = quiet_since.is_some_and(|since: Instant| progress.is_over(since.elapsed()));
            if is_over && (!is_goal || nodes_seen.elapsed() < TICK) {
                display.end();
                return exit(&look, target, printer);
            }
            (progress, is_over)
        };
        if is_over {
            match look_at_nodes(session, &store).await {
                Ok(()) => {
                    nodes_seen = Instant::now();
                    continue;
                }
                Err(problem) => progress.stale = Some(problem.text),
            }
        }
        if let Some(note) = staleness.note(progress.stale.as_ref()) {
            printer.message(&note);
        }
        if Instant::now() >= look_at_lease {
            if let Some(note) = leader.note(Leader::read(session).await.0) {
                printer.message(&note);
            }
            look_at_lease = Instant::now() + leader::EVERY;
        }
        if !progress.observed && !warned && begun.elapsed() >= UNSEEN_FOR {
            warned = true;
            printer.message("note: no controller has seen yet what you asked for\nhint: kubectl get pods -n junban; kubectl get lease junban -n junban");
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            display.end();
            return Err(time_is_over(&progress, timeout.unwrap_or_default()));
        }
        tokio::select! {
            () = store.changed.notified() => {
                // Events come in bursts: look once for each burst.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Lists the nodes again. They are not watched, because their status changes all the time. But a node may have booted
/// without an entry, so the nodes are listed before the first count and before the verdict.
async fn look_at_nodes(session: &Session, store: &Store) -> Result<(), Problem> {
    let snapshot = Snapshot::with_nodes(session).await?;
    locked(&store.cluster).nodes = snapshot.cluster.nodes;
    Ok(())
}

/// `2 of 5 done, 1 cancelled: 1 Queued`.
fn describe(progress: &Progress) -> String {
    let mut text = format!("{} of {} done", progress.done, progress.total);
    for (count, what) in [(progress.cancelled, "cancelled"), (progress.deleted, "deleted")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    let open = describe_open(progress);
    if !open.is_empty() {
        text.push_str(&format!(": {open}"));
    }
    text
}

/// Entries that have not ended, by phase.
fn describe_open(progress: &Progress) -> String {
    let open = progress.phases.iter().filter(|(phase, _)| !phase.is_ended());
    let counts: Vec<String> = open.map(|(phase, count)| format!("{count} {phase}")).collect();
    counts.join(", ")
}

/// The exit of the command when it is over.
fn exit(look: &Look<'_>, target: &Target, printer: &mut Printer) -> Result<Exit, Problem> {
    let nodes = |entries: &[&Entry]| -> Vec<String> {
        let described = entries.iter().map(|entry| {
            let reason = entry.record.reason;
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            format!("{}{reason}", entry.spec.node)
        });
        described.collect()
    };
    let counted = describe(&look.progress);
    match look.verdict() {
        Verdict::Done => {
            let goal = match target {
                Target::Goal { goal, .. } => format!(" (goal {})", format_goal(*goal)),
                Target::Entries(_) => String::new(),
            };
            printer.message(&format!("{counted}{goal}"));
            Ok(Exit::Done)
        }
        Verdict::Failed(entries) => Err(Problem::failed(
            format!("{counted}; failed: {}", some(&nodes(&entries), 10)),
            format!("junban explain {}", entries[0].spec.node),
        )),
        Verdict::Blocked(entries) => {
            let is_paused = look
                .entries
                .iter()
                .any(|entry| entry.record.reason == Some(Reason::Paused));
            let hint = if is_paused {
                "junban resume".to_owned()
            } else {
                format!("junban explain {}", entries[0].spec.node)
            };
            Err(Problem::blocked(
                format!(
                    "{counted}; somebody is needed for: {}",
                    some(&nodes(&entries), 10)
                ),
                hint,
            ))
        }
        Verdict::WithoutEntry(nodes) => {
            let names: Vec<String> = nodes.iter().map(NodeName::to_string).collect();
            Err(Problem::blocked(
                format!("{counted}; there is no entry yet for: {}", some(&names, 10)),
                format!("junban explain {}", names[0]),
            ))
        }
    }
}

/// What Queued entries wait for, with the number of entries for each reason.
fn reasons(look: &Look<'_>) -> String {
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    for reason in look
        .in_phase(Phase::Queued)
        .iter()
        .filter_map(|entry| entry.record.reason)
    {
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

fn time_is_over(progress: &Progress, timeout: Duration) -> Problem {
    let text = format!(
        "after {} it is not over, and goes on: {}",
        format_span(timeout),
        describe(progress)
    );
    if progress.count(Phase::Failed) > 0 {
        return Problem::failed(text, "junban list");
    }
    Problem::blocked(text, "junban status")
}

/// Shows the progress: a bar on a terminal, else a line for each change.
struct Display {
    bar: Option<ProgressBar>,
    phases: BTreeMap<EntryName, (Phase, Option<Reason>)>,
    shown: Option<(Progress, Instant)>,
}

impl Display {
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
            shown: None,
        }
    }

    fn show(&mut self, look: &Look<'_>, target: &Target, now: Timestamp, printer: &mut Printer) {
        let (time, progress) = (format_goal(now), &look.progress);
        for entry in &look.entries {
            let record = &entry.record;
            // For a goal the reasons of entries that only wait for their turn are left out: they change all the time.
            let by_name = matches!(target, Target::Entries(_)) && record.phase == Phase::Queued;
            let has_reason = needs_somebody(entry) || record.phase == Phase::Failed || by_name;
            let shown = (record.phase, record.reason.filter(|_| has_reason));
            if self.phases.insert(entry.name.clone(), shown) == Some(shown) {
                continue;
            }
            let mut line = format!("{time} {}: {}", entry.spec.node, record.phase);
            if let Some(reason) = shown.1 {
                line.push_str(&format!(" ({reason}: {})", record.message));
            }
            match &self.bar {
                Some(bar) if has_reason => bar.println(line),
                Some(_) => {}
                None => printer.message(&line),
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            bar.set_message(describe_open(progress));
            return;
        }
        let is_news = self.shown.as_ref().is_none_or(|(shown, at)| {
            shown.done != progress.done || shown.total != progress.total || at.elapsed() >= STILL_EVERY
        });
        if is_news {
            printer.message(&format!("{time} {}{}", describe(progress), reasons(look)));
            self.shown = Some((progress.clone(), Instant::now()));
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
