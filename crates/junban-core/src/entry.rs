//! An entry (a NodeReboot): one node's turn for one goal. Its status is the record.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::{BackOffFormat, RecordFormat};
use crate::ids::{BootId, EntryName, EntryUid, NodeName, NodeUid, PolicyName, Version};
use crate::object::ObjectRef;
use crate::policy::{Step, VerifyRules};
use crate::reason::{Class, Reason};
use crate::time::{Reading, Timestamp};

/// An entry as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: EntryName,
    pub uid: EntryUid,
    pub version: Version,
    pub generation: i64,
    pub created: Timestamp,
    pub spec: EntrySpec,
    pub record: Record,
}

/// What is asked. Only two fields change: `cancel` from false to true, and `retries` upwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntrySpec {
    pub node: NodeName,
    pub node_uid: NodeUid,
    pub policy: PolicyName,
    /// The goal: the node has booted since then.
    pub booted_after: Timestamp,
    pub reason: String,
    /// The user who asked for this node by name. Empty: the controller made the entry for a policy's goal.
    pub requested_by: String,
    pub priority: i32,
    pub cancel: bool,
    pub retries: u32,
}

impl EntrySpec {
    /// Asks for a node as a policy's goal does: by no person, without a reason, with priority 0.
    pub fn new(node: NodeName, node_uid: NodeUid, policy: PolicyName, booted_after: Timestamp) -> Self {
        Self {
            node,
            node_uid,
            policy,
            booted_after,
            reason: String::new(),
            requested_by: String::new(),
            priority: 0,
            cancel: false,
            retries: 0,
        }
    }
}

/// docs/design/overview.md#phases
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Queued,
    Draining,
    Rebooting,
    Verifying,
    Succeeded,
    Failed,
    Cancelled,
}

impl Phase {
    pub const ALL: [Phase; 7] = [
        Self::Queued,
        Self::Draining,
        Self::Rebooting,
        Self::Verifying,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Draining => "Draining",
            Self::Rebooting => "Rebooting",
            Self::Verifying => "Verifying",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Failed is no end: it waits for the machine or for a person.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled)
    }

    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Draining | Self::Rebooting | Self::Verifying)
    }

    /// Whether docs/design/life-cycle.md#edges has this edge. Staying in a phase is no edge.
    pub fn may_become(self, next: Phase) -> bool {
        use Phase::{Cancelled, Draining, Failed, Queued, Rebooting, Succeeded, Verifying};
        matches!(
            (self, next),
            (Queued, Draining | Succeeded | Verifying)
                | (Draining, Rebooting | Queued | Failed | Verifying)
                | (Rebooting, Verifying | Draining | Failed)
                | (Verifying, Succeeded | Failed)
                | (Failed, Verifying | Queued)
                | (Queued | Draining | Rebooting | Verifying | Failed, Cancelled)
        )
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far an entry is. What a new leader needs after a crash is here, in the mark or in the ledger
/// (docs/design/ledger.md#ledger-mark-and-record).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    pub format: RecordFormat,
    pub observed_generation: i64,
    pub phase: Phase,
    /// Why it waits or how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    pub message: String,
    /// The wall time at which this phase and reason began. Only shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The cluster clock when the phase began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_at: Option<Reading>,
    /// The cluster clock when this phase and reason began. By this, "NotReady for 5 minutes" and "blocked for a minute"
    /// count over all leaders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_at: Option<Reading>,
    /// The cluster clock when work was first waited for. `jobs.deadline` bounds this wait over all rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_at: Option<Reading>,
    /// The wall time of the same moment. Pods that were bound later do not keep the node from being cordoned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_since: Option<Timestamp>,
    /// Written before any power action.
    #[serde(skip_serializing_if = "Option::is_none", rename = "bootIDBefore")]
    pub boot_id_before: Option<BootId>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "bootIDAfter")]
    pub boot_id_after: Option<BootId>,
    /// The number of the last attempt, or 0. It only rises, over all rounds.
    pub attempt: u32,
    /// Attempts of this round that may have started something. `attempts` of the policy bounds them.
    pub attempts_used: u32,
    /// Attempts of this round that surely started nothing (docs/design/life-cycle.md#refusals).
    pub refusals: u32,
    /// What the write-ahead record stored for the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerRecord>,
    /// How long the boot took, from the write-ahead record to the new bootID, on the cluster clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_ms: Option<u64>,
    /// How many of `spec.retries` were acted on.
    pub retries_done: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_off: Option<BackOff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainProgress>,
    /// The cluster clock when all of the proof except settle began to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settling_at: Option<Reading>,
    /// The waiver that ended the entry. It also holds for a Node that is registered again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<Timestamp>,
    /// How many times the server has restarted by itself since the entry went to Verifying.
    #[serde(skip_serializing_if = "is_zero")]
    pub restarts: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Record {
    /// Firmware may reset a server a second time. A server that restarts once more is in a loop, and a person decides
    /// (docs/design/proof.md#restarts).
    pub fn is_boot_loop(&self) -> bool {
        self.restarts > 1
    }

    /// Whether a drain is blocked, and the entry says by what.
    pub fn is_blocked(&self) -> bool {
        let blocks = |reason: Reason| reason.class() != Class::Progress && reason != Reason::Paused;
        self.phase == Phase::Draining && self.reason.is_some_and(blocks)
    }

    /// How long the drain has been blocked.
    pub fn blocked_for(&self, clock: Reading) -> Option<Duration> {
        let since = self.reason_at.filter(|_| self.is_blocked())?;
        Some(clock.led_since(since))
    }

    /// Reads the status of an entry.
    pub fn read(status: &Value) -> Result<Self, String> {
        RecordFormat::check(status)?;
        status.get("backOff").map_or(Ok(()), BackOffFormat::check)?;
        Self::deserialize(status).map_err(|error| error.to_string())
    }
}

