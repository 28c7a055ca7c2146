//! What people see: the status of entries, policies and the queue, and Events. Status is written when it changes, at a
//! limited rate and without running times (docs/design/ledger.md#status-writes).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::cluster::Cluster;
use crate::effect::Effect;
use crate::entry::{DrainProgress, Entry, Phase, Record};
use crate::gates::{health, pause, rights};
use crate::ids::NodeName;
use crate::in_order::InOrder;
use crate::policy::{Policy, PolicySummary};
use crate::queue::{Ledger, Queue, QueueSummary};
use crate::reason::{Class, Reason};
use crate::report::EntryReport;
use crate::{bound, derived, phases};

/// How often a reason of a Queued entry is written at most that has become false.
const FALSE_EVERY: Duration = Duration::from_secs(5);
/// How often the same reason in other words is written at most: a thousand entries may wait for hours.
const QUEUED_WORDS_EVERY: Duration = Duration::from_secs(600);
/// How many reasons of Queued entries are written a second.
const QUEUED_RATE: usize = 5;
/// How often the progress of an entry in flight is written at most, and an urgent reason.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How often the queue's state in words is written at most.
const SUMMARY_EVERY: Duration = Duration::from_secs(2);
/// How often a policy's summary is written at most.
const POLICY_EVERY: Duration = Duration::from_secs(15);
/// How many holders of places the status names.
const HOLDING_MAX: usize = 50;

pub(crate) fn report(plan: &mut PlanBuilder<'_>) {
    let unreadable = plan
        .cluster
        .unreadable()
        .map(|(object, text)| format!("{object} cannot be read: {text}"));
    plan.report.notes.extend(unreadable);
    let marks = plan.cluster.nodes.values().filter_map(|node| {
        let text = node.mark.as_ref()?.as_ref().err()?;
        Some(format!("node {}: {text}", node.name))
    });
    plan.report.notes.extend(marks);
    let rejected = plan.memory.lanes.rejected_writes.iter();
    let lasting = rejected.filter(|(_, write)| write.is_lasting());
    let notes = lasting.map(|(lane, write)| format!("{} ({lane:?}): {}", write.reason, write.text));
    plan.report.notes.extend(notes);
    entries(plan);
    policies(plan);
    history(plan);
    for announcement in &plan.memory.pacing.announcements {
        plan.emit(Effect::Announce(announcement.clone()));
    }
}

fn entries(plan: &mut PlanBuilder<'_>) {
    let now = plan.now.mono;
    let recent = plan
        .memory
        .pacing
        .queued_writes
        .iter()
        .filter(|at| now.since(**at) < Duration::from_secs(1))
        .count();
    let mut queued_left = QUEUED_RATE.saturating_sub(recent);
    let mut due = Vec::new();
    for entry in plan.cluster.entries.values() {
        let record = &entry.record;
        if plan.has_moved(&entry.name)
            || record.phase.is_ended()
            || derived::is_made_again(plan.cluster, entry)
        {
            continue;
        }
        let latest = entry_report(plan, entry);
        let is_seen = record.observed_generation == entry.generation;
        let EntryReport {
            reason,
            message,
            drain,
        } = &latest;
        let is_same = (*drain, *reason, message) == (record.drain, record.reason, &record.message);
        plan.report.entries.insert(entry.name.clone(), latest.clone());
        if is_seen && is_same {
            continue;
        }
        let is_queued = record.phase == Phase::Queued;
        let is_false = is_queued && !is_same && has_become_false(&latest, record);
        let every = match is_queued && !is_urgent(&latest, entry) {
            true if is_false => FALSE_EVERY,
            true => QUEUED_WORDS_EVERY,
            false => PROGRESS_EVERY,
        };
        let written_at = plan.memory.pacing.written_at.get(&entry.name);
        match written_at.map(|at| *at + every).filter(|at| *at > now) {
            Some(at) => plan.wake_at_mono(at),
            None => due.push((!is_false, entry, latest)),
        }
    }
    // What has become false is corrected first.
    due.sort_by_key(|(is_true, ..)| *is_true);
    for (_, entry, latest) in due {
        if entry.record.phase == Phase::Queued {
            if queued_left == 0 {
                plan.wake_in(Duration::from_millis(250));
                continue;
            }
            queued_left -= 1;
        }
        let record = Record {
            drain: latest.drain,
            reason: latest.reason,
            message: latest.message,
            ..entry.record.clone()
        };
        plan.record(entry, record);
    }
}

