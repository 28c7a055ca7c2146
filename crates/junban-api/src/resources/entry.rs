//! NodeReboot: one node's turn for one goal; its status is the record of `junban_core::entry`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::parts;
use super::policy::LadderStep;

/// One node's turn for one goal. All but `cancel` and `retries` is immutable.
#[derive(CustomResource, KubeSchema, Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "junban.dev",
    version = "v1alpha1",
    kind = "NodeReboot",
    plural = "nodereboots",
    shortname = "nrb",
    category = "junban",
    status = "NodeRebootStatus",
    doc = "One node's turn for one goal, from queued to an end; kept as history afterwards.",
    // Runs at spec and at status writes alike: a cancelled entry can never be rebooted (lifecycle.md 2).
    validation = Rule::new(
        "!(self.spec.cancel && has(self.status) && has(self.status.phase) && self.status.phase in ['Rebooting', 'Verifying'])"
    ).message("cancel and the phases Rebooting and Verifying exclude each other: the node is past its power action"),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.nodeName"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policy"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.since"),
    printcolumn(name = "Goal", type_ = "string", json_path = ".spec.bootedAfter", priority = 1),
    printcolumn(name = "Requested-By", type_ = "string", json_path = ".spec.requestedBy", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.nodeName == oldSelf.nodeName && self.nodeUID == oldSelf.nodeUID && self.policy == oldSelf.policy && self.bootedAfter == oldSelf.bootedAfter && self.reason == oldSelf.reason && self.requestedBy == oldSelf.requestedBy && self.priority == oldSelf.priority")
        .message("all but cancel and retries is immutable: make another entry"),
    validation = Rule::new("self.cancel || !oldSelf.cancel").message("a cancel cannot be taken back: ask for the node again"),
    validation = Rule::new("self.retries >= oldSelf.retries").message("retries only rises")
)]
pub struct NodeRebootSpec {
    /// The node.
    #[schemars(schema_with = "parts::object_name")]
    pub node_name: String,
    /// Its UID: another Node of the same name is another node.
    #[serde(rename = "nodeUID")]
    #[schemars(length(min = 1, max = 128))]
    pub node_uid: String,
    /// The policy that governs it.
    #[schemars(schema_with = "parts::object_name")]
    pub policy: String,
    /// The goal: the node has booted since then.
    #[schemars(schema_with = "parts::utc_time")]
    pub booted_after: String,
    /// Why, for others to read.
    #[serde(default)]
    #[schemars(schema_with = "parts::words")]
    pub reason: String,
    /// Who asked for this node by name: must be the user who makes the entry. Empty: made by the controller for a
    /// policy's goal.
    #[serde(default)]
    #[schemars(schema_with = "parts::words")]
    pub requested_by: String,
    /// The higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// Ends the turn while it has not come to the power action; gives up a Failed one. One way.
    #[serde(default)]
    pub cancel: bool,
    /// Raised by one opens another round for a Failed entry, or ends a back-off.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub retries: i32,
}

