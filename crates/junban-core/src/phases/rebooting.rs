//! Rebooting: the record, the attempt in the mark, the act, and the wait for the boot (docs/design/ledger.md#the-act).

use std::time::Duration;

use super::drain::{self, Drained};
use super::writes::{patch_on_mark, verifying_record, void_mark, with_attempt};
use super::{give_back, power_check};
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::effect::{Effect, NodeChange, NodeWrite, PowerOrder, Read};
use crate::entry::{Entry, Phase, PowerOutcome, PowerRecord};
use crate::guard::{self, Guard};
use crate::mark::Mark;
use crate::memory::{AttemptStage, OwnAttempt};
use crate::node::Node;
use crate::object::ObjectRef;
use crate::policy::{Policy, RebootRules};
use crate::reason::Reason;
use crate::start;
use crate::time::{Mono, format_span};

/// The act begins less than 10 s after the record was sent, or not at all.
const ACT_WITHIN: Duration = Duration::from_secs(10);
/// If the next attempt cannot be recorded this soon after the deadline, the entry is Failed. Causes are a pause, an
/// unhealthy control plane, or pods that came to the dead node.
const NEXT_ATTEMPT_WITHIN: Duration = Duration::from_secs(60);
/// After this many refusals the node is given back (docs/design/life-cycle.md#refusals).
pub(super) const REFUSALS_MAX: u32 = 3;

/// Writes the write-ahead record of the next attempt. `drained` proves that nothing is left on the node.
pub(super) fn record(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    mark: &Mark,
    policy: &Policy,
    drained: &Drained,
) {
    let entry = turn.entry;
    let used = entry.record.attempts_used as usize;
    // The rules of a round's first record hold for the whole round (docs/design/life-cycle.md#edits-in-mid-turn).
    let stored = entry.record.power.as_ref().filter(|_| used > 0);
    // Each attempt of a round takes the next step of the ladder, or the last step.
    let ladder = &policy.reboot.ladder;
    let step = ladder.get(used).or(ladder.last());
    let Some(step) = step.or(stored.map(|power| &power.step)) else {
        let object = ObjectRef::Policy(policy.name.clone());
        return plan.wait_for(entry, Reason::NoDriver, object, Detail::EmptyLadder);
    };
    if let Some(blocker) = start::closed_before_power(plan, turn, node) {
        return plan.wait(entry, blocker);
    }
    if plan.not_paused().is_none() {
        // The queue is paused, which the turn says already, or a live read of the queue goes first.
        return;
    }
    if drained.mark_text() != node.mark_text.as_deref() {
        // The live read shows another mark than the cache.
        return;
    }
    let boot_timeout = policy.reboot.boot_timeout.max(RebootRules::BOOT_TIMEOUT_MIN);
    let attempt = next_attempt(entry, mark);
    let message = match drained.beside() {
        [] => "drained; the power action is recorded".to_owned(),
        beside => format!("drained but for a pod that does not end: {}", beside.join("; ")),
    };
    let mut record = plan.moved_to(entry, Phase::Rebooting, Reason::Powering, message);
    record.phase_at = Some(plan.now.clock);
    record.boot_id_before.clone_from(&node.boot_id);
    record.boot_id_after = None;
    record.attempt = attempt;
    record.attempts_used += 1;
    record.drain = None;
    let rules = stored.cloned().unwrap_or_else(|| PowerRecord {
        step: step.clone(),
        boot_timeout_seconds: boot_timeout.as_secs(),
        attempts: policy.reboot.attempts.max(1),
        verify_timeout_seconds: policy.verify.timeout.as_secs(),
        verify_daemon_sets: policy.verify.daemon_sets,
        settle_seconds: policy.verify.settle_of(node).as_secs(),
        deadline_led_ms: 0,
        recorded_at: plan.now.wall,
        outcome: PowerOutcome::Unknown,
        verify_ignore_taints: policy.verify.ignore_taints.clone(),
        verify_ignore_resources: policy.verify.ignore_resources.clone(),
    });
    let boot_timeout = Duration::from_secs(rules.boot_timeout_seconds);
    record.power = Some(PowerRecord {
        step: step.clone(),
        deadline_led_ms: plan.now.clock.advanced(boot_timeout, false).led_ms,
        recorded_at: plan.now.wall,
        outcome: PowerOutcome::Unknown,
        ..rules
    });
    plan.record(entry, record);
}

/// Attempt numbers only rise, even if the last record was lost.
fn next_attempt(entry: &Entry, mark: &Mark) -> u32 {
    entry
        .record
        .attempt
        .max(mark.power.as_ref().map_or(0, |power| power.attempt))
        + 1
}

