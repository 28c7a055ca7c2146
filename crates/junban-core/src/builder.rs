//! The plan while it is made: it collects effects (one per lane), the reasons why entries wait, and the moment to plan
//! again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::derived::{self, Derived, Turn};
use crate::detail::Detail;
use crate::effect::{BudgetKey, Effect, Lane, Read, RecordWrite};
use crate::entry::{Entry, Phase, Record};
use crate::guard::{self, Guard};
use crate::ids::{EntryName, EntryUid, NodeName};
use crate::memory::{AttemptStage, Memory};
use crate::node::Node;
use crate::object::ObjectRef;
use crate::placement::Placement;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::report::Report;
use crate::time::{Mono, Now};
use crate::tokens::{Reservations, Tokens, implied_budget, next_available, next_uncounted};
use crate::workload::WorkloadKey;

#[derive(Debug)]
pub struct PlanBuilder<'a> {
    pub cluster: &'a Cluster,
    pub memory: &'a Memory,
    pub now: Now,
    pub derived: Derived<'a>,
    /// Tokens that nodes with a slot still need for their pinned pods.
    pub reservations: Reservations,
    pub placement: Placement<'a>,
    pub report: Report,
    effects: Vec<Effect>,
    lanes: BTreeSet<Lane>,
    wake_at: Option<Mono>,
    /// Entries for which this plan writes a record that changes the phase.
    moved: BTreeSet<EntryName>,
    /// Entries for which this plan writes a write-ahead record.
    recorded: BTreeSet<EntryUid>,
}

impl<'a> PlanBuilder<'a> {
    pub fn new(cluster: &'a Cluster, memory: &'a Memory, now: Now) -> Self {
        let derived = Derived::new(cluster, memory, now);
        let placement = Placement::new(cluster, memory);
        Self {
            cluster,
            memory,
            now,
            reservations: Reservations::of_slots(cluster, memory, &derived, &placement),
            placement,
            derived,
            report: Report::default(),
            effects: Vec::new(),
            lanes: BTreeSet::new(),
            // Effects wait for a lane that is held back, and no event tells when the lane is free again.
            wake_at: memory
                .lanes
                .not_before
                .values()
                .copied()
                .filter(|at| *at > now.mono)
                .min(),
            moved: BTreeSet::new(),
            recorded: BTreeSet::new(),
        }
    }

    pub fn into_parts(self) -> (Vec<Effect>, Report, Option<Mono>) {
        (self.effects, self.report, self.wake_at)
    }

    /// Whether an effect of this lane can be sent now.
    pub fn is_free(&self, lane: &Lane) -> bool {
        if self.lanes.contains(lane) || self.memory.lanes.busy.contains_key(lane) {
            return false;
        }
        self.memory
            .lanes
            .not_before
            .get(lane)
            .is_none_or(|at| *at <= self.now.mono)
    }

    /// Adds an effect, and returns whether something is sent.
    ///
    /// - If its lane is taken, the effect is dropped: the answer that frees the lane brings the next plan.
    /// - If the result of the lane's last write is unknown, a live read goes instead: a blind retry could act twice.
    /// - If the server rejects what a node's turn needs, the entry says so before anything else is tried.
    pub fn emit(&mut self, effect: Effect) -> bool {
        let lane = effect.lane();
        if lane == Lane::Free {
            self.effects.push(effect);
            return true;
        }
        if !self.is_free(&lane) {
            // After the pause the lane waits for an answer only, and the answer wakes the shell.
            let pause = self.memory.lanes.not_before.get(&lane).copied();
            if let Some(at) = pause.filter(|at| *at > self.now.mono) {
                self.wake_at_mono(at);
            }
            return false;
        }
        if let Effect::PatchNode(_) | Effect::CreateEntry(_) | Effect::DeleteEntry { .. } = &effect
            && let Lane::Node(node) = &lane
            && self.must_tell_rejection(node)
        {
            return false;
        }
        let effect = if self.memory.lanes.unknown_writes.contains(&lane) && effect.is_write() {
            match self.read_for(&effect) {
                Some(read) if Effect::Read(read.clone()).lane() == lane => Effect::Read(read),
                Some(read) => {
                    self.lanes.insert(lane);
                    return self.emit(Effect::Read(read));
                }
                None => effect,
            }
        } else {
            effect
        };
        self.lanes.insert(lane);
        self.effects.push(effect);
        true
    }