/// How far the entry is: the record from which a successor goes on after a crash. Never edit it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeRebootStatus {
    /// The version of this status. A release of Junban that knows only older versions leaves the entry alone.
    #[schemars(schema_with = "parts::number")]
    pub format: Option<i64>,
    /// The generation of the spec that this status knows.
    #[schemars(schema_with = "parts::number")]
    pub observed_generation: i64,
    #[schemars(schema_with = "phase")]
    pub phase: String,
    /// Why it waits or how it ended, from the one enum of reasons.
    pub reason: Option<String>,
    /// The same in a sentence, with the object that causes it.
    pub message: String,
    /// When this phase and reason began.
    #[schemars(schema_with = "parts::shown_time")]
    pub since: Option<String>,
    /// The cluster clock when the phase began.
    pub phase_at: Option<ReadingStatus>,
    /// The cluster clock when this phase and reason began.
    pub reason_at: Option<ReadingStatus>,
    /// The cluster clock when Jobs were first waited for.
    pub jobs_at: Option<ReadingStatus>,
    /// The wall time of the same moment.
    #[schemars(schema_with = "parts::shown_time")]
    pub jobs_since: Option<String>,
    /// Written before any power action.
    #[serde(rename = "bootIDBefore")]
    pub boot_id_before: Option<String>,
    #[serde(rename = "bootIDAfter")]
    pub boot_id_after: Option<String>,
    /// The last attempt's number; 0: none yet.
    #[schemars(schema_with = "parts::number")]
    pub attempt: i64,
    /// Attempts of this round that may have started something.
    #[schemars(schema_with = "parts::number")]
    pub attempts_used: i64,
    /// Power actions of this round that the driver surely did not start.
    #[schemars(schema_with = "parts::number")]
    pub refusals: i64,
    /// The last attempt as stored before the act.
    pub power: Option<PowerStatus>,
    /// From the write-ahead record to the new bootID, in milliseconds of the cluster clock.
    #[schemars(schema_with = "parts::number")]
    pub boot_ms: Option<i64>,
    /// The spec.retries that have been acted on.
    #[schemars(schema_with = "parts::number")]
    pub retries_done: i64,
    /// The wait after a release.
    pub back_off: Option<BackOffStatus>,
    /// Pods that must leave.
    pub drain: Option<DrainStatus>,
    /// The cluster clock when all of the proof but settle began to hold.
    pub settling_at: Option<ReadingStatus>,
    /// The waiver that ended it.
    #[schemars(schema_with = "parts::shown_time")]
    pub waived: Option<String>,
    #[schemars(schema_with = "parts::conditions")]
    pub conditions: Vec<Condition>,
}

/// A reading of the cluster clock in milliseconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReadingStatus {
    /// Led.
    #[schemars(schema_with = "parts::number")]
    pub led: i64,
    /// Led while not paused.
    #[schemars(schema_with = "parts::number")]
    pub running: i64,
}

/// What the write-ahead record stores of the policy and of the attempt.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerStatus {
    pub step: LadderStep,
    #[schemars(schema_with = "parts::number")]
    pub boot_timeout_seconds: i64,
    #[schemars(schema_with = "parts::number")]
    pub attempts: i64,
    #[schemars(schema_with = "parts::number")]
    pub verify_timeout_seconds: i64,
    pub verify_daemon_sets: bool,
    #[schemars(schema_with = "parts::number")]
    pub settle_seconds: i64,
    /// On the cluster clock's time led.
    #[schemars(schema_with = "parts::number")]
    pub deadline_led_ms: i64,
    #[schemars(schema_with = "parts::shown_time")]
    pub recorded_at: String,
    #[schemars(schema_with = "outcome")]
    pub outcome: String,
}

/// The wait after a release.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackOffStatus {
    /// The version of this part of the status.
    #[serde(default)]
    #[schemars(schema_with = "parts::number")]
    pub format: Option<i64>,
    /// Releases so far.
    #[schemars(schema_with = "parts::number")]
    pub releases: i64,
    pub from: ReadingStatus,
    #[schemars(schema_with = "parts::number")]
    pub seconds: i64,
    /// When it ends if nothing is paused.
    #[schemars(schema_with = "parts::shown_time")]
    pub until: String,
    /// A change of it ends the wait.
    pub blocked_by: Option<BlockedByStatus>,
}

/// The object that blocked.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct BlockedByStatus {
    pub object: String,
    /// Its version then.
    pub seen: String,
}

/// Pods that must leave.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DrainStatus {
    /// When the drain began.
    #[schemars(schema_with = "parts::number")]
    pub total: i64,
    #[schemars(schema_with = "parts::number")]
    pub left: i64,
}

fn phase(_: &mut SchemaGenerator) -> Schema {
    let phases: Vec<&str> = junban_core::entry::Phase::ALL
        .iter()
        .map(|phase| phase.as_str())
        .collect();
    json_schema!({"type": "string", "enum": phases})
}

fn outcome(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Unknown", "Started", "NothingStarted"]})
}