pub(super) fn advance(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) {
    let entry = turn.entry;
    let record = &entry.record;
    let before = record.boot_id_before.as_ref();
    if before.is_some_and(|before| node.has_rebooted_since(before)) {
        let next = verifying_record(plan, turn, node);
        plan.record(entry, next);
        return;
    }
    let own = plan.memory.attempts.get(&(entry.uid.clone(), record.attempt));
    let Some(mark) = turn.mark else {
        // If the mark is gone, the cordon stays and the boot is waited for.
        return wait_for_boot(plan, turn, node, own);
    };
    match &mark.power {
        Some(power) if power.void && power.attempt >= record.attempt => back_to_draining(plan, turn, own),
        Some(power) if power.attempt == record.attempt => under_attempt(plan, turn, node, mark, own),
        // The record of this later attempt was lost or is not in the cache yet. So nothing may be written about it.
        Some(power) if power.attempt > record.attempt && guard::stands(Guard::LaterAttemptCounts) => {
            wait_for_boot(plan, turn, node, None)
        }
        _ => before_attempt(plan, turn, node, mark, own),
    }
}

/// The record is written, and the mark does not hold the attempt yet.
fn before_attempt(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    mark: &Mark,
    own: Option<&OwnAttempt>,
) {
    let Some(own) = own.filter(|own| {
        let soon = plan.now.mono.since(own.recorded) < ACT_WITHIN;
        own.stage == AttemptStage::Recorded && guard::holds(Guard::ActInTime, soon)
    }) else {
        if !guard::stands(Guard::VoidFirst) {
            return back_to_draining(plan, turn, None);
        }
        // The attempt of another process, or too late: it is voided before the entry goes back
        // (docs/design/ledger.md#after-a-crash).
        let why = "the attempt was recorded by another process, or too long ago";
        return void_mark(plan, turn, node, mark, why);
    };
    let mut patch = patch_on_mark(node, NodeWrite::Attempt);
    // It tests the whole mark and the cordon as read live before the record, not as the cache shows them now.
    patch.mark_is = guard::asks(Guard::AttemptTestsMark, own.mark_text.clone());
    patch.unschedulable_is = guard::asks(Guard::AttemptTestsCordon, true);
    // A DaemonSet may have been rolled out during a long drain, so the mark stores the pods that run now.
    let daemons = mark.daemons_before_power(plan.cluster.pods_of(&node.name));
    let attempt = Mark {
        daemons,
        ..with_attempt(turn, mark, false)
    };
    patch.changes.push(NodeChange::Mark(Some(Box::new(attempt))));
    plan.emit(Effect::PatchNode(patch));
}

/// The mark holds the attempt.
fn under_attempt(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    mark: &Mark,
    own: Option<&OwnAttempt>,
) {
    let Some(attempt) = own else {
        if !guard::stands(Guard::ForeignAttemptCounts) {
            return void_mark(plan, turn, node, mark, "");
        }
        // The attempt of another process counts as started: it is not known that it has ended.
        return wait_for_boot(plan, turn, node, None);
    };
    match &attempt.stage {
        AttemptStage::Marked(at) => act_or_go_back(plan, turn, node, mark, attempt, *at),
        AttemptStage::Acting => {}
        AttemptStage::Ended(answer) if answer.outcome == PowerOutcome::NothingStarted => {
            void_mark(plan, turn, node, mark, "the driver started nothing")
        }
        AttemptStage::Ended(_) => wait_for_boot(plan, turn, node, own),
        AttemptStage::Recorded | AttemptStage::Abandoned(_) => {
            let why = "the attempt could not be written into the mark";
            void_mark(plan, turn, node, mark, why)
        }
    }
}

fn act_or_go_back(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
    mark: &Mark,
    own: &OwnAttempt,
    marked: Mono,
) {
    let entry = turn.entry;
    let now = plan.now.mono;
    let latest = guard::until(Guard::ActInTime, own.recorded + ACT_WITHIN);
    let Some(power) = &entry.record.power else { return };
    if now >= latest {
        let why = "the live reads did not come within 10 s of the record";
        return void_mark(plan, turn, node, mark, why);
    }
    let evidence =
        plan.memory.reads.acts.get(&node.name).filter(|read| {
            read.begun >= marked && guard::holds(Guard::ActEvidence, read.is_evidence_at(now))
        });
    let Some(evidence) = evidence else {
        plan.wake_at_mono(latest);
        plan.emit(Effect::Read(Read::Act {
            node: node.name.clone(),
            entry: entry.name.clone(),
        }));
        return;
    };
    let (cluster, memory, read) = (plan.cluster, plan.memory, &evidence.value);
    let objections = power_check::objections(cluster, memory, read, entry, mark, turn.policy);
    if !objections.is_empty() {
        return void_mark(plan, turn, node, mark, &objections.join(", "));
    }
    let beside = drain::stuck(plan, turn, &read.pods);
    let beside = beside.into_iter().map(|(pod, _)| pod.key.clone()).collect();
    plan.emit(Effect::Power(PowerOrder {
        node: node.name.clone(),
        node_uid: node.uid.clone(),
        entry: entry.name.clone(),
        entry_uid: entry.uid.clone(),
        attempt: entry.record.attempt,
        boot_id: mark
            .power
            .as_ref()
            .map_or(&mark.boot_id, |power| &power.boot_id_before)
            .clone(),
        system_uuid: node.system_uuid.clone(),
        step: power.step.clone(),
        boot_timeout: Duration::from_secs(power.boot_timeout_seconds),
        not_after: latest.min(guard::until(Guard::ActEvidence, evidence.good_until())),
        beside,
    }));
}

