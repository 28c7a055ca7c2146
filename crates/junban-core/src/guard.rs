//! Guards: the conditions that keep Junban from harm (docs/design/safety.md#guards). Each has a name and is asked
//! through one of the functions below, so that a test can take out one guard and see that something turns red.
//!
//! In a normal build [`holds`] is its condition and nothing else. With the feature `planted`, which only tests switch
//! on, a guard can be taken out on one thread.

use std::time::Duration;

use crate::time::Mono;

/// What must hold, and what happens without it. The line above each group cites its rules.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Guard {
    // The power action: docs/design/ledger.md#the-act
    /// The queue is not paused. Without: a server is rebooted after a person paused the queue.
    ActNotPaused,
    /// The queue shows the entry's slot. Without: a power action that the ledger does not allow.
    ActSlot,
    /// The Node is cordoned. Without: a server is rebooted that a person has just uncordoned.
    ActCordoned,
    /// No waiver covers the goal. Without: a reboot that a person cancelled.
    ActWaiver,
    /// No pod that must leave is on the node. Without: a pod that came after the last list is killed.
    ActPods,
    /// The Node's UID, bootID, systemUUID, mark and attempt are those of the turn. Without: another machine is
    /// rebooted, or the same one a second time.
    ActSameNode,
    /// The entry has the same UID, is in Rebooting with this attempt and is not cancelled. Without: a reboot that
    /// nobody asks for any more.
    ActSameEntry,
    /// It begins less than 10 s after the record was sent. Without: a new leader may have decided otherwise by then.
    ActInTime,
    /// It rests on reads that began less than 4 s before. Without: it rests on what was true long ago.
    ActEvidence,
    /// The write of the attempt into the mark tests the whole mark. Without: a late write of a dead process overwrites
    /// the attempt of the next process.
    AttemptTestsMark,
    /// The same write tests `spec.unschedulable`. Without: a turn goes on after a person uncordoned its node.
    AttemptTestsCordon,

    // Attempts of other processes: docs/design/ledger.md#after-a-crash, docs/design/ledger.md#two-controllers
    /// An attempt that this process did not record itself counts as started. Without: a machine is powered again while
    /// it boots.
    ForeignAttemptCounts,
    /// An attempt of another process is voided in the mark before its entry goes back to Draining. Without: that
    /// process may still write its attempt and act on it.
    VoidFirst,
    /// If the mark has a later attempt than the record, the attempt counts as started. Without: if the watch of entries
    /// is behind, the attempt of another process is voided while the machine boots.
    LaterAttemptCounts,
    /// Only the record that moves an entry into Rebooting makes an attempt this process's own. Without: a process takes
    /// the attempt of the process before it for its own, and powers the machine again.
    OwnRecordOnly,
    /// The attempt is this process's own only if that record was acknowledged. Without: two controllers record an
    /// attempt with the same number, and one of them voids the attempt of the other while the machine boots.
    OwnRecordDone,

    // Slots and marks: docs/design/ledger.md#after-a-crash, docs/design/ledger.md#freeing-a-slot
    /// A mark with an attempt, or of an entry that has not ended, gets its slot back whatever the limits say. Without:
    /// the turn never goes on, and its node holds no place.
    PutBack,
    /// A live read shows that mark as well. Without: if the watch of Nodes is behind, a turn that has ended gets a
    /// slot.
    PutBackLive,
    /// A turn whose node has a mark goes on only with its slot. Without: a node is made unavailable that the ledger
    /// does not count.
    SlotFirst,
    /// A slot is freed only after live reads that began after the queue version of the write was seen. Without: if
    /// the caches are behind, a turn that has not ended loses its slot.
    FreeLive,
    /// A slot is freed only if its entry has ended. Without: a node that is still down holds no place.
    FreeEnded,
    /// A slot that was dropped before its entry ended is granted again 5 s later at the earliest. Without: a
    /// cordon for the dropped slot arrives after the new grant.
    AfterDrop,
    /// A mark is removed for an entry that is gone only after live reads (docs/design/ledger.md#orphaned-marks).
    /// Without: if the watch of entries is behind, a node is uncordoned in mid-turn.
    OrphanLive,
    /// A Node whose entry is gone and whose mark holds an attempt is restored only when it is proven
    /// (docs/design/ledger.md#orphaned-marks). Without: a machine that is down is uncordoned.
    OrphanProven,
    /// A missing ledger is rebuilt from lists (docs/design/ledger.md#rebuilding-the-ledger). Without: it begins empty.
    RebuildFromMarks,
    /// These lists begin at least 5 s after the ledger was first missed. Without: a start that was under way is not in
    /// them.
    RebuildLater,

    // Giving a node back: docs/design/ledger.md#whose-cordon, docs/design/proof.md#what-proves-a-reboot
    /// A cordon is removed only if Junban's own field manager owns it. Without: the cordon of a person is removed.
    UncordonOwnManager,
    /// A cordon is removed only if the node was schedulable before the turn. Without: a cordon from before is removed.
    UncordonPrior,
    /// The proof holds. Without: a node is uncordoned that is not healthy.
    Proof,
    /// A mark that holds an attempt is removed only by proof or by giving up
    /// (docs/design/life-cycle.md#cancelling-and-giving-up). Without: a machine that is down is uncordoned.
    LiveAttempt,

    // A drained node: docs/design/drain.md#drained
    /// The list that proves the drain began 5 s after the cordon. Without: a scheduler that had not seen the cordon
    /// binds a pod after the list.
    ListAfterCordon,
    /// The list shows no pod that must leave. Without: that pod is killed.
    ListIsEmpty,
    /// No volume of a pod that left is attached. Without: the machine is rebooted with a volume in use.
    VolumesDetached,

    // Starts: docs/design/life-cycle.md#limits
    /// `maxUnavailable` (docs/design/life-cycle.md#places). Without: too many nodes are unavailable.
    LimitPlaces,
    /// `maxConcurrent` of the queue. Without: too many turns at a time.
    LimitQueue,
    /// `maxConcurrent` of the policy. Without: too many turns of the policy at a time.
    LimitPolicy,
    /// Nodes start one at a time until one is proven (docs/design/life-cycle.md#first-proof). Without: a reboot command
    /// that breaks servers breaks several.
    FirstProofStart,
    /// At most one of the nodes that drain meanwhile is powered. Without: the same command breaks several servers.
    FirstProofPower,
    /// At most `groups.atOnce` groups are open (docs/design/life-cycle.md#groups). Without: two
    /// racks are down at a time.
    Groups,
    /// Of a quorum group no two nodes are away at once (docs/design/control-plane.md#quorum-groups). Without: what the group
    /// carries loses its quorum.
    QuorumGroups,
    /// More failures than `failures.max` stop every start (docs/design/life-cycle.md#failures-and-halt). Without:
    /// server after server fails.
    Halt,
    /// No start on a boot that another entry may have powered (docs/design/life-cycle.md#one-boot-one-power-action).
    /// Without: a machine is powered again while it goes down.
    EarlierPower,
    /// Nothing starts on a node that is labelled hold or exclude (docs/design/life-cycle.md#excluded-and-held-nodes).
    /// Without: a node is rebooted that a person keeps out.
    NodeGate,
    /// A control-plane node goes alone (docs/design/control-plane.md#turns). Without: etcd may lose its quorum.
    ControlPlaneAlone,
    /// The retry of a control-plane node waits for all others, and the retry of a worker for the control plane
    /// (docs/design/control-plane.md#retries). Without: etcd may lose its quorum.
    RetryAlone,
    /// Every API server and etcd member is good before (docs/design/control-plane.md#health). Without: etcd
    /// may lose its quorum.
    ControlPlaneHealth,
    /// A cordon, eviction, deletion or record rests on evidence that the queue is not paused
    /// (docs/design/ledger.md#evidence). Without: it happens after a pause that the watch does not show yet.
    PauseEvidence,
    /// A process that is asked to end waits for the driver's answer to its power action
    /// (docs/design/life-cycle.md#pause). Without: nobody knows whether the machine was started.
    SeenThrough,

    // Pods and budgets: docs/design/drain.md#tokens
    /// Evictions that the API does not show yet are counted. Without: more evictions are asked for than the budget has
    /// tokens.
    UnseenTokens,
    /// One request at a time for each budget. Without: requests under way are not counted, and more
    /// evictions are asked for than the budget has tokens.
    OneRequestPerBudget,
    /// Tokens that pinned pods of other turns need are not taken (docs/design/drain.md#pinned-pods). Without: two
    /// half-drained nodes block each other.
    Reservations,
    /// A budget without tokens is not asked. Without: the API server denies the eviction.
    BudgetTokens,
    /// The implied budget of an owner without one (docs/design/drain.md#implied-budgets). Without: all its pods leave
    /// together.
    ImpliedBudget,
    /// A node is not cordoned for a budget that can never allow an eviction (docs/design/drain.md#budgets). Without: it
    /// stays cordoned until the drain times out.
    ImpossibleBudget,
    /// Pods that the policy or their owner forbids to evict stay (docs/design/drain.md#which-pods). Without: a pod is
    /// lost that nobody makes again.
    ForbiddenPods,

    /// Under `stuckTerminating: Reboot` only pods stay that terminate beyond their grace period and two minutes
    /// (docs/design/drain.md#drain-timeout). Without: a server is rebooted while a pod still ends in its own time.
    StuckPods,

    // docs/design/overview.md#how-junban-decides
    /// Each effect is checked a second time before it is sent. Without: a mistake of the planner reaches the cluster.
    Recheck,
}

