//! A NodeReboot: one node's turn for one goal, from queued to an end, and the record that its status is.

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

/// What is asked. All but `cancel` (one way) and `retries` (only rises) is immutable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntrySpec {
    pub node: NodeName,
    pub node_uid: NodeUid,
    pub policy: PolicyName,
    /// The goal: the node has booted since then.
    pub booted_after: Timestamp,
    pub reason: String,
    /// Empty: made by the controller for a policy's goal. Else the user who asked for this node by name.
    pub requested_by: String,
    pub priority: i32,
    pub cancel: bool,
    pub retries: u32,
}

/// design.md 3, the table of phases.
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

    /// Succeeded and Cancelled are ends; Failed waits for the machine or for a person.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled)
    }

    /// In Draining, Rebooting or Verifying (design.md 2).
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Draining | Self::Rebooting | Self::Verifying)
    }

    /// The edges of lifecycle.md 2, and no others. Staying in a phase is no edge.
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

/// How far an entry is: its status. Everything a successor needs after a crash is here, in the mark or in the
/// ledger (lifecycle.md 6).
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
    /// Wall time at which this phase and reason began. Shown; nothing is decided from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The cluster clock when the phase began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_at: Option<Reading>,
    /// The cluster clock when this phase and reason began: "NotReady for 5 minutes" and "blocked for a minute" are
    /// counted over all leaders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_at: Option<Reading>,
    /// The cluster clock when Job pods were first waited for: `jobs.deadline` bounds that over all rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_at: Option<Reading>,
    /// The wall time of the same moment: Job pods made later do not keep the node from being cordoned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_since: Option<Timestamp>,
    /// Written before any power action.
    #[serde(skip_serializing_if = "Option::is_none", rename = "bootIDBefore")]
    pub boot_id_before: Option<BootId>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "bootIDAfter")]
    pub boot_id_after: Option<BootId>,
    /// The last attempt's number; 0: none yet. Only rises, over all rounds.
    pub attempt: u32,
    /// Attempts of this round that may have started something; `attempts` of the policy bounds it.
    pub attempts_used: u32,
    /// Power actions of this round that the driver surely did not start.
    pub refusals: u32,
    /// The last attempt as stored with the write-ahead record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerRecord>,
    /// From the write-ahead record to the new bootID, on the cluster clock; a forecast for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_ms: Option<u64>,
    /// `spec.retries` that have been acted on.
    pub retries_done: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_off: Option<BackOff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainProgress>,
    /// The cluster clock when everything of the proof but settle began to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settling_at: Option<Reading>,
    /// The waiver that ended it, kept for a Node that is registered again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<Timestamp>,
}

impl Record {
    /// Whether an entry in Draining says what is in its way.
    pub fn is_blocked(&self) -> bool {
        let blocks = |reason: Reason| reason.class() != Class::Progress && reason != Reason::Paused;
        self.phase == Phase::Draining && self.reason.is_some_and(blocks)
    }

    /// How long it has said so.
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

/// What the write-ahead record stores, so that edits and deletions of the policy never touch a turn past it
/// (safety.md S23).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PowerRecord {
    pub step: Step,
    pub boot_timeout_seconds: u64,
    /// `attempts` of the policy at the time of the record.
    pub attempts: u32,
    pub verify_timeout_seconds: u64,
    pub verify_daemon_sets: bool,
    pub settle_seconds: u64,
    /// When the attempt's deadline passes, on the cluster clock's time led, in milliseconds.
    pub deadline_led_ms: u64,
    /// Lower bound of the boot to come: the wall time of this record (lifecycle.md 1, boot journal).
    pub recorded_at: Timestamp,
    pub outcome: PowerOutcome,
}

impl PowerRecord {
    /// What `verify` was when the record was written.
    pub fn verify(&self) -> VerifyRules {
        VerifyRules {
            timeout: Duration::from_secs(self.verify_timeout_seconds),
            daemon_sets: self.verify_daemon_sets,
            settle: Some(Duration::from_secs(self.settle_seconds)),
        }
    }
}

/// What is known of an attempt's power action.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum PowerOutcome {
    /// Not known: not begun, under way, killed, timed out, or ended otherwise. Counts as started.
    #[default]
    Unknown,
    /// The driver says that it started.
    Started,
    /// Surely nothing was started.
    NothingStarted,
}