/// Whether the status is written sooner: a reason that needs a person starts or ends, or it is the entry's first reason.
fn is_urgent(latest: &EntryReport, entry: &Entry) -> bool {
    let record = &entry.record;
    let is_first = |reason: Reason| reason == Reason::LedgerRebuilding;
    let needs_person =
        |reason: Option<Reason>| reason.is_some_and(|reason| reason.class() == Class::NeedsSomebody);
    record.observed_generation != entry.generation
        || record.reason.is_none_or(is_first)
        || needs_person(latest.reason)
        || needs_person(record.reason)
}

/// Whether the status of a Queued entry, which says something else now, was false: another gate keeps it, or the node that
/// goes first is another one. Numbers that changed make no reason false.
fn has_become_false(latest: &EntryReport, record: &Record) -> bool {
    let names_a_node = matches!(record.reason, Some(Reason::FirstProof | Reason::QuorumTurn));
    latest.reason != record.reason || names_a_node
}

/// What the status of an entry should say now.
fn entry_report(plan: &PlanBuilder<'_>, entry: &Entry) -> EntryReport {
    let record = &entry.record;
    let left = plan.report.progress.get(&entry.name);
    let drain = left.map_or(record.drain, |left| {
        Some(DrainProgress::after(record.drain, *left))
    });
    let rejected = plan.rejected_write(&entry.spec.node);
    let blockers = plan.report.blockers.get(&entry.name);
    let worst = || blockers?.iter().min_by_key(|blocker| rank(blocker));
    let (reason, message) = match rejected.as_ref().or_else(worst) {
        Some(blocker) => (Some(blocker.reason), blocker.to_string()),
        None if record.phase == Phase::Draining
            && left.is_some()
            // A new leader asks again for evictions that were denied. Until a pod leaves, the blocker stays.
            && (!record.is_blocked() || phases::drain::is_leaving(plan, &entry.spec.node)) =>
        {
            (Some(Reason::Evicting), "pods leave".to_owned())
        }
        None => (record.reason, record.message.clone()),
    };
    EntryReport {
        reason,
        message,
        drain,
    }
}

/// A blocker that needs a person comes before one that passes, and that before progress.
fn rank(blocker: &Blocker) -> (u8, &Blocker) {
    let class = match blocker.reason.class() {
        Class::NeedsSomebody => 0,
        Class::Passes => 1,
        Class::Progress => 2,
    };
    (class, blocker)
}

fn policies(plan: &mut PlanBuilder<'_>) {
    for policy in plan.cluster.policies.values() {
        let written_at = plan.memory.pacing.policies_written_at.get(&policy.name).copied();
        // Written at once: a new generation was seen, for which `--wait` waits, or the last turn has ended.
        let urgent = policy.generation != policy.summary.observed_generation
            || policy.summary.active > 0 && !has_open_turn(plan, policy);
        if let Some(at) = written_at.map(|at| at + POLICY_EVERY)
            && at > plan.now.mono
            && !urgent
        {
            plan.wake_at_mono(at);
            continue;
        }
        let summary = policy_summary(plan, policy);
        if summary == policy.summary {
            continue;
        }
        let (name, version) = (policy.name.clone(), policy.version);
        plan.emit(Effect::WritePolicySummary {
            name,
            version,
            summary,
        });
    }
}

/// Whether an entry of the policy has its turn and has neither ended nor failed.
fn has_open_turn(plan: &PlanBuilder<'_>, policy: &Policy) -> bool {
    let mut turns = plan.derived.turns.values();
    turns.any(|turn| {
        let phase = turn.phase();
        turn.entry.spec.policy == policy.name && !phase.is_ended() && phase != Phase::Failed
    })
}

fn policy_summary(plan: &PlanBuilder<'_>, policy: &Policy) -> PolicySummary {
    let (problem, message) = policy_state(plan, policy);
    let mut summary = PolicySummary {
        observed_generation: policy.generation,
        problem: problem.map_or_else(String::new, |reason| reason.to_string()),
        message,
        ..PolicySummary::default()
    };
    let mut node_of = InOrder::new(&plan.cluster.nodes);
    for (name, governing) in &plan.derived.governed {
        match governing {
            Ok(governing) if governing.name == policy.name => {}
            Err(blocker)
                if blocker.reason == Reason::PolicyConflict && is_in_conflict(plan, policy, name) =>
            {
                summary.problem = blocker.reason.to_string();
                summary.message = blocker.to_string();
                continue;
            }
            _ => continue,
        }
        let Some(node) = node_of.get(name).filter(|node| !node.excluded) else {
            continue;
        };
        // Without an entry only the policy can say it.
        if !plan.derived.turns.contains_key(name)
            && let Some(rejected) = plan.rejected_write(name)
        {
            summary.problem = rejected.reason.to_string();
            summary.message = format!("node {name}: {rejected}");
        }
        summary.desired += 1;
        summary.done += u32::from(
            policy
                .booted_after
                .is_some_and(|goal| plan.derived.has_booted_since(node, goal)),
        );
    }
    for turn in plan
        .derived
        .turns
        .values()
        .filter(|turn| turn.entry.spec.policy == policy.name)
    {
        summary.active += u32::from(turn.phase().is_in_flight());
        summary.failed += u32::from(turn.phase() == Phase::Failed);
    }
    summary
}

