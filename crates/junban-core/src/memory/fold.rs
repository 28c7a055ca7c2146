//! Folding: what the memory keeps of an effect that was sent, and of its answer.

use std::time::Duration;

use super::{AttemptStage, Fresh, LiveTurn, Memory, OwnAttempt, RejectedWrite};
use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::effect::{
    Announcement, Effect, EvictOutcome, Evidence, Lane, MemberHealth, NodeChange, NodeWrite, Outcome, Read,
    RecordWrite, WriteOutcome,
};
use crate::entry::{Entry, Phase};
use crate::guard::{self, Guard};
use crate::ids::EntryUid;
use crate::mark::Mark;
use crate::reason::{Class, Reason};
use crate::time::Mono;

impl Memory {
    /// Notes that an effect was sent.
    pub fn sent(&mut self, effect: &Effect, cluster: &Cluster, now: Mono) {
        let lane = effect.lane();
        if lane != Lane::Free {
            self.lanes.busy.insert(lane, now);
        }
        if let Effect::WriteRecord(write) = effect
            && let Some(entry) = cluster.entries.get(&write.name)
        {
            let event = event_of(write, entry).map(|event| (write.uid.clone(), event));
            self.pacing.after_write.extend(event);
        }
        match effect {
            // Only the write-ahead record. A process that writes a record again, for its outcome or message, must not
            // take the attempt of another process for its own: it would power the machine again.
            Effect::WriteRecord(write) if is_write_ahead(write, cluster) => {
                let key = (write.uid.clone(), write.record.attempt);
                let mark_text = self
                    .reads
                    .pods
                    .get(&write.node)
                    .and_then(|read| read.value.0.as_ref()?.mark_text.clone());
                self.attempts.entry(key).or_insert(OwnAttempt {
                    recorded: now,
                    mark_text,
                    stage: AttemptStage::Recorded,
                });
            }
            Effect::Power(order) => self.set_stage(&order.entry_uid, order.attempt, AttemptStage::Acting),
            Effect::WriteQueue(write) => self.give_backs.dropping = write.dropped.iter().cloned().collect(),
            Effect::PatchNode(patch) if patch.what == NodeWrite::Taint => {
                self.pacing
                    .taint_writes
                    .retain(|at| now.since(*at) < Duration::from_secs(1));
                self.pacing.taint_writes.push(now);
            }
            Effect::Announce(announcement) => self.pacing.announcements.retain(|one| one != announcement),
            Effect::Evict(leave) | Effect::DeletePod(leave) => {
                self.tokens.sent(leave, cluster, now);
                self.unreplaced.sent(leave, cluster);
            }
            _ => {}
        }
    }

    fn set_stage(&mut self, entry: &EntryUid, attempt: u32, stage: AttemptStage) {
        if let Some(own) = self.attempts.get_mut(&(entry.clone(), attempt)) {
            own.stage = stage;
        }
    }

    /// Folds the answer to an effect that was sent at `sent`.
    pub fn fold(&mut self, effect: &Effect, sent: Mono, outcome: Outcome, cluster: &Cluster, now: Mono) {
        let lane = effect.lane();
        self.lanes.busy.remove(&lane);
        if let Effect::WriteRecord(write) = effect {
            let event = self.pacing.after_write.remove(&write.uid);
            let done = matches!(outcome, Outcome::Write(WriteOutcome::Done));
            self.pacing.announcements.extend(event.filter(|_| done));
        }
        if matches!(effect, Effect::WriteQueue(_)) {
            self.give_backs.dropping.clear();
        }
        match outcome {
            Outcome::Write(outcome) => self.fold_write(effect, sent, &outcome, cluster, now),
            Outcome::Evict(outcome) => {
                if let Effect::Evict(leave) | Effect::DeletePod(leave) = effect {
                    let deleted = matches!(effect, Effect::DeletePod(_));
                    if outcome == EvictOutcome::Accepted {
                        self.sightings.count_return(leave, cluster);
                    }
                    if !matches!(outcome, EvictOutcome::Accepted | EvictOutcome::Unknown(_)) {
                        self.unreplaced.forget(leave);
                    }
                    if !deleted && matches!(outcome, EvictOutcome::Forbidden(_)) {
                        self.reads.forbidden = Some(now);
                    }
                    self.tokens.fold(leave, deleted, outcome, cluster, now);
                }
            }
            Outcome::Power(answer) => {
                if let Effect::Power(order) = effect {
                    self.set_stage(&order.entry_uid, order.attempt, AttemptStage::Ended(answer));
                }
            }
            Outcome::Read(evidence) => self.fold_read(effect, sent, evidence, now),
            Outcome::Announced => {}
        }
    }

