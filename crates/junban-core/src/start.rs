//! The start desk: which nodes go next, and why do the others wait?
//!
//! One table lists the gates. The grant of a slot, the check after the grant, the check before the power action and
//! `junban explain` all walk this table. A new gate is one file below `gates` and one row here.

use std::cmp::Reverse;
use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::effect::{Effect, Lane, Read};
use crate::entry::Phase;
use crate::gates::{
    Candidate, Tally, budgets, capacity, control_plane, first_proof, goal, groups, health, limits, node,
    pause, policy, quorum, rights,
};
use crate::guard::{self, Guard};
use crate::ids::natural;
use crate::node::Node;
use crate::queue::{Ledger, Queue};
use crate::reason::{Class, Reason};
use crate::schedule::Schedule;
use crate::standing::{BROKEN_AFTER, down_for};

/// When a gate is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Once in each plan. While the gate is not met, nothing starts.
    Everything,
    /// Before a slot is granted, for each queued entry in every plan. These gates look at no pods.
    Slot,
    /// Before a slot is granted, if all gates of `Slot` are met. These gates look at the node's pods.
    Pods,
    /// Between the grant of the slot and the cordon. Limits and order are not asked again: the slot holds them.
    Granted,
    /// Between the drain and the power action, and before pinned pods leave, because they are down from then on.
    Power,
}