/// Why a policy does nothing, if so, and what else a person should know.
fn policy_state(plan: &PlanBuilder<'_>, policy: &Policy) -> (Option<Reason>, String) {
    if let Some(text) = plan.cluster.unreadable_policies.get(&policy.name) {
        return (Some(Reason::UnreadablePolicy), text.clone());
    }
    if let Err(text) = &policy.node_selector {
        return (Some(Reason::InvalidSelector), text.clone());
    }
    if policy.reboot.ladder.is_empty() {
        let message = "the ladder is empty: no node of this policy can be rebooted";
        return (Some(Reason::NoDriver), message.to_owned());
    }
    if let Some(goal) = policy.booted_after.filter(|goal| *goal > plan.now.wall) {
        return (
            None,
            format!("the goal {goal:.0} lies in the future: not due yet"),
        );
    }
    (None, nodes_without_a_group(plan, policy))
}

/// Names the nodes without the label: each is a group of its own (docs/design/life-cycle.md#groups).
fn nodes_without_a_group(plan: &PlanBuilder<'_>, policy: &Policy) -> String {
    let Some(groups) = &policy.groups else {
        return String::new();
    };
    let nodes = plan.cluster.nodes.values().filter(|node| !node.excluded);
    let governs = |name| {
        plan.derived
            .policy_of(name)
            .is_some_and(|of| of.name == policy.name)
    };
    let without = nodes.filter(|node| !node.labels.contains_key(&groups.by) && governs(&node.name));
    let names: Vec<_> = without.map(|node| node.name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => format!(
            "node {only} without the label {} is a group of its own",
            groups.by
        ),
        [first, more @ ..] => {
            let more = more.len();
            format!(
                "node {first} and {more} more without the label {} are groups of their own",
                groups.by
            )
        }
    }
}

/// Whether the policy is one of those that match a node with the same highest priority.
fn is_in_conflict(plan: &PlanBuilder<'_>, policy: &Policy, node: &NodeName) -> bool {
    let Some(node) = plan.cluster.nodes.get(node) else {
        return false;
    };
    let selects = |policy: &Policy| {
        let selector = policy.node_selector.as_ref();
        selector.is_ok_and(|selector| selector.selects(&node.labels))
    };
    let mut others = plan.cluster.policies.values();
    selects(policy) && !others.any(|other| other.priority > policy.priority && selects(other))
}

/// What the queue's status should say beside the ledger.
pub(crate) fn queue_summary(plan: &PlanBuilder<'_>, queue: &Queue, ledger: &Ledger) -> QueueSummary {
    let holding = holding(plan, ledger);
    let (state, message, trouble) = queue_state(plan);
    let bound = bound::of_rest(plan, queue);
    QueueSummary {
        observed_generation: queue.generation,
        phases: phase_counts(plan.cluster),
        holding,
        lower_bound_seconds: bound.as_ref().map(|bound| bound.seconds),
        bound_by: bound.map_or_else(String::new, |bound| bound.by),
        state,
        message,
        trouble,
    }
}

/// How many entries are in each phase.
fn phase_counts(cluster: &Cluster) -> BTreeMap<String, u32> {
    let mut phases = BTreeMap::new();
    for entry in cluster.entries.values() {
        *phases.entry(entry.record.phase.as_str().to_owned()).or_insert(0) += 1;
    }
    phases
}

