//! RebootPolicy: which nodes, what is required of them, how they may be rebooted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::parts::{self, CountOrPercent, LabelSelector};

/// Which nodes, what is required of them, and how they may be rebooted.
#[derive(CustomResource, KubeSchema, Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "junban.dev",
    version = "v1alpha1",
    kind = "RebootPolicy",
    plural = "rebootpolicies",
    shortname = "rbp",
    category = "junban",
    status = "RebootPolicyStatus",
    doc = "Which nodes, what is required of them (the goal), and how they may be rebooted.",
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority"),
    printcolumn(name = "Goal", type_ = "string", json_path = ".spec.bootedAfter"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desired"),
    printcolumn(name = "Done", type_ = "integer", json_path = ".status.done"),
    printcolumn(name = "Active", type_ = "integer", json_path = ".status.active"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Problem", type_ = "string", json_path = ".status.problem"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct RebootPolicySpec {
    /// The nodes. An empty selector would select nothing, ever; it is refused.
    pub node_selector: LabelSelector,
    /// The highest governs a node; a tie is a conflict in which neither acts. The default policies have -1000.
    pub priority: i32,
    /// The declared goal: every selected node has booted since then. In the future: not due yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "parts::utc_time")]
    pub booted_after: Option<String>,
    /// Between two reboots of one node, whatever the goals say.
    #[serde(default = "hour")]
    #[schemars(schema_with = "parts::span")]
    pub min_interval: String,
    /// Entries of this policy in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent: Option<i32>,
    /// Failure domains that are taken one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupsSpec>,
    /// How pods leave.
    #[serde(default)]
    pub drain: DrainSpec,
    /// How a server is rebooted.
    #[serde(default)]
    pub reboot: RebootSpec,
    /// What proves that it is back.
    #[serde(default)]
    pub verify: VerifySpec,
}

/// Failure domains: nodes that share the value of a label.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupsSpec {
    /// The label's key, as topology.kubernetes.io/zone.
    #[schemars(schema_with = "parts::label_key")]
    pub by: String,
    /// Groups open at a time.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub at_once: i32,
}

/// How pods leave.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.timeout) >= duration('10s')")
        .message("timeout is at least 10s: a node counts as drained five seconds after its cordon at the earliest")
)]
pub struct DrainSpec {
    /// How long a drain may take, at least 10s; its clock stands still while paused.
    #[serde(default = "half_hour")]
    #[schemars(schema_with = "parts::span")]
    pub timeout: String,
    /// What load balancers get, after the label node.kubernetes.io/exclude-from-external-load-balancers is set, to take
    /// the node out before pods leave. Comes on top of timeout.
    #[serde(default = "at_once")]
    #[schemars(schema_with = "parts::span")]
    pub load_balancer_wait: String,
    /// For owners of two or more pods that no PodDisruptionBudget selects.
    #[serde(default)]
    pub unbudgeted: UnbudgetedSpec,
    /// Namespaces, by name, where a pod whose eviction is denied is deleted; of one owner no more at a time than
    /// `unbudgeted` allows. Needs the role junban-force there.
    #[serde(default)]
    #[schemars(schema_with = "parts::namespaces")]
    pub delete_after_denial: Vec<String>,
    /// Running pods of Jobs.
    #[serde(default)]
    pub jobs: JobsSpec,
    /// Pods with an emptyDir volume: Evict or Block.
    #[serde(default = "evict")]
    #[schemars(schema_with = "leave")]
    pub empty_dir: String,
    /// Pods without a controller, which nobody would make again: Block or Evict.
    #[serde(default = "block")]
    #[schemars(schema_with = "leave")]
    pub bare: String,
    /// Release (uncordon, back off) or Hold (stay cordoned: Failed).
    #[serde(default = "release")]
    #[schemars(schema_with = "on_timeout")]
    pub on_timeout: String,
}

/// For owners of two or more pods that no PodDisruptionBudget selects.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnbudgetedSpec {
    /// Pods of one owner that are disrupted at a time; rounds down, at least 1.
    #[serde(default = "ten_percent")]
    #[schemars(schema_with = "parts::at_least_one")]
    pub max_unavailable: CountOrPercent,
}

/// Running pods of Jobs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobsSpec {
    /// Labels of the pods that are evicted; all others are waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evict: Option<LabelSelector>,
    /// Bounds all waiting for Jobs; after it they are evicted.
    #[serde(default = "six_hours")]
    #[schemars(schema_with = "parts::span")]
    pub deadline: String,
}