/// A mistake in the arithmetic of budgets and limits that a test plants, and that the checkers of the world must see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slip {
    /// Each budget counts as having one token more.
    Token,
    /// Each implied budget counts as allowing one disruption more.
    Implied,
    /// The last Ready pod of an owner may leave.
    LastPod,
    /// One place more than docs/design/life-cycle.md#places allows.
    Place,
}

/// How much a slip adds: nothing.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub fn slip(_slip: Slip) -> u32 {
    0
}

/// Whether the condition holds, or its guard is taken out.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub fn holds(_guard: Guard, condition: bool) -> bool {
    condition
}

/// Whether the guard is in force: it is not taken out.
#[inline(always)]
pub fn stands(guard: Guard) -> bool {
    !holds(guard, false)
}

/// The precondition that the API server is asked to test; `None` if the guard is taken out.
pub fn asks<T>(guard: Guard, precondition: T) -> Option<T> {
    stands(guard).then_some(precondition)
}

/// The time to wait; zero if the guard is taken out.
pub fn waits(guard: Guard, span: Duration) -> Duration {
    if stands(guard) { span } else { Duration::ZERO }
}

/// The moment after which something must not begin; an hour later if the guard is taken out.
pub fn until(guard: Guard, end: Mono) -> Mono {
    if stands(guard) {
        end
    } else {
        end + Duration::from_secs(3_600)
    }
}

