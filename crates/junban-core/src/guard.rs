//! The guards of lifecycle.md 4 to 6, each with a name: where a condition keeps Junban from harm it is asked through
//! [`holds`], so that a test can take out one guard and see that something turns red without it.
//!
//! In a normal build [`holds`] is its condition and nothing else. With the feature `planted`, which only tests of
//! the simulated world switch on, a guard can be switched off for one thread.

use std::time::Duration;

use crate::time::Mono;

/// A rule that keeps Junban from harm, in the words of lifecycle.md, and what happens without it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Guard {
    /// 6, the act: the queue is not paused. Without: a server is rebooted after the operator paused.
    ActNotPaused,
    /// 6, the act: the queue shows the entry's slot. Without: a power action that the ledger does not allow.
    ActSlot,
    /// 6, the act: the Node is cordoned. Without: a server is rebooted that a person has just given back.
    ActCordoned,
    /// 6, the act: no waiver up to the goal. Without: a reboot that a person cancelled.
    ActWaiver,
    /// 6, the act: no pod that must leave is on the node. Without: a pod is killed that came after the list.
    ActPods,
    /// 6, the act: UID, bootID, systemUUID, mark and attempt of the Node are still those of the turn.
    ActSameNode,
    /// 6, the act: the entry is the same one, Rebooting, this attempt, not cancelled.
    ActSameEntry,
    /// 6, the act: it begins less than 10 s after the record was sent. Without: a successor may have decided
    /// otherwise by then.
    ActInTime,
    /// 6, the act: it rests on reads begun less than 4 s before. Without: it acts on what was long ago.
    ActEvidence,
    /// 6, the act: the attempt goes into the mark with a `test` on the whole mark. Without: a write that was under way
    /// when its process died overwrites the attempt of the next one.
    AttemptTestsMark,
    /// 6, the act: and with a `test` on `spec.unschedulable`.
    AttemptTestsCordon,
    /// 6: an attempt that is not known to be this process's own counts as started. Without: a machine that boots is
    /// powered again.
    ForeignAttemptCounts,
    /// 6: an attempt that is not this process's own is voided in the mark before its entry goes back. Without: the
    /// write of the attempt may still be under way.
    VoidFirst,
    /// 6: a mark with a later attempt than the record that is known counts as started too. Without: a watch of entries
    /// that is behind lets the attempt of another process be voided while the machine boots.
    LaterAttemptCounts,
    /// 6: only the record that moves an entry into Rebooting makes an attempt this process's own.
    OwnRecordOnly,
    /// 6: and only when that record was acknowledged. Without: the attempt that another controller recorded under the
    /// same number at the same time is taken for its own, and voided while the machine boots.
    OwnRecordDone,
    /// 6: a mark of an entry that is not ended, or with an attempt, has its slot put back whatever the limits.
    PutBack,
    /// 6: once a live read shows that mark too. Without: a watch of Nodes that is behind brings back the slot of a
    /// turn that has ended.
    PutBackLive,
    /// 6: a turn goes on only with its slot.
    SlotFirst,
    /// 6, freeing: only after live reads begun after the queue version of the write.
    FreeLive,
    /// 6: a slot is freed only when its entry has ended.
    FreeEnded,
    /// 6, freeing: a mark is removed for an entry that is gone only after live reads.
    OrphanLive,
    /// 6: a mark with an attempt whose entry is gone is restored only when proven.
    OrphanProven,
    /// 6: a ledger that is missing is rebuilt from lists. Without: it begins anew, empty.
    RebuildFromMarks,
    /// 6: and from lists begun at least 5 s after it was first seen missing.
    RebuildLater,
    /// 6: a slot that was dropped for another reason than its end is granted again 5 s later.
    AfterDrop,
    /// 6, whose cordon: only while our own field manager owns it.
    UncordonOwnManager,
    /// 6, whose cordon: only what was schedulable before.
    UncordonPrior,
    /// drain.md: the list that proves a drain began 5 s after the cordon.
    ListAfterCordon,
    /// drain.md: the list shows no pod that must leave.
    ListIsEmpty,
    /// drain.md: no volume of a pod that left is attached.
    VolumesDetached,
    /// 4: places.
    LimitPlaces,
    /// 4: `maxConcurrent` of the queue.
    LimitQueue,
    /// 4: `maxConcurrent` of the policy.
    LimitPolicy,
    /// 4, first proof: one at a time until one is proven.
    FirstProofStart,
    /// 4, first proof: and at most one is powered.
    FirstProofPower,
    /// 4: at most `atOnce` groups are open.
    Groups,
    /// 4: more failures than `failures.max` stop every start.
    Halt,
    /// 1, earlier power: no start on a boot that another entry may have powered.
    EarlierPower,
    /// 4: nothing starts on a node that is labelled hold or exclude.
    NodeGate,
    /// 7: a control-plane node goes alone.
    ControlPlaneAlone,
    /// 7: and a Failed node is retried beside none.
    RetryAlone,
    /// 7: every member is good before.
    ControlPlaneHealth,
    /// 5: a grant, cordon or eviction rests on a queue that is not paused, by evidence.
    PauseEvidence,
    /// A process that is asked to end sees its power action through to the driver's answer. Without: nobody knows
    /// whether the server was started.
    SeenThrough,
    /// design.md 6: the proof holds before the node is given back.
    Proof,
    /// 2: nothing but proof or giving up restores a Node whose mark holds an attempt.
    LiveAttempt,
    /// drain.md: evictions that the API does not show yet are counted.
    UnseenTokens,
    /// drain.md: one request at a time for each budget.
    OneRequestPerBudget,
    /// drain.md: tokens that pinned pods of other turns need are not taken.
    Reservations,
    /// drain.md: a budget without tokens is not asked.
    BudgetTokens,
    /// drain.md: pods of one owner without a budget leave as the implied budget says.
    ImpliedBudget,
    /// 8: a node is not cordoned for a budget that can never allow an eviction.
    ImpossibleBudget,
    /// drain.md: pods that the policy or their owner forbids to evict stay.
    ForbiddenPods,
    /// design.md 5: the independent look at a plan before its effects run.
    Recheck,
}

/// A slip of the pen in the arithmetic of budgets and limits, which the world's own checkers must see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slip {
    /// A budget is believed to have one token more than it has.
    Token,
    /// An owner without a budget is believed to allow one disruption more.
    Implied,
    /// The last Ready pod of an owner is not known as the last.
    LastPod,
    /// One place more than lifecycle.md 4 allows.
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

/// Whether the guard has not been taken out.
#[inline(always)]
pub fn stands(guard: Guard) -> bool {
    !holds(guard, false)
}

/// A precondition that the API server is asked to hold.
pub fn asks<T>(guard: Guard, precondition: T) -> Option<T> {
    stands(guard).then_some(precondition)
}

/// A time that is waited.
pub fn waits(guard: Guard, span: Duration) -> Duration {
    if stands(guard) { span } else { Duration::ZERO }
}

/// The moment after which something must not begin.
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

    /// Runs something with guards taken out on this thread.
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

    /// Runs something with one slip on this thread.
    pub fn with_slip<T>(slip: Slip, run: impl FnOnce() -> T) -> T {
        let before = SLIP.replace(Some(slip));
        let result = run();
        SLIP.set(before);
        result
    }
}
