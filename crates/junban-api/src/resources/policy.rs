//! RebootPolicy: which nodes, what is required of them, and how they may be rebooted.

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
    /// The nodes that this policy selects. An empty selector selects nothing, so it is refused.
    pub node_selector: LabelSelector,
    /// The policy with the highest priority governs a node. If two have the same priority, neither acts (reason
    /// PolicyConflict). The default policies have -1000.
    pub priority: i32,
    /// The goal: every selected node has booted since this time. A time in the future is not due yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "parts::utc_time")]
    pub booted_after: Option<String>,
    /// The least time between two reboots of one node, whatever the goals say.
    #[serde(default = "hour")]
    #[schemars(schema_with = "parts::span")]
    pub min_interval: String,
    /// How many entries of this policy may be in flight at a time. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent: Option<i32>,
    /// Failure domains that are rebooted one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupsSpec>,
    /// How pods leave a node.
    #[serde(default)]
    pub drain: DrainSpec,
    /// How a server is rebooted.
    #[serde(default)]
    pub reboot: RebootSpec,
    /// What proves that a server is back.
    #[serde(default)]
    pub verify: VerifySpec,
}

/// Failure domains: nodes that share the value of a label.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupsSpec {
    /// The key of the label, for example topology.kubernetes.io/zone.
    #[schemars(schema_with = "parts::label_key")]
    pub by: String,
    /// How many groups may have nodes in flight at a time.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub at_once: i32,
}

/// How pods leave a node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "duration(self.timeout) >= duration('10s')",
    "message": "timeout must be at least 10s: a node counts as drained five seconds after its cordon at the earliest",
}, {
    "rule": "self.budgets.all(b, !has(b.timeout) || duration(b.timeout) <= duration(self.timeout))",
    "message": "the timeout of budgets must not be longer than drain.timeout",
}]))]
pub struct DrainSpec {
    /// How long a drain may take, at least 10s. The time in which the queue is paused does not count.
    #[schemars(schema_with = "parts::span")]
    pub timeout: String,
    /// How long load balancers have to take the node out of service before pods leave. Begins when the label
    /// node.kubernetes.io/exclude-from-external-load-balancers is set. Comes on top of timeout.
    #[schemars(schema_with = "parts::span")]
    pub load_balancer_wait: String,
    /// The limit for owners of two or more pods, of any kind, that no PodDisruptionBudget selects.
    pub unbudgeted: UnbudgetedSpec,
    /// Names of namespaces. If the eviction of a pod there is denied, the pod is deleted; of one owner no more pods at a
    /// time than `unbudgeted` allows. Needs the role junban-force in each of these namespaces.
    #[schemars(schema_with = "parts::namespaces")]
    pub delete_after_denial: Vec<String>,
    /// Work: pods that end by themselves, of Jobs and of all other owners (restartPolicy Never or OnFailure).
    pub jobs: JobsSpec,
    /// Whether pods with an emptyDir volume are evicted (Evict) or keep the node from being rebooted (Block).
    #[schemars(schema_with = "leave")]
    pub empty_dir: String,
    /// Whether pods without a controller are evicted (Evict) or keep the node from being rebooted (Block). Nobody would
    /// create such a pod again.
    #[schemars(schema_with = "leave")]
    pub bare: String,
    /// What happens after timeout. Release: the node is uncordoned and tried again later. Hold: the node stays cordoned
    /// and its entry is Failed.
    #[schemars(schema_with = "on_timeout")]
    pub on_timeout: String,
    /// PodDisruptionBudgets that allow nothing until an operator, for example of a database, sees that the node is
    /// cordoned or that an eviction of the pod was asked for. Junban cordons the node although such a budget allows nothing.
    #[schemars(length(max = 32))]
    pub budgets: Vec<OpeningBudgetsSpec>,
    /// What happens if a pod is still terminating two minutes after the end of its grace period, for example because
    /// its process waits for a file system that is gone. Release: the drain waits until timeout, then onTimeout decides.
    /// Reboot: the node is rebooted with such pods still on it, also if their volumes are still attached.
    #[schemars(schema_with = "stuck_terminating")]
    pub stuck_terminating: String,
    /// Whether a node waits until other nodes have room for its pods (Require), or goes and the pods without room come
    /// back with it (Report).
    #[schemars(schema_with = "capacity")]
    pub capacity: String,
    /// Resources of which a lack is only reported, for example nvidia.com/gpu in a fleet that is always full.
    #[schemars(schema_with = "parts::resource_names")]
    pub capacity_report_only: Vec<String>,
}

/// PodDisruptionBudgets that allow nothing until an operator sees the cordon of the node or a request to evict the pod.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.selector) || has(self.__namespace__)")
        .message("name the budgets by selector, by namespace, or by both"),
    validation = Rule::new("!has(self.timeout) || duration(self.timeout) >= duration('10s')")
        .message("timeout must be at least 10s: an operator needs time to move its pod")
)]
pub struct OpeningBudgetsSpec {
    /// Labels of the PodDisruptionBudgets (not of their pods).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The namespace of the PodDisruptionBudgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "parts::namespace")]
    pub namespace: Option<String>,
    /// Cordon: the operator moves the pod when its node is cordoned. Eviction: when its eviction is asked for; the request
    /// is repeated until the pod has left.
    #[schemars(schema_with = "opens_at")]
    pub opens_at: String,
    /// How many nodes may wait so at a time.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub at_once: i32,
    /// How long a node waits so before onTimeout decides. At most drain.timeout, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "parts::optional_span")]
    pub timeout: Option<String>,
}