/// The queue's state in one word, why nothing starts if so, and the trouble that it has even while paused.
fn queue_state(plan: &PlanBuilder<'_>) -> (String, String, String) {
    let trouble = health::implausible(plan).or_else(|| health::halted(plan));
    let named = trouble
        .as_ref()
        .map_or_else(String::new, |stop| stop.reason.to_string());
    let right = rights::check(plan);
    let stops: Vec<Blocker> = pause::check(plan)
        .into_iter()
        .chain(right)
        .chain(trouble)
        .collect();
    if let Some(first) = stops.first() {
        let messages: Vec<String> = stops.iter().map(ToString::to_string).collect();
        return (first.reason.to_string(), messages.join("; "), named);
    }
    let mut turns = plan.derived.turns.values();
    let busy = turns.any(|turn| !turn.phase().is_ended() && turn.phase() != Phase::Failed);
    let state = if busy { "Active" } else { "Idle" };
    (state.to_owned(), String::new(), named)
}

/// The nodes that hold places once `ledger` is written, and what holds each.
pub(crate) fn holding(plan: &PlanBuilder<'_>, ledger: &Ledger) -> Vec<String> {
    let names: BTreeSet<&NodeName> = plan
        .derived
        .places
        .iter()
        .copied()
        .chain(ledger.slots.keys())
        .collect();
    let held = names
        .into_iter()
        .filter_map(|name| Some(format!("{name} ({})", what_holds(plan, ledger, name)?)));
    held.take(HOLDING_MAX).collect()
}

fn what_holds(plan: &PlanBuilder<'_>, ledger: &Ledger, name: &NodeName) -> Option<String> {
    let Some(node) = plan.cluster.nodes.get(name) else {
        return Some("gone".into());
    };
    if ledger.slots.contains_key(name) {
        let turn = plan.derived.turns.get(name);
        return Some(turn.map_or("holds a slot".into(), |turn| turn.phase().to_string()));
    }
    if !node.ready {
        Some("NotReady; label junban.dev/exclude to leave it aside".into())
    } else if node.unschedulable {
        Some("cordoned by somebody else; label junban.dev/exclude to leave it aside".into())
    } else {
        node.mark.as_ref().map(|_| "marked".into())
    }
}

/// Whether a summary may be written although the ledger has not changed. The numbers are not computed before.
pub(crate) fn summary_is_due(plan: &mut PlanBuilder<'_>, queue: &Queue) -> bool {
    let written_at = plan.memory.pacing.summary_written_at;
    if let Some(due) = written_at
        .map(|at| at + SUMMARY_EVERY)
        .filter(|due| *due > plan.now.mono)
    {
        plan.wake_at_mono(due);
        return false;
    }
    let written = &queue.summary;
    let words = (
        written.state.clone(),
        written.message.clone(),
        written.trouble.clone(),
    );
    if written.observed_generation != queue.generation || words != queue_state(plan) {
        return true;
    }
    let pacing = &plan.memory.pacing;
    let is_compared = pacing.numbers_compared_at.is_none_or(|at| at == plan.now.mono);
    if let (false, Some(due)) = (is_compared, pacing.numbers_due_at()) {
        plan.wake_at_mono(due);
    }
    is_compared
}

/// Drops old entries (docs/design/life-cycle.md#history).
fn history(plan: &mut PlanBuilder<'_>) {
    const GONE_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
    let Some(queue) = plan.derived.queue else { return };
    let keep = queue.history_per_node.max(1);
    let mut node_of = InOrder::new(&plan.cluster.nodes);
    let mut by_node: Vec<&Entry> = plan.cluster.entries.values().collect();
    by_node.sort_by_key(|entry| &entry.spec.node);
    for entries in by_node.chunk_by(|one, next| one.spec.node == next.spec.node) {
        let node_is_gone = node_of.get(&entries[0].spec.node).is_none();
        if entries.len() <= keep && !node_is_gone {
            continue;
        }
        let mut entries = entries.to_vec();
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.created, &entry.name)));
        let old = |entry: &Entry| {
            let ended = entry.record.since.unwrap_or(entry.created);
            Duration::try_from(plan.now.wall.duration_since(ended)).is_ok_and(|ago| ago > GONE_KEPT)
        };
        let surplus: Vec<_> = entries
            .iter()
            .enumerate()
            .filter(|(position, entry)| {
                let drop = if node_is_gone {
                    old(entry)
                } else {
                    *position >= keep
                };
                drop && entry.record.phase.is_ended()
            })
            .map(|(_, entry)| *entry)
            .collect();
        for entry in surplus {
            let holds = plan
                .derived
                .ledger
                .is_some_and(|ledger| ledger.slots.values().any(|slot| slot.entry_uid == entry.uid));
            if !holds {
                plan.emit(Effect::DeleteEntry {
                    node: entry.spec.node.clone(),
                    name: entry.name.clone(),
                    uid: entry.uid.clone(),
                    version: entry.version,
                });
            }
        }
    }
}