/// What the write-ahead record stores for an attempt: edits and deletions of the policy do not touch a turn past its
/// record (docs/design/safety.md#s23).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PowerRecord {
    pub step: Step,
    pub boot_timeout_seconds: u64,
    /// `attempts` of the policy.
    pub attempts: u32,
    pub verify_timeout_seconds: u64,
    pub verify_daemon_sets: bool,
    pub settle_seconds: u64,
    /// The deadline of the attempt: a `led_ms` of the cluster clock.
    pub deadline_led_ms: u64,
    /// The wall time of this record: the boot to come is later (docs/design/life-cycle.md#boot-journal).
    pub recorded_at: Timestamp,
    pub outcome: PowerOutcome,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify_ignore_taints: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify_ignore_resources: Vec<String>,
}

impl PowerRecord {
    pub fn verify(&self) -> VerifyRules {
        VerifyRules {
            timeout: Duration::from_secs(self.verify_timeout_seconds),
            daemon_sets: self.verify_daemon_sets,
            settle: Some(Duration::from_secs(self.settle_seconds)),
            ignore_taints: self.verify_ignore_taints.clone(),
            ignore_resources: self.verify_ignore_resources.clone(),
        }
    }
}

/// What the driver said of an attempt's power action.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum PowerOutcome {
    /// No answer yet, or an answer that says neither of the two. It counts as started.
    #[default]
    Unknown,
    /// It started.
    Started,
    /// Surely nothing was started.
    NothingStarted,
}

/// The wait after a release (docs/design/life-cycle.md#back-off).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackOff {
    #[serde(default)]
    pub format: BackOffFormat,
    /// The number of releases so far.
    pub releases: u32,
    /// The cluster clock at the release.
    pub from: Reading,
    pub seconds: u64,
    /// The wall time at which it ends if the queue is not paused. Only shown.
    pub until: Timestamp,
    /// The object that blocked. A change of it ends the wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<BlockedBy>,
    /// Whether the drain was in vain: a pod that left found no other node. Then giving the node back opens the budget
    /// again, and that is no change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_vain: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockedBy {
    pub object: ObjectRef,
    /// The state of the object at the release (docs/design/life-cycle.md#back-off).
    pub seen: String,
}

impl BackOff {
    /// The wait after a drain in vain. Each round of it disrupts pods, so a person or a change is waited for.
    pub const IN_VAIN: Duration = Duration::from_secs(24 * 3_600);

    /// The wait after this many releases.
    pub fn wait(releases: u32) -> Duration {
        const MINUTE: u64 = 60;
        Duration::from_secs(match releases {
            0 | 1 => 5 * MINUTE,
            2 => 10 * MINUTE,
            3 => 20 * MINUTE,
            _ => 40 * MINUTE,
        })
    }

    /// Whether it is over at `now`. A pause makes it longer.
    pub fn is_over(&self, now: Reading) -> bool {
        now.running_since(self.from) >= Duration::from_secs(self.seconds)
    }
}

/// How many pods must leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DrainProgress {
    /// The most that were seen during the drain.
    pub total: u32,
    pub left: u32,
}

impl DrainProgress {
    pub fn after(before: Option<Self>, left: u32) -> Self {
        Self {
            total: before.map_or(left, |known| known.total.max(left)),
            left,
        }
    }
}

#[cfg(test)]
mod tests;