/// The limit for owners of two or more pods, of any kind, that no PodDisruptionBudget selects.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UnbudgetedSpec {
    /// How many pods of one owner may be disrupted at a time. A percentage is of the owner's pods; it rounds down, to at
    /// least 1.
    #[schemars(schema_with = "parts::at_least_one")]
    pub max_unavailable: CountOrPercent,
}

/// Work: pods that end by themselves, of Jobs and of all other owners (restartPolicy Never or OnFailure).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobsSpec {
    /// Labels of the pods that are evicted. All others are waited for. Absent: none is evicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evict: Option<LabelSelector>,
    /// How long work, and pods that must not be disturbed, are waited for in all. Then work is evicted. Pods that must not
    /// be disturbed never are, nor bare pods under Block: then onTimeout decides.
    #[schemars(schema_with = "parts::span")]
    pub deadline: String,
}

/// How a server is rebooted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "duration(self.bootTimeout) >= duration('20s')",
    "message": "bootTimeout must be at least 20s: the power action may begin 10 s after it is recorded",
}]))]
pub struct RebootSpec {
    /// The drivers, one step for each attempt; the last step is used for all further attempts. Empty: nothing is rebooted
    /// (reason NoDriver).
    #[schemars(length(max = 4))]
    pub ladder: Vec<LadderStep>,
    /// The longest time from the power action to a new bootID, at least 20s.
    #[schemars(schema_with = "parts::span")]
    pub boot_timeout: String,
    /// How many power actions a round may have. A second one can hit a machine that is still booting.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: i32,
}

/// One step of the ladder.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("size(self.command) > 0 && size(self.command[0]) > 0")
        .message("command must begin with the program to run")
)]
pub struct LadderStep {
    /// The driver: command.
    #[schemars(schema_with = "driver")]
    pub driver: String,
    /// For the driver command: the program and its arguments. Exit code 0 means that the reboot has started, 75 that
    /// nothing was started. After any other exit code the outcome is unknown.
    #[schemars(schema_with = "command")]
    pub command: Vec<String>,
}

/// What proves that a server is back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "duration(self.timeout) >= duration('10s')",
    "message": "timeout must be at least 10s: a kubelet renews its Lease every ten seconds, and the proof needs a renewal",
}]))]
pub struct VerifySpec {
    /// The longest time from a new bootID to the proof, at least 10s.
    #[schemars(schema_with = "parts::span")]
    pub timeout: String,
    /// Whether each DaemonSet that had a Ready pod on the node must have one there again.
    pub daemon_sets: bool,
    /// How long the node must stay Ready. Absent: 30s for control-plane nodes, 0s for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "parts::optional_span")]
    pub settle: Option<String>,
    /// Keys of taints that a node may have after its boot without having had them before. "*": all. Any other new
    /// NoSchedule or NoExecute taint keeps the node from being proven.
    #[schemars(schema_with = "parts::keys")]
    pub ignore_taints: Vec<String>,
    /// Names of resources of which a node may have less after its boot, for example memory. "*": all. Less of any other
    /// resource (of memory: 2 % less) keeps the node from being proven.
    #[schemars(schema_with = "parts::keys")]
    pub ignore_resources: Vec<String>,
}

/// The state of the policy. Junban decides nothing from it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RebootPolicyStatus {
    /// The generation of the spec that this status knows.
    #[schemars(schema_with = "parts::number")]
    pub observed_generation: i64,
    /// Nodes that this policy governs.
    #[schemars(schema_with = "parts::number")]
    pub desired: i64,
    /// How many of these nodes have booted since the goal.
    #[schemars(schema_with = "parts::number")]
    pub done: i64,
    /// Entries of this policy in flight.
    #[schemars(schema_with = "parts::number")]
    pub active: i64,
    /// Entries of this policy that are Failed.
    #[schemars(schema_with = "parts::number")]
    pub failed: i64,
    /// The reason why the policy does nothing. Empty: it is ready.
    pub problem: String,
    /// The problem in a sentence.
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

fn opens_at(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Cordon", "Eviction"]})
}

fn stuck_terminating(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Release", "Reboot"]})
}

fn capacity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Require", "Report"]})
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

fn one() -> i32 {
    1
}

impl Default for DrainSpec {
    fn default() -> Self {
        Self {
            timeout: "30m".into(),
            load_balancer_wait: "0s".into(),
            unbudgeted: UnbudgetedSpec::default(),
            delete_after_denial: Vec::new(),
            jobs: JobsSpec::default(),
            empty_dir: "Evict".into(),
            bare: "Block".into(),
            on_timeout: "Release".into(),
            budgets: Vec::new(),
            stuck_terminating: "Release".into(),
            capacity: "Require".into(),
            capacity_report_only: Vec::new(),
        }
    }
}

impl Default for UnbudgetedSpec {
    fn default() -> Self {
        Self {
            max_unavailable: CountOrPercent::percent(10),
        }
    }
}

impl Default for JobsSpec {
    fn default() -> Self {
        Self {
            evict: None,
            deadline: "6h".into(),
        }
    }
}

impl Default for RebootSpec {
    fn default() -> Self {
        Self {
            ladder: Vec::new(),
            boot_timeout: "30m".into(),
            attempts: 1,
        }
    }
}

impl Default for VerifySpec {
    fn default() -> Self {
        Self {
            timeout: "15m".into(),
            daemon_sets: true,
            settle: None,
            ignore_taints: Vec::new(),
            ignore_resources: Vec::new(),
        }
    }
}
