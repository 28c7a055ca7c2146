//! NodeReboot: one node's turn for one goal. Its status is the record of `junban_core::entry`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::parts;
use super::policy::LadderStep;

/// One node's turn for one goal. Only `cancel` and `retries` may be changed.
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
    doc = "One node's turn for one goal. Junban keeps it as history after its end.",
    // The API server checks this for writes to the spec and to the status: so the node of a cancelled entry can never be
    // rebooted (docs/design/life-cycle.md#cancelling-and-giving-up).
    validation = Rule::new(
        "!(self.spec.cancel && has(self.status) && has(self.status.phase) && self.status.phase in ['Rebooting', 'Verifying'])"
    ).message("an entry in Rebooting or Verifying cannot be cancelled: the node is past its power action"),
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
        .message("only cancel and retries may be changed: create another entry"),
    validation = Rule::new("self.cancel || !oldSelf.cancel").message("a cancel cannot be taken back: create another entry for the node"),
    validation = Rule::new("self.retries >= oldSelf.retries").message("retries may only rise")
)]
pub struct NodeRebootSpec {
    /// The name of the node.
    #[schemars(schema_with = "parts::object_name")]
    pub node_name: String,
    /// The UID of the Node. A Node of the same name with another UID is another node.
    #[serde(rename = "nodeUID")]
    #[schemars(length(min = 1, max = 128))]
    pub node_uid: String,
    /// The policy that governs the node.
    #[schemars(schema_with = "parts::object_name")]
    pub policy: String,
    /// The goal: the node has booted since this time.
    #[schemars(schema_with = "parts::utc_time")]
    pub booted_after: String,
    /// Why the node is rebooted, for other people.
    #[serde(default)]
    #[schemars(schema_with = "parts::words")]
    pub reason: String,
    /// Who asked for this node by name. Must be the user who creates the entry. Empty: the controller created the entry
    /// for the goal of a policy.
    #[serde(default)]
    #[schemars(schema_with = "parts::words")]
    pub requested_by: String,
    /// Entries with a higher priority go first.
    #[serde(default)]
    pub priority: i32,
    /// Ends the turn, if the power action has not begun yet. Gives up a Failed entry. Cannot be taken back.
    #[serde(default)]
    pub cancel: bool,
    /// Raise it by one to give a Failed entry another round, or to end a back-off.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub retries: i32,
}

/// The record of the entry, from which another controller goes on after a crash. Never edit it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeRebootStatus {
    /// The version of this record. A release of Junban that knows only older versions leaves the entry alone.
    #[schemars(schema_with = "parts::number")]
    pub format: Option<i64>,
    /// The generation of the spec that this status knows.
    #[schemars(schema_with = "parts::number")]
    pub observed_generation: i64,
    /// Where the turn is.
    #[schemars(schema_with = "phase")]
    pub phase: String,
    /// Why the entry waits, or how it ended: one word of a fixed list.
    pub reason: Option<String>,
    /// The reason in a sentence, with the object that causes it.
    pub message: String,
    /// When this phase and reason began, in wall time.
    #[schemars(schema_with = "parts::shown_time")]
    pub since: Option<String>,
    /// The cluster clock when the phase began.
    pub phase_at: Option<ReadingStatus>,
    /// The cluster clock when this phase and reason began.
    pub reason_at: Option<ReadingStatus>,
    /// The cluster clock when work was first waited for.
    pub jobs_at: Option<ReadingStatus>,
    /// When work was first waited for, in wall time.
    #[schemars(schema_with = "parts::shown_time")]
    pub jobs_since: Option<String>,
    /// The node's bootID before the power action.
    #[serde(rename = "bootIDBefore")]
    pub boot_id_before: Option<String>,
    /// The node's bootID after the power action.
    #[serde(rename = "bootIDAfter")]
    pub boot_id_after: Option<String>,
    /// The number of the last attempt. 0: there was none yet.
    #[schemars(schema_with = "parts::number")]
    pub attempt: i64,
    /// How many attempts of this round may have started something.
    #[schemars(schema_with = "parts::number")]
    pub attempts_used: i64,
    /// How many power actions of this round were refused, so that nothing was started.
    #[schemars(schema_with = "parts::number")]
    pub refusals: i64,
    /// The last attempt, as stored before the power action.
    pub power: Option<PowerStatus>,
    /// The time from the write-ahead record to the new bootID, in milliseconds of the cluster clock.
    #[schemars(schema_with = "parts::number")]
    pub boot_ms: Option<i64>,
    /// The value of spec.retries that has been acted on.
    #[schemars(schema_with = "parts::number")]
    pub retries_done: i64,
    /// The wait after the node was released.
    pub back_off: Option<BackOffStatus>,
    /// How many pods must leave.
    pub drain: Option<DrainStatus>,
    /// The cluster clock when the whole proof except settle began to hold.
    pub settling_at: Option<ReadingStatus>,
    /// The waiver that ended this entry.
    #[schemars(schema_with = "parts::shown_time")]
    pub waived: Option<String>,
    /// How many times the server has restarted by itself since it came back.
    #[schemars(schema_with = "parts::number")]
    pub restarts: Option<i64>,
    #[schemars(schema_with = "parts::conditions")]
    pub conditions: Vec<Condition>,
}

/// A reading of the cluster clock in milliseconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReadingStatus {
    /// The time in which some controller led.
    #[schemars(schema_with = "parts::number")]
    pub led: i64,
    /// The part of that time in which the queue was not paused.
    #[schemars(schema_with = "parts::number")]
    pub running: i64,
}

/// What the write-ahead record stores about the policy and the attempt.
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
    /// The attempt's deadline, on the cluster clock's time led.
    #[schemars(schema_with = "parts::number")]
    pub deadline_led_ms: i64,
    #[schemars(schema_with = "parts::shown_time")]
    pub recorded_at: String,
    #[schemars(schema_with = "outcome")]
    pub outcome: String,
    /// verify.ignoreTaints of the policy.
    #[serde(default)]
    pub verify_ignore_taints: Vec<String>,
    /// verify.ignoreResources of the policy.
    #[serde(default)]
    pub verify_ignore_resources: Vec<String>,
}

/// The wait after the node was released.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackOffStatus {
    /// The version of this part of the status.
    #[serde(default)]
    #[schemars(schema_with = "parts::number")]
    pub format: Option<i64>,
    /// How often the node was released so far.
    #[schemars(schema_with = "parts::number")]
    pub releases: i64,
    pub from: ReadingStatus,
    #[schemars(schema_with = "parts::number")]
    pub seconds: i64,
    /// When the wait ends if the queue is not paused.
    #[schemars(schema_with = "parts::shown_time")]
    pub until: String,
    /// The object that blocked. A change of this object ends the wait.
    pub blocked_by: Option<BlockedByStatus>,
    /// Whether the drain was in vain: a pod that left found no other node.
    #[serde(default)]
    pub in_vain: bool,
}

/// The object that blocked. A change of this object ends the wait.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct BlockedByStatus {
    pub object: String,
    /// The state of the object when the node was released.
    pub seen: String,
}

/// How many pods must leave.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DrainStatus {
    /// How many had to leave when the drain began.
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