/// How a gate is asked.
enum Ask {
    Cluster(fn(&PlanBuilder<'_>) -> Option<Blocker>),
    Node(fn(&mut PlanBuilder<'_>, &Candidate<'_>) -> Option<Blocker>),
    /// Several pods and budgets may prevent one start.
    Pods(fn(&mut PlanBuilder<'_>, &Candidate<'_>) -> Vec<Blocker>),
}

/// One row of the table.
struct Gate {
    ask: Ask,
    stages: &'static [Stage],
    /// The reasons that the gate gives.
    gives: &'static [Reason],
    /// The name under which a test takes the gate out.
    guard: Option<Guard>,
}

const fn gate(ask: Ask, stages: &'static [Stage], gives: &'static [Reason], guard: Option<Guard>) -> Gate {
    Gate {
        ask,
        stages,
        gives,
        guard,
    }
}

/// All gates, in the order in which they are asked.
#[rustfmt::skip]
const GATES: &[Gate] = &[
    gate(Ask::Cluster(pause::check), &[Stage::Everything, Stage::Granted], &[Reason::Paused], None),
    gate(Ask::Cluster(rights::check), &[Stage::Everything, Stage::Granted], &[Reason::Forbidden], None),
    gate(Ask::Cluster(health::implausible), &[Stage::Everything, Stage::Granted], &[Reason::Implausible], None),
    gate(Ask::Cluster(health::halted), &[Stage::Everything, Stage::Granted], &[Reason::Halted], Some(Guard::Halt)),
    gate(Ask::Node(policy::check), &[Stage::Slot, Stage::Granted], &[
        Reason::UnreadablePolicy, Reason::NoPolicy, Reason::PolicyConflict, Reason::NoDriver,
    ], None),
    gate(Ask::Node(node::labels), &[Stage::Slot, Stage::Granted], &[Reason::Excluded, Reason::Hold], Some(Guard::NodeGate)),
    gate(Ask::Node(node::owner), &[Stage::Slot, Stage::Granted], &[Reason::ForeignOwner], None),
    gate(Ask::Node(node::state), &[Stage::Slot, Stage::Granted], &[Reason::NodeDown, Reason::NoBootId], None),
    gate(Ask::Node(node::back_off), &[Stage::Slot, Stage::Granted], &[
        Reason::BackOff, Reason::ReplacementUnschedulable,
    ], None),
    gate(Ask::Node(node::earlier_power), &[Stage::Slot, Stage::Granted], &[Reason::EarlierPower], Some(Guard::EarlierPower)),
    gate(Ask::Node(goal::due), &[Stage::Slot, Stage::Granted], &[Reason::NotDue], None),
    gate(Ask::Node(goal::min_interval), &[Stage::Slot, Stage::Granted], &[Reason::MinInterval], None),
    gate(Ask::Node(limits::queue), &[Stage::Slot], &[Reason::QueueLimit], Some(Guard::LimitQueue)),
    gate(Ask::Node(limits::policy), &[Stage::Slot], &[Reason::PolicyLimit], Some(Guard::LimitPolicy)),
    gate(Ask::Node(limits::places), &[Stage::Slot], &[Reason::NoPlace], Some(Guard::LimitPlaces)),
    gate(Ask::Node(first_proof::before_start), &[Stage::Slot], &[Reason::FirstProof], Some(Guard::FirstProofStart)),
    gate(Ask::Node(first_proof::before_power), &[Stage::Power], &[Reason::FirstProof], Some(Guard::FirstProofPower)),
    gate(Ask::Node(groups::check), &[Stage::Slot], &[Reason::GroupClosed], Some(Guard::Groups)),
    gate(Ask::Node(control_plane::before_worker), &[Stage::Slot], &[Reason::ControlPlaneTurn], None),
    gate(Ask::Node(control_plane::alone), &[Stage::Slot], &[
        Reason::ControlPlaneTurn, Reason::ControlPlaneUnhealthy,
    ], Some(Guard::ControlPlaneAlone)),
    gate(Ask::Node(control_plane::after_workers), &[Stage::Slot], &[Reason::ControlPlaneTurn], None),
    gate(Ask::Node(control_plane::health), &[Stage::Slot, Stage::Granted, Stage::Power], &[
        Reason::ControlPlaneUnknown, Reason::ControlPlaneUnhealthy, Reason::ControlPlaneChecking,
    ], Some(Guard::ControlPlaneHealth)),
    gate(Ask::Node(quorum::before_start), &[Stage::Slot, Stage::Granted], &[
        Reason::QuorumTurn, Reason::QuorumAway,
    ], Some(Guard::QuorumGroups)),
    gate(Ask::Node(quorum::before_power), &[Stage::Power], &[Reason::QuorumAway], Some(Guard::QuorumGroups)),
    gate(Ask::Pods(budgets::check), &[Stage::Pods, Stage::Granted], &[
        Reason::TwoBudgets, Reason::BudgetImpossible, Reason::BudgetUnknown, Reason::UnhealthyPods, Reason::BarePod,
        Reason::EmptyDir, Reason::DoNotDisrupt, Reason::JobRunning, Reason::BudgetExhausted, Reason::BudgetHeld,
        Reason::ReplacementUnschedulable, Reason::ImpliedBudget, Reason::OpeningTurn, Reason::LastCandidate,
    ], None),
    gate(Ask::Node(capacity::check), &[Stage::Pods, Stage::Granted], &[Reason::NoCapacity], None),
];

impl Gate {
    fn is_taken_out(&self) -> bool {
        self.guard.is_some_and(|guard| !guard::stands(guard))
    }

    fn unmet(&self, plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Vec<Blocker> {
        if self.is_taken_out() {
            return Vec::new();
        }
        let unmet = match self.ask {
            Ask::Cluster(ask) => ask(plan).into_iter().collect(),
            Ask::Node(ask) => ask(plan, candidate).into_iter().collect(),
            Ask::Pods(ask) => ask(plan, candidate),
        };
        debug_assert!(
            unmet.iter().all(|blocker| self.gives.contains(&blocker.reason)),
            "a reason that is missing in the table of gates: {unmet:?}"
        );
        unmet
    }
}

/// The first gate of these stages that is not met. If it has several blockers, one that needs a person comes before one
/// that passes.
fn first_unmet(plan: &mut PlanBuilder<'_>, stages: &[Stage], candidate: &Candidate<'_>) -> Option<Blocker> {
    let is_asked = |gate: &&Gate| gate.stages.iter().any(|stage| stages.contains(stage));
    GATES.iter().filter(is_asked).find_map(|gate| {
        let unmet = gate.unmet(plan, candidate).into_iter();
        unmet.min_by_key(|blocker| blocker.reason.class() == Class::Passes)
    })
}

/// The first gate that keeps all nodes from starting. It is asked once, not for each entry.
fn stops_everything(plan: &PlanBuilder<'_>) -> Option<Blocker> {
    GATES.iter().find_map(|gate| match gate.ask {
        Ask::Cluster(ask) if !gate.is_taken_out() => ask(plan),
        _ => None,
    })
}

fn candidate<'t>(
    plan: &PlanBuilder<'_>,
    tally: &'t Tally,
    turn: &'t Turn<'t>,
    node: &'t Node,
) -> Candidate<'t> {
    Candidate {
        turn,
        node,
        policy: policy::of(plan, turn, node),
        tally,
    }
}

/// The first gate that has closed between the grant of a slot and the cordon.
pub(crate) fn closed_since_grant(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
) -> Option<Blocker> {
    first_closed(plan, Stage::Granted, turn, node)
}

/// The first gate that keeps a drained node from its power action.
pub(crate) fn closed_before_power(
    plan: &mut PlanBuilder<'_>,
    turn: &Turn<'_>,
    node: &Node,
) -> Option<Blocker> {
    first_closed(plan, Stage::Power, turn, node)
}

fn first_closed(plan: &mut PlanBuilder<'_>, stage: Stage, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    let tally = Tally::default();
    let candidate = candidate(plan, &tally, turn, node);
    first_unmet(plan, &[stage], &candidate)
}

/// Every gate that keeps a queued entry from its slot, for `explain`.
pub(crate) fn all_unmet(
    plan: &mut PlanBuilder<'_>,
    queue: &Queue,
    turn: &Turn<'_>,
    node: &Node,
) -> Vec<Blocker> {
    unmet_before_slot(plan, queue, turn, node, |_| true)
}

/// The same, of the gates that look at no pods and need no live read.
pub(crate) fn unmet_without_pods(
    plan: &mut PlanBuilder<'_>,
    queue: &Queue,
    turn: &Turn<'_>,
    node: &Node,
) -> Vec<Blocker> {
    unmet_before_slot(plan, queue, turn, node, |gate| {
        gate.gives.iter().all(|reason| is_known_without_pods(*reason))
    })
}

fn unmet_before_slot(
    plan: &mut PlanBuilder<'_>,
    queue: &Queue,
    turn: &Turn<'_>,
    node: &Node,
    is_asked: impl Fn(&Gate) -> bool,
) -> Vec<Blocker> {
    let ledger = queue.ledger.clone().unwrap_or_default();
    let tally = Tally::new(plan, queue, &ledger);
    let candidate = candidate(plan, &tally, turn, node);
    let before_slot = [Stage::Everything, Stage::Slot, Stage::Pods];
    let stands_before = |gate: &&Gate| gate.stages.iter().any(|stage| before_slot.contains(stage));
    GATES
        .iter()
        .filter(stands_before)
        .filter(|gate| is_asked(gate))
        .flat_map(|gate| gate.unmet(plan, &candidate))
        .collect()
}

/// Whether queue, policies, entries and nodes show whether this reason holds.
pub(crate) fn is_known_without_pods(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Paused
            | Reason::Halted
            | Reason::UnreadablePolicy
            | Reason::NoPolicy
            | Reason::PolicyConflict
            | Reason::NoDriver
            | Reason::Excluded
            | Reason::Hold
            | Reason::ForeignOwner
            | Reason::NodeDown
            | Reason::NoBootId
            | Reason::NotDue
            | Reason::MinInterval
            | Reason::QueueLimit
            | Reason::PolicyLimit
            | Reason::NoPlace
            | Reason::FirstProof
            | Reason::GroupClosed
    )
}