    fn read_for(&self, effect: &Effect) -> Option<Read> {
        let turn = |node: &NodeName, entry: Option<&EntryName>| Read::Turn {
            node: node.clone(),
            entry: entry.cloned(),
        };
        Some(match effect {
            Effect::WriteQueue(_) => Read::Queue,
            // A node without an entry is patched as well: for its journal, or at the end of a turn whose entry was deleted.
            Effect::PatchNode(patch) => {
                let known = self.derived.turns.get(&patch.node);
                turn(&patch.node, known.map(|turn| &turn.entry.name))
            }
            Effect::WriteRecord(write) => turn(&write.node, Some(&write.name)),
            Effect::DeleteEntry { node, name, .. } => turn(node, Some(name)),
            Effect::CreateEntry(new) => turn(&new.spec.node, Some(&new.name)),
            _ => return None,
        })
    }

    /// Why the API server rejects every write to a Node or its entry, if it does.
    pub fn rejected_write(&self, node: &NodeName) -> Option<Blocker> {
        if self.memory.lanes.rejected_writes.is_empty() {
            return None;
        }
        let down = self.memory.lanes.rejected_writes.get(&Lane::Node(node.clone()))?;
        down.is_lasting().then(|| {
            let detail = Detail::Said(down.text.clone());
            Blocker::new(down.reason, ObjectRef::Node(node.clone()), detail)
        })
    }

    /// Whether the node's entry must still say why no write gets through.
    pub fn must_tell_rejection(&self, node: &NodeName) -> bool {
        let Some(down) = self.rejected_write(node) else {
            return false;
        };
        let entry = self.derived.turns.get(node).map(|turn| turn.entry);
        entry.is_some_and(|entry| {
            let record = &entry.record;
            let speaks = !record.phase.is_ended() && !derived::is_made_again(self.cluster, entry);
            speaks && record.reason != Some(down.reason)
        })
    }

    /// The tokens of budgets as this plan may take them.
    pub fn tokens(&self) -> Tokens<'_, 'a> {
        Tokens::new(
            self.cluster,
            self.memory,
            &self.derived,
            &self.reservations,
            &self.placement,
        )
    }

    /// Whether an owner without a PodDisruptionBudget may lose the Ready `pod` now. If not, the plan is made again when
    /// the next of the owner's pods becomes available, or has been unready for so long that it stops counting: no event
    /// tells.
    pub fn take_implied(
        &mut self,
        owner: &WorkloadKey,
        pod: &Pod,
        node: &Node,
        policy: &Policy,
    ) -> Result<(), Blocker> {
        let key = BudgetKey::Implied(owner.clone());
        let taken = self.tokens().take(&key, pod, node, policy);
        if taken.is_err() {
            if let Some(at) = next_uncounted(self.cluster, self.memory, owner) {
                self.wake_at_mono(at);
            }
            if let Some(left) = next_available(self.cluster, self.memory, owner) {
                self.wake_in(left);
            }
        }
        taken
    }

    /// Whether a pod in a namespace of `deleteAfterDenial` may leave now against its budget. Its owner loses no more
    /// pods at a time than an owner without a budget would. A pinned pod is exempt: its successor waits for the node
    /// itself.
    pub fn take_against_budget(&mut self, pod: &Pod, node: &Node, policy: &Policy) -> Result<(), Blocker> {
        match implied_budget(self.cluster, pod) {
            Some(owner) if !self.placement.stays(node, pod) => self.take_implied(owner, pod, node, policy),
            _ => Ok(()),
        }
    }

    /// Evictions that have no answer yet, and those of this plan.
    pub fn evictions_under_way(&self) -> usize {
        let busy = self.memory.lanes.busy.keys().chain(&self.lanes);
        busy.filter(|lane| matches!(lane, Lane::Budget(BudgetKey::Pdb(_))))
            .count()
    }