    fn fold_write(
        &mut self,
        effect: &Effect,
        sent: Mono,
        outcome: &WriteOutcome,
        cluster: &Cluster,
        now: Mono,
    ) {
        let lane = effect.lane();
        match outcome {
            WriteOutcome::Done => {
                let of_record = matches!(effect, Effect::WriteRecord(_));
                if self
                    .lanes
                    .rejected_writes
                    .get(&lane)
                    .is_some_and(|rejected| rejected.of_record == of_record)
                {
                    self.lanes.rejected_writes.remove(&lane);
                }
                self.fold_done(effect, sent, cluster, now);
            }
            WriteOutcome::Forbidden(text) => {
                self.reads.forbidden = Some(now);
                self.reject(effect, Reason::Forbidden, text);
                self.lanes.not_before.insert(lane, now + Duration::from_secs(10));
            }
            WriteOutcome::Throttled(after) => {
                self.lanes
                    .not_before
                    .insert(lane, now + after.unwrap_or(Duration::from_secs(1)));
            }
            WriteOutcome::Conflict
            | WriteOutcome::Gone
            | WriteOutcome::Refused(_)
            | WriteOutcome::Unknown(_) => {
                self.lanes.unknown_writes.insert(lane.clone());
                if let WriteOutcome::Refused(text) = outcome {
                    self.reject(effect, Reason::WriteRefused, text);
                }
                // A write that the server always refuses must not be tried all the time.
                let lasting = self
                    .lanes
                    .rejected_writes
                    .get(&lane)
                    .is_some_and(RejectedWrite::is_lasting);
                let pause = match outcome {
                    WriteOutcome::Conflict => 100,
                    WriteOutcome::Refused(_) if lasting => 10_000,
                    _ => 1_000,
                };
                self.lanes
                    .not_before
                    .insert(lane, now + Duration::from_millis(pause));
            }
        }
        if *outcome != WriteOutcome::Done
            && let Effect::WriteRecord(write) = effect
        {
            // Another controller may have recorded the same attempt. If it is not known whose it is, it is not this
            // process's own (docs/design/ledger.md#two-controllers).
            let key = (write.uid.clone(), write.record.attempt);
            if self
                .attempts
                .get(&key)
                .is_some_and(|own| own.stage == AttemptStage::Recorded)
                && guard::stands(Guard::OwnRecordDone)
            {
                self.attempts.remove(&key);
            }
        }
        if *outcome != WriteOutcome::Done
            && let Effect::PatchNode(patch) = effect
            && patch.what == NodeWrite::Attempt
        {
            // The write is not tried again on a mark that is read later (docs/design/ledger.md#the-act).
            for change in &patch.changes {
                if let NodeChange::Mark(Some(mark)) = change
                    && let Some(power) = &mark.power
                {
                    let why = format!("the attempt could not be written into the mark: {outcome:?}");
                    self.set_stage(&mark.entry_uid, power.attempt, AttemptStage::Abandoned(why));
                }
            }
        }
    }

    fn reject(&mut self, effect: &Effect, reason: Reason, text: &str) {
        let before = self.lanes.rejected_writes.get(&effect.lane());
        let rejected = RejectedWrite {
            reason,
            text: text.to_owned(),
            of_record: matches!(effect, Effect::WriteRecord(_)),
            times: before.map_or(0, |before| before.times) + 1,
        };
        self.lanes.rejected_writes.insert(effect.lane(), rejected);
    }