/// A slot that was dropped before its entry ended is granted again after this time.
const AFTER_DROP: Duration = Duration::from_secs(5);
/// How often missing rights are read again.
const RIGHTS_EVERY: Duration = Duration::from_secs(5);

/// Grants slots: adds them to `next`, the ledger that is about to be written. For every other queued entry it notes the
/// first gate that is not met.
pub(crate) fn grant(plan: &mut PlanBuilder<'_>, schedule: &Schedule, queue: &Queue, next: &mut Ledger) {
    wake_when_broken(plan);
    read_rights(plan);
    let mut tally = Tally::new(plan, queue, next);
    let writable =
        plan.is_free(&Lane::QueueWrite) || plan.memory.lanes.unknown_writes.contains(&Lane::QueueWrite);
    let may_grant = writable && !plan.memory.closing;
    let stop = stops_everything(plan);
    let mut startable = Vec::new();
    for turn in queued(plan) {
        let Some(node) = turn.node.filter(|node| !next.slots.contains_key(&node.name)) else {
            continue;
        };
        let unmet = stop.clone().or_else(|| {
            let candidate = candidate(plan, &tally, &turn, node);
            first_unmet(plan, &[Stage::Slot], &candidate)
        });
        match unmet {
            Some(blocker) => {
                tally.control_plane_next |= control_plane::is_next(plan, node, &blocker);
                note_blocker(plan, &turn, node, blocker);
            }
            None if may_grant && !was_dropped(plan, node) => startable.push(turn),
            None => {}
        }
    }
    sort(schedule, &mut startable);
    for turn in startable {
        let Some(node) = turn.node else { continue };
        // The gates before the slot are asked again: an earlier start may have taken the last place or opened the last
        // group.
        let candidate = candidate(plan, &tally, &turn, node);
        match first_unmet(plan, &[Stage::Slot, Stage::Pods], &candidate) {
            Some(blocker) => note_blocker(plan, &turn, node, blocker),
            None if next.slots.len() < Ledger::SLOTS_MAX => {
                let slot = tally.grant(plan, &turn, node);
                next.slots.insert(node.name.clone(), slot);
            }
            None => {}
        }
    }
}