/// How a server is rebooted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.bootTimeout) >= duration('20s')")
        .message("bootTimeout is at least 20s: the power action may begin 10 s after it is recorded")
)]
pub struct RebootSpec {
    /// Drivers, tried one after another. Empty: nothing is rebooted (reason NoDriver).
    #[serde(default)]
    #[schemars(length(max = 4))]
    pub ladder: Vec<LadderStep>,
    /// From the power action to a changed bootID.
    #[serde(default = "half_hour")]
    #[schemars(schema_with = "parts::span")]
    pub boot_timeout: String,
    /// Power actions per round. A second one can hit a machine that is still booting.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: i32,
}

/// One step of the ladder.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("size(self.command) > 0 && size(self.command[0]) > 0")
        .message("command begins with the program to run")
)]
pub struct LadderStep {
    /// The driver: command.
    #[schemars(schema_with = "driver")]
    pub driver: String,
    /// For the driver command: the program and its arguments. Exit 0 means started, 75 that surely nothing was
    /// started, all else is unknown.
    #[schemars(schema_with = "command")]
    pub command: Vec<String>,
}

/// What proves that a server is back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.timeout) >= duration('10s')")
        .message("timeout is at least 10s: a kubelet renews its Lease no oftener, and the proof needs a fresh one")
)]
pub struct VerifySpec {
    /// From a changed bootID to the proof, at least 10s.
    #[serde(default = "quarter_hour")]
    #[schemars(schema_with = "parts::span")]
    pub timeout: String,
    /// Whether each DaemonSet that had a Ready pod here must have one again.
    #[serde(default = "yes")]
    pub daemon_sets: bool,
    /// How long the node must stay Ready. Absent: 30s for control-plane nodes, 0s for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "parts::optional_span")]
    pub settle: Option<String>,
}

/// What is so; nothing is decided from it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RebootPolicyStatus {
    /// The generation of the spec that this status knows.
    #[schemars(schema_with = "parts::number")]
    pub observed_generation: i64,
    /// Nodes that this policy governs.
    #[schemars(schema_with = "parts::number")]
    pub desired: i64,
    /// Of those, booted since the goal.
    #[schemars(schema_with = "parts::number")]
    pub done: i64,
    /// In flight.
    #[schemars(schema_with = "parts::number")]
    pub active: i64,
    #[schemars(schema_with = "parts::number")]
    pub failed: i64,
    /// Why it does nothing; empty: it is ready.
    pub problem: String,
    /// The same in a sentence.
    pub message: String,
    #[schemars(schema_with = "parts::conditions")]
    pub conditions: Vec<Condition>,
}

fn leave(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Evict", "Block"]})
}

fn on_timeout(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Release", "Hold"]})
}

fn driver(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["command"]})
}

fn command(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": {"type": "string", "maxLength": 4096},
    })
}

fn hour() -> String {
    "1h".into()
}

fn half_hour() -> String {
    "30m".into()
}

fn quarter_hour() -> String {
    "15m".into()
}

fn six_hours() -> String {
    "6h".into()
}

fn evict() -> String {
    "Evict".into()
}

fn block() -> String {
    "Block".into()
}

fn at_once() -> String {
    "0s".into()
}

fn release() -> String {
    "Release".into()
}

fn ten_percent() -> CountOrPercent {
    CountOrPercent::percent(10)
}

fn one() -> i32 {
    1
}

fn yes() -> bool {
    true
}

impl Default for DrainSpec {
    fn default() -> Self {
        Self {
            timeout: half_hour(),
            load_balancer_wait: at_once(),
            unbudgeted: UnbudgetedSpec::default(),
            delete_after_denial: Vec::new(),
            jobs: JobsSpec::default(),
            empty_dir: evict(),
            bare: block(),
            on_timeout: release(),
        }
    }
}

impl Default for UnbudgetedSpec {
    fn default() -> Self {
        Self {
            max_unavailable: ten_percent(),
        }
    }
}

impl Default for JobsSpec {
    fn default() -> Self {
        Self {
            evict: None,
            deadline: six_hours(),
        }
    }
}

impl Default for RebootSpec {
    fn default() -> Self {
        Self {
            ladder: Vec::new(),
            boot_timeout: half_hour(),
            attempts: one(),
        }
    }
}

impl Default for VerifySpec {
    fn default() -> Self {
        Self {
            timeout: quarter_hour(),
            daemon_sets: yes(),
            settle: None,
        }
    }
}