/// After a release: 5, 10, 20, then 40 minutes (lifecycle.md 2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackOff {
    #[serde(default)]
    pub format: BackOffFormat,
    /// Releases so far.
    pub releases: u32,
    /// The cluster clock at the release.
    pub from: Reading,
    pub seconds: u64,
    /// Wall time at which it ends if nothing is paused. Shown only.
    pub until: Timestamp,
    /// The object that blocked, and its version then: a change of it ends the wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<BlockedBy>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockedBy {
    pub object: ObjectRef,
    /// What is compared: of a budget its `metadata.generation` and whether it allows anything, of a pod its UID, of an
    /// owner without a budget its replicas and how many are Ready.
    pub seen: String,
}

impl BackOff {
    /// The wait after the `releases`-th release.
    pub fn wait(releases: u32) -> Duration {
        const MINUTE: u64 = 60;
        Duration::from_secs(match releases {
            0 | 1 => 5 * MINUTE,
            2 => 10 * MINUTE,
            3 => 20 * MINUTE,
            _ => 40 * MINUTE,
        })
    }

    /// Whether it is over at `now`, by the clock that stands still while paused.
    pub fn is_over(&self, now: Reading) -> bool {
        now.running_since(self.from) >= Duration::from_secs(self.seconds)
    }
}

/// Pods that must leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DrainProgress {
    /// When the drain began.
    pub total: u32,
    pub left: u32,
}

impl DrainProgress {
    /// The progress after `before`, with so many pods left.
    pub fn after(before: Option<Self>, left: u32) -> Self {
        Self {
            total: before.map_or(left, |known| known.total.max(left)),
            left,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::Format;

    #[test]
    fn edges_only_these() {
        let edges: Vec<String> = Phase::ALL
            .iter()
            .flat_map(|from| Phase::ALL.iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(**to))
            .map(|(from, to)| format!("{from}>{to}"))
            .collect();
        let expected = "Queued>Draining Queued>Verifying Queued>Succeeded Queued>Cancelled \
             Draining>Queued Draining>Rebooting Draining>Verifying Draining>Failed Draining>Cancelled \
             Rebooting>Draining Rebooting>Verifying Rebooting>Failed Rebooting>Cancelled \
             Verifying>Succeeded Verifying>Failed Verifying>Cancelled \
             Failed>Queued Failed>Verifying Failed>Cancelled";
        assert_eq!(edges.join(" "), expected);
    }

    #[test]
    fn a_released_entry_backs_off_5_10_20_then_40_minutes() {
        let minutes: Vec<u64> = (1..=5).map(|n| BackOff::wait(n).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 40]);
    }

    #[test]
    fn a_back_off_stands_still_while_paused() {
        let from = Reading {
            led_ms: 1_000,
            running_ms: 1_000,
        };
        let back_off = BackOff {
            format: Format,
            releases: 1,
            from,
            seconds: 300,
            until: Timestamp::UNIX_EPOCH,
            blocked_by: None,
        };
        assert!(!back_off.is_over(from.advanced(Duration::from_secs(3_600), true)));
        assert!(back_off.is_over(from.advanced(Duration::from_secs(300), false)));
    }
    fn stored() -> Value {
        let from = json!({"led": 1_000, "running": 1_000});
        let back_off =
            json!({"format": 1, "releases": 1, "from": from, "seconds": 300, "until": Timestamp::UNIX_EPOCH});
        json!({"format": 1, "phase": "Queued", "backOff": back_off})
    }

    #[test]
    fn a_record_and_its_back_off_are_read_with_the_current_format_and_without_one() {
        let record = Record::read(&stored()).unwrap();
        let written = serde_json::to_value(&record).unwrap();
        assert_eq!(
            (&written["format"], &written["backOff"]["format"]),
            (&json!(1), &json!(1))
        );
        let mut older = stored();
        older.as_object_mut().unwrap().remove("format");
        older["backOff"].as_object_mut().unwrap().remove("format");
        assert_eq!(Record::read(&older), Ok(record));
    }

    #[test]
    fn a_record_or_back_off_of_a_newer_release_is_not_read_whatever_its_other_fields_are() {
        for part in ["", "/backOff"] {
            let mut newer = stored();
            let fields = newer.pointer_mut(part).unwrap();
            fields["format"] = json!(2);
            let expected = "written by a newer release of Junban (format 2, this release reads up to 1): use that release";
            assert_eq!(Record::read(&newer).unwrap_err(), expected);
            // Nor by a way past `read`.
            assert_eq!(
                serde_json::from_value::<Record>(newer.clone())
                    .unwrap_err()
                    .to_string(),
                expected
            );
            newer["attempt"] = json!("many");
            newer["backOff"]["blockedBy"] = json!(5);
            assert_eq!(Record::read(&newer).unwrap_err(), expected);
        }
    }
}