    fn fold_done(&mut self, effect: &Effect, sent: Mono, cluster: &Cluster, now: Mono) {
        match effect {
            Effect::WriteQueue(write) => {
                // The answer to a compare-and-swap shows the queue as it was at the write.
                self.reads.queue = Some(Fresh {
                    begun: sent,
                    value: cluster.queue.clone(),
                });
                self.pacing.summary_written_at = Some(now);
                if let Some(queue) = cluster.queue.present() {
                    // Nobody else wrote between the version that was swapped and ours, so live reads since the first
                    // still hold for the second.
                    let before = self.reads.queue_version;
                    let seen = before.filter(|(version, _)| *version == write.version);
                    self.reads.queue_version = Some((queue.version, seen.map_or(now, |(_, seen)| seen)));
                }
                self.give_backs
                    .why
                    .retain(|node, _| write.ledger.slots.contains_key(node));
                for node in &write.dropped {
                    self.give_backs.dropped.insert(node.clone(), now);
                }
            }
            Effect::PatchNode(patch) => {
                if let Some(node) = cluster.nodes.get(&patch.node) {
                    self.sightings.own_writes.insert(patch.node.clone(), node.version);
                }
                for change in &patch.changes {
                    match change {
                        NodeChange::Mark(Some(mark)) if patch.what == NodeWrite::Start => {
                            self.reads.marked.insert(mark.id.clone(), now);
                            self.give_backs.restored.remove(&patch.node);
                        }
                        NodeChange::Mark(Some(mark)) if patch.what == NodeWrite::Attempt => {
                            if let Some(power) = &mark.power {
                                self.set_stage(&mark.entry_uid, power.attempt, AttemptStage::Marked(now));
                            }
                        }
                        NodeChange::Mark(Some(mark)) if patch.what == NodeWrite::Void => {
                            self.abandon(mark, patch.why.as_ref());
                        }
                        NodeChange::Mark(None) => {
                            if let Some(why) = &patch.why {
                                self.give_backs.why.insert(patch.node.clone(), why.clone());
                            }
                            self.reads.pods.remove(&patch.node);
                            self.give_backs.restored.insert(patch.node.clone(), sent);
                        }
                        _ => {}
                    }
                }
            }
            Effect::WriteRecord(write) => {
                self.pacing.written_at.insert(write.name.clone(), now);
                if write.record.phase == Phase::Queued {
                    self.pacing
                        .queued_writes
                        .retain(|at| now.since(*at) < Duration::from_secs(1));
                    self.pacing.queued_writes.push(now);
                }
                if write.record.phase != Phase::Draining {
                    self.give_backs.why.remove(&write.node);
                }
                if write.record.phase.is_ended() {
                    self.note_end_of_turn(write, cluster);
                }
            }
            Effect::WritePolicySummary { name, .. } => {
                self.pacing.policies_written_at.insert(name.clone(), now);
            }
            _ => {}
        }
    }

    /// The answers to the two writes that end a turn count as a live read that began with the first of them. The slot
    /// is freed on this read.
    fn note_end_of_turn(&mut self, write: &RecordWrite, cluster: &Cluster) {
        if let Some(begun) = self.give_backs.restored.remove(&write.node) {
            let value = LiveTurn {
                asked: Some(write.name.clone()),
                node: cluster.nodes.get(&write.node).cloned(),
                entry: cluster.entries.get(&write.name).cloned(),
            };
            self.reads
                .turns
                .insert(write.node.clone(), Fresh { begun, value });
        }
    }

    /// Notes that this process voided an attempt and will start nothing under it. An answer of the driver is kept.
    fn abandon(&mut self, mark: &Mark, why: Option<&Blocker>) {
        let Some(power) = &mark.power else { return };
        let key = (mark.entry_uid.clone(), power.attempt);
        if let Some(own) = self.attempts.get_mut(&key)
            && !matches!(own.stage, AttemptStage::Ended(_))
        {
            own.stage = AttemptStage::Abandoned(why.map_or_else(String::new, ToString::to_string));
        }
    }