#[cfg(feature = "planted")]
pub use planted::{holds, slip, with_slip, without};

#[cfg(feature = "planted")]
mod planted {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    use super::{Guard, Slip};

    thread_local! {
        static OFF: RefCell<BTreeSet<Guard>> = const { RefCell::new(BTreeSet::new()) };
        static SLIP: Cell<Option<Slip>> = const { Cell::new(None) };
    }

    /// Whether the condition holds, or its guard is taken out on this thread.
    pub fn holds(guard: Guard, condition: bool) -> bool {
        condition || OFF.with_borrow(|off| off.contains(&guard))
    }

    /// Runs a closure with these guards taken out on this thread.
    pub fn without<T>(guards: &[Guard], run: impl FnOnce() -> T) -> T {
        let before = OFF.replace(guards.iter().copied().collect());
        let result = run();
        OFF.set(before);
        result
    }

    /// 1 while this slip is planted on this thread.
    pub fn slip(slip: Slip) -> u32 {
        u32::from(SLIP.get() == Some(slip))
    }

    /// Runs a closure with this slip planted on this thread.
    pub fn with_slip<T>(slip: Slip, run: impl FnOnce() -> T) -> T {
        let before = SLIP.replace(Some(slip));
        let result = run();
        SLIP.set(before);
        result
    }
}