    /// Asks to be woken when the clock of this process reaches `at`.
    pub fn wake_at_mono(&mut self, at: Mono) {
        let at = at.max(self.now.mono + Duration::from_millis(1));
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// Asks to be woken after `span`.
    pub fn wake_in(&mut self, span: Duration) {
        self.wake_at_mono(self.now.mono + span);
    }

    /// Notes why an entry waits.
    pub fn wait(&mut self, entry: &Entry, blocker: Blocker) {
        self.report
            .blockers
            .entry(entry.name.clone())
            .or_default()
            .push(blocker);
    }

    /// Notes that an entry waits for one thing.
    pub fn wait_for(&mut self, entry: &Entry, reason: Reason, object: ObjectRef, detail: Detail) {
        self.wait(entry, Blocker::new(reason, object, detail));
    }

    /// Writes a record that moves the entry to another phase, or that the next step needs.
    pub fn record(&mut self, entry: &Entry, mut record: Record) -> bool {
        if record.phase != entry.record.phase {
            record.phase_at = Some(self.now.clock);
        }
        if (record.phase, record.reason) != (entry.record.phase, entry.record.reason) {
            record.reason_at = Some(self.now.clock);
            record.since = Some(self.now.wall);
        }
        record.observed_generation = entry.generation;
        self.moved.insert(entry.name.clone());
        if record.phase == Phase::Rebooting {
            self.recorded.insert(entry.uid.clone());
        }
        self.emit(Effect::WriteRecord(RecordWrite {
            node: entry.spec.node.clone(),
            name: entry.name.clone(),
            uid: entry.uid.clone(),
            version: entry.version,
            record,
        }))
    }

    /// Writes the record of an entry that moves to a phase for a reason, and changes nothing else.
    pub fn move_to(&mut self, entry: &Entry, phase: Phase, reason: Reason, message: impl ToString) {
        let record = self.moved_to(entry, phase, reason, message);
        self.record(entry, record);
    }

    /// The record of an entry that moves to a phase for a reason.
    pub fn moved_to(&self, entry: &Entry, phase: Phase, reason: Reason, message: impl ToString) -> Record {
        Record {
            phase,
            reason: Some(reason),
            message: message.to_string(),
            ..entry.record.clone()
        }
    }

    /// Whether this plan writes a record that changes the entry's phase.
    pub fn has_moved(&self, entry: &EntryName) -> bool {
        self.moved.contains(entry)
    }

    /// Whether a write-ahead record of this entry is under way: it is in this plan, or it was sent and is not seen yet.
    pub fn is_being_recorded(&self, entry: &Entry) -> bool {
        let sent = self.memory.attempts.iter().any(|((uid, attempt), own)| {
            let under_way = matches!(
                own.stage,
                AttemptStage::Recorded | AttemptStage::Marked(_) | AttemptStage::Acting
            );
            *uid == entry.uid && *attempt > entry.record.attempt && under_way
        });
        // A write with an unknown result may have been the record.
        let doubtful = self
            .memory
            .lanes
            .unknown_writes
            .contains(&Lane::Node(entry.spec.node.clone()))
            && entry.record.phase == Phase::Draining;
        self.recorded.contains(&entry.uid) || sent || doubtful
    }

    /// Whether a Failed entry goes back into flight: a person retries it, or a write that moves it may be under way. Then the
    /// node is no longer broken, and gives no further place.
    pub fn goes_back(&self, turn: &Turn<'_>) -> bool {
        let entry = turn.entry;
        let retried = turn.phase() == Phase::Failed && entry.spec.retries > entry.record.retries_done;
        retried || self.is_being_moved(turn)
    }

    /// How many nodes are broken and do not go back into flight.
    pub fn broken(&self) -> usize {
        let stays = |name: &&&NodeName| {
            let turn = self.derived.turns.get(**name);
            !turn.is_some_and(|turn| self.goes_back(turn))
        };
        self.derived.broken.iter().filter(stays).count()
    }

    /// Whether a write that was sent, or is in this plan, may move a Failed entry back into flight.
    pub fn is_being_moved(&self, turn: &Turn<'_>) -> bool {
        turn.phase() == Phase::Failed && !self.node_is_free(&turn.entry.spec.node)
    }

    /// Whether the node's lane is free: this plan writes nothing in it, and no answer is outstanding.
    pub fn node_is_free(&self, node: &NodeName) -> bool {
        self.is_free(&Lane::Node(node.clone()))
    }

    /// Until when there is evidence that nothing is paused. Without evidence it asks for a live read of the queue. A process
    /// that was asked to end has no evidence: it leaves what needs evidence to the next leader.
    pub fn not_paused(&mut self) -> Option<Mono> {
        if self.memory.closing {
            return None;
        }
        if !guard::stands(Guard::PauseEvidence) {
            return Some(guard::until(Guard::PauseEvidence, self.now.mono));
        }
        if self.cluster.queue.is_paused() {
            return None;
        }
        let until = self.memory.reads.not_paused_until(self.now.mono);
        if until.is_none()
            && self
                .memory
                .reads
                .queue
                .as_ref()
                .is_none_or(|read| !read.is_evidence_at(self.now.mono))
        {
            self.emit(Effect::Read(Read::Queue));
        }
        until
    }
}