    fn fold_read(&mut self, effect: &Effect, begun: Mono, evidence: Evidence, now: Mono) {
        let lane = effect.lane();
        if let Evidence::Failed(text) = &evidence {
            self.lanes
                .not_before
                .insert(lane.clone(), now + Duration::from_secs(1));
            if let Effect::Read(Read::ControlPlane { .. }) = effect {
                let failed = MemberHealth {
                    url: "control plane".into(),
                    state: Err(text.clone()),
                };
                self.reads.control_plane = Some(Fresh {
                    begun,
                    value: vec![failed],
                });
            }
            return;
        }
        self.lanes.unknown_writes.remove(&lane);
        match (effect, evidence) {
            (Effect::Read(Read::Queue), Evidence::Queue(value)) => {
                self.lanes.unknown_writes.remove(&Lane::QueueWrite);
                self.reads.queue = Some(Fresh { begun, value });
            }
            (
                Effect::Read(Read::Turn {
                    node: name,
                    entry: asked,
                }),
                Evidence::Turn { node, entry },
            ) => {
                let asked = asked.clone();
                let value = LiveTurn { asked, node, entry };
                self.reads.turns.insert(name.clone(), Fresh { begun, value });
            }
            (Effect::Read(Read::Pods { node: name }), Evidence::Pods { pods, node }) => {
                self.tokens.fold_list(name, begun, &pods);
                let value = (node, pods);
                self.reads.pods.insert(name.clone(), Fresh { begun, value });
            }
            (Effect::Read(Read::Act { node: name, .. }), Evidence::Act(evidence)) => {
                let value = evidence.queue.clone();
                self.reads.queue = Some(Fresh { begun, value });
                let value = *evidence;
                self.reads.acts.insert(name.clone(), Fresh { begun, value });
            }
            (Effect::Read(Read::ControlPlane { .. }), Evidence::ControlPlane(value)) => {
                self.reads.control_plane = Some(Fresh { begun, value });
            }
            (Effect::Read(Read::Rights), Evidence::Rights(value)) => {
                self.reads.rights = Some(Fresh { begun, value });
            }
            (Effect::Read(Read::Lists), Evidence::Lists { nodes, entries }) => {
                let value = (nodes, entries);
                self.reads.lists = Some(Fresh { begun, value });
            }
            _ => {}
        }
    }
}

/// The Event of a record, if it has one (docs/design/ledger.md#status-writes).
fn event_of(write: &RecordWrite, entry: &Entry) -> Option<Announcement> {
    let (before, record) = (&entry.record, &write.record);
    let reason = record.reason.unwrap_or(Reason::Released);
    let moves = before.phase != record.phase;
    let stops_all_nodes = matches!(
        reason,
        Reason::Paused | Reason::Halted | Reason::Implausible | Reason::Forbidden
    );
    let needs_person = matches!(record.phase, Phase::Queued | Phase::Draining)
        && before.reason != record.reason
        && reason.class() == Class::NeedsSomebody
        && !stops_all_nodes;
    let back = matches!(record.phase, Phase::Queued | Phase::Failed);
    (moves || needs_person).then(|| Announcement {
        on_node: record.phase != Phase::Verifying,
        node: write.node.clone(),
        node_uid: entry.spec.node_uid.clone(),
        entry: write.name.clone(),
        entry_uid: write.uid.clone(),
        warning: needs_person || (back && reason.class() != Class::Progress),
        reason: if back || !moves {
            reason.to_string()
        } else {
            record.phase.to_string()
        },
        message: record.message.clone(),
    })
}

fn is_write_ahead(write: &RecordWrite, cluster: &Cluster) -> bool {
    let known = cluster
        .entries
        .get(&write.name)
        .map_or(0, |entry| entry.record.attempt);
    write.record.phase == Phase::Rebooting && guard::holds(Guard::OwnRecordOnly, write.record.attempt > known)
}