/// Without a queue object every queued entry says that this counts as paused.
pub(crate) fn note_paused(plan: &mut PlanBuilder<'_>) {
    for turn in queued(plan) {
        if let Some(blocker) = pause::check(plan) {
            plan.wait(turn.entry, blocker);
        }
    }
}

/// Entries that wait for a slot, by the name of their node.
fn queued<'a>(plan: &PlanBuilder<'a>) -> Vec<Turn<'a>> {
    let turns = plan.derived.turns.values();
    turns
        .filter(|turn| turn.phase() == Phase::Queued && turn.slot.is_none())
        .filter(|turn| turn.node.is_some_and(|node| node.mark.is_none()) && !plan.has_moved(&turn.entry.name))
        .copied()
        .collect()
}

/// Sorts entries in the order in which their start is tried: workers first, then control-plane nodes, then workers that
/// were released from a drain once. Among these: the higher priority of the entry, then the schedule, then the name.
fn sort(schedule: &Schedule, turns: &mut [Turn<'_>]) {
    turns.sort_by_cached_key(|turn| {
        let control_plane = turn.node.is_some_and(|node| node.is_control_plane());
        let spec = &turn.entry.spec;
        (
            !control_plane && control_plane::was_released(turn.entry),
            control_plane,
            Reverse(spec.priority),
            schedule.rank(&spec.node),
            natural(spec.node.as_str()),
        )
    });
}

/// While a right is missing, the rights are read again and again.
fn read_rights(plan: &mut PlanBuilder<'_>) {
    if rights::missing(plan).is_none() {
        return;
    }
    let reads = &plan.memory.reads;
    let last = reads.rights.as_ref().map(|read| read.begun);
    let due = last.map_or(plan.now.mono, |last| last + RIGHTS_EVERY);
    if due <= plan.now.mono {
        plan.emit(Effect::Read(Read::Rights));
    } else {
        plan.wake_at_mono(due);
    }
}

/// A node that stays down counts as broken after a time. No event wakes the plan then.
fn wake_when_broken(plan: &mut PlanBuilder<'_>) {
    for node in plan.cluster.nodes.values().filter(|node| !node.ready) {
        let turn = plan.derived.turns.get(&node.name).map(|turn| turn.entry);
        let left = BROKEN_AFTER.saturating_sub(down_for(node, turn, plan.memory, plan.now));
        if !left.is_zero() {
            plan.wake_in(left);
        }
    }
}

/// Notes why an entry waits. While another gate is not met, the gates that look at pods are not asked, and a budget
/// that can never allow an eviction would show only when the node's turn comes. So the pods are looked at as well if
/// the entry has no reason yet or one that needs a person.
fn note_blocker(plan: &mut PlanBuilder<'_>, turn: &Turn<'_>, node: &Node, blocker: Blocker) {
    let passes = blocker.reason.class() == Class::Passes;
    plan.wait(turn.entry, blocker);
    let looks_at_pods = |reason: Reason| {
        // While the ledger of a new queue is rebuilt, its entries have no other reason.
        reason == Reason::LedgerRebuilding || reason.class() == Class::NeedsSomebody
    };
    if passes
        && turn.entry.record.reason.is_none_or(looks_at_pods)
        && let Some(policy) = turn.governing
        && let Some(blocker) = budgets::needs_person(plan, node, policy)
    {
        plan.wait(turn.entry, blocker);
    }
}

/// Whether the node's slot was dropped less than 5 s ago before its entry ended.
fn was_dropped(plan: &mut PlanBuilder<'_>, node: &Node) -> bool {
    let dropped = plan.memory.give_backs.dropped.get(&node.name);
    let again_at = dropped.map(|at| *at + guard::waits(Guard::AfterDrop, AFTER_DROP));
    let Some(at) = again_at.filter(|at| plan.now.mono < *at) else {
        return false;
    };
    plan.wake_at_mono(at);
    true
}