/// The attempt is void, so surely nothing was started: the turn goes back to Draining.
fn back_to_draining(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, own: Option<&OwnAttempt>) {
    let (reason, message) = match own.map(|own| &own.stage) {
        Some(AttemptStage::Ended(answer)) => (
            Reason::PowerRefused,
            format!("the driver started nothing: {}", answer.message),
        ),
        Some(AttemptStage::Abandoned(why)) => (Reason::Evicting, format!("nothing was started: {why}")),
        _ => (Reason::Evicting, "the last attempt started nothing".to_owned()),
    };
    let mut record = plan.moved_to(turn.entry, Phase::Draining, reason, message);
    record.attempts_used = record.attempts_used.saturating_sub(1);
    // Refusals are counted so that they cannot repeat for ever. A pause or a controller that died is no refusal.
    let refused = own.is_some() && !plan.cluster.queue.is_paused();
    record.refusals += u32::from(refused);
    // The rules that an earlier attempt stored hold for the rest of the round.
    record.power = record.power.filter(|_| record.attempts_used > 0);
    plan.record(turn.entry, record);
}

fn wait_for_boot(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, own: Option<&OwnAttempt>) {
    let entry = turn.entry;
    let Some(power) = &entry.record.power else { return };
    let outcome = match own.map(|own| &own.stage) {
        Some(AttemptStage::Ended(answer)) => answer.outcome,
        _ => power.outcome,
    };
    let left = power.deadline_led_ms.saturating_sub(plan.now.clock.led_ms);
    if left > 0 {
        plan.wake_in(Duration::from_millis(left));
        let message = match own.map(|own| &own.stage) {
            Some(AttemptStage::Ended(answer)) if outcome != PowerOutcome::Started => {
                format!("the outcome of the power action is not known: {}", answer.message)
            }
            _ if outcome == PowerOutcome::Started => {
                "the power action has started; the machine boots".to_owned()
            }
            _ => "the power action may have started; its outcome is not known".to_owned(),
        };
        if outcome != power.outcome {
            // Stored so that a new leader can tell a machine that does not boot from a command that never ran.
            let mut record = plan.moved_to(entry, Phase::Rebooting, Reason::Booting, message);
            record.power = Some(PowerRecord {
                outcome,
                ..power.clone()
            });
            plan.record(entry, record);
        } else {
            let (object, detail) = (ObjectRef::Node(node.name.clone()), Detail::Said(message));
            plan.wait_for(entry, Reason::Booting, object, detail);
        }
        return;
    }
    let overdue = plan.now.clock.led_ms.saturating_sub(power.deadline_led_ms);
    if entry.record.attempts_used < power.attempts
        && Duration::from_millis(overdue) < NEXT_ATTEMPT_WITHIN
        && !give_back::is_cancelled(turn, node)
        && let (Some(mark), Some(policy)) = (turn.mark, turn.policy)
    {
        plan.wake_in(NEXT_ATTEMPT_WITHIN.saturating_sub(Duration::from_millis(overdue)));
        return retry_attempt(plan, turn, node, mark, policy);
    }
    let boot_timeout = format_span(Duration::from_secs(power.boot_timeout_seconds));
    let waited = format!(
        "no new bootID {boot_timeout} after the power action at {:.0} (reboot.bootTimeout)",
        power.recorded_at
    );
    let (reason, message) = match outcome {
        PowerOutcome::Started => (Reason::BootTimeout, waited),
        _ => (
            Reason::PowerUnknown,
            format!("{waited}, and it is not known whether that action was started"),
        ),
    };
    plan.move_to(entry, Phase::Failed, reason, message);
}

/// The deadline has passed, and `attempts` allows another attempt: the node is listed live and the attempt recorded.
fn retry_attempt(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, mark: &Mark, policy: &Policy) {
    if let Some(drained) = drain::still_drained(plan, turn, node) {
        record(plan, turn, node, mark, policy, &drained);
    }
}
