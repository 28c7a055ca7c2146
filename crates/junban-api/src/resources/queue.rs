//! RebootQueue: the pause button, the cluster-wide limits, the ledger.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{self, CountOrPercent};

/// The cluster's one queue, named `default`: the pause button and the limits that hold for all policies. Without
/// it everything counts as paused.
#[derive(CustomResource, KubeSchema, Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "junban.dev",
    version = "v1alpha1",
    kind = "RebootQueue",
    plural = "rebootqueues",
    shortname = "rbq",
    category = "junban",
    status = "RebootQueueStatus",
    doc = "The cluster's one queue: the pause button, the cluster-wide limits, the ledger of slots.",
    validation = Rule::new("self.metadata.name == 'default'").message("the one queue is named default"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Paused", type_ = "boolean", json_path = ".spec.paused"),
    printcolumn(name = "Queued", type_ = "integer", json_path = ".status.phases.Queued"),
    printcolumn(name = "Draining", type_ = "integer", json_path = ".status.phases.Draining"),
    printcolumn(name = "Rebooting", type_ = "integer", json_path = ".status.phases.Rebooting"),
    printcolumn(name = "Verifying", type_ = "integer", json_path = ".status.phases.Verifying"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.phases.Failed"),
    printcolumn(name = "Bound", type_ = "string", json_path = ".status.boundBy", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct RebootQueueSpec {
    /// Starts nothing new: no cordon, no eviction, no power action.
    #[serde(default)]
    pub paused: bool,
    /// Why, for others to read.
    #[serde(default)]
    #[schemars(schema_with = "parts::words")]
    pub pause_reason: String,
    /// Entries in flight, of the nodes; 1 is one by one.
    #[serde(default = "hundred_percent")]
    #[schemars(schema_with = "parts::at_least_one")]
    pub max_concurrent: CountOrPercent,
    /// Unavailable nodes at a time, of the nodes; rounds up; counts every unavailable node, whoever caused it.
    #[serde(default = "ten_percent")]
    #[schemars(schema_with = "parts::at_least_one")]
    pub max_unavailable: CountOrPercent,
    /// When failures stop the rest.
    #[serde(default)]
    pub failures: FailuresSpec,
    /// Where the control plane is found.
    #[serde(default)]
    pub control_plane: ControlPlaneSpec,
    /// What is kept of the past.
    #[serde(default)]
    pub history: HistorySpec,
}

/// When failures stop the rest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailuresSpec {
    /// While more entries than this are Failed, nothing starts. Of the nodes; in percent at least 1; the number 0
    /// means stop at the first.
    #[serde(default = "five_percent")]
    pub max: CountOrPercent,
}

/// Where the control plane is found, and whether its quorum may be lost.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneSpec {
    /// URLs of the API servers, as https://10.0.0.1:6443. Empty: no control-plane node is ever started.
    #[serde(default)]
    #[schemars(schema_with = "parts::urls")]
    pub api_servers: Vec<String>,
    /// URLs of the etcd members, as https://10.0.0.1:2379.
    #[serde(default)]
    #[schemars(schema_with = "parts::urls")]
    pub etcd: Vec<String>,
    /// Name of the Secret with the client certificate for etcd (tls.crt, tls.key, ca.crt) in Junban's namespace.
    #[serde(default)]
    #[schemars(schema_with = "parts::secret")]
    pub etcd_client_secret: String,
    /// One or two control-plane nodes are rebooted only with this.
    #[serde(default)]
    pub allow_quorum_loss: bool,
}

/// What is kept of the past.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistorySpec {
    /// Ended entries kept per node; the newest is never dropped.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub per_node: i32,
}

/// What is so: the ledger, from which is decided, and a summary that only tells.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RebootQueueStatus {
    /// The generation of the spec that this status knows.
    #[schemars(schema_with = "parts::number")]
    pub observed_generation: i64,
    /// Who may make a node unavailable. Changed by compare-and-swap only; never edit it.
    pub ledger: Option<LedgerStatus>,
    /// Entries by phase.
    #[schemars(schema_with = "parts::numbers")]
    pub phases: BTreeMap<String, i64>,
    /// Nodes that hold places of maxUnavailable, and what holds each.
    pub holding: Vec<String>,
    /// The least time in seconds that any scheduler would need for what is left.
    #[schemars(schema_with = "parts::number")]
    pub lower_bound_seconds: Option<i64>,
    /// What binds it.
    pub bound_by: String,
    /// Active, Paused, Halted, Idle or Implausible.
    pub state: String,
    /// The same in a sentence.
    pub message: String,
    /// Halted or Implausible, while paused as well; else empty.
    pub trouble: String,
    #[schemars(schema_with = "parts::conditions")]
    pub conditions: Vec<Condition>,
}

/// The ledger of slots.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerStatus {
    /// By node name.
    pub slots: BTreeMap<String, SlotStatus>,
}

/// The right of one entry to make its node unavailable.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    #[serde(rename = "nodeUID")]
    pub node_uid: String,
    pub entry: String,
    #[serde(rename = "entryUID")]
    pub entry_uid: String,
    /// Budgets of the node's pinned pods, one per pod, by 8 digits of their UID.
    #[serde(default)]
    pub reserved: Vec<String>,
}

fn hundred_percent() -> CountOrPercent {
    CountOrPercent::percent(100)
}

fn ten_percent() -> CountOrPercent {
    CountOrPercent::percent(10)
}

fn five_percent() -> CountOrPercent {
    CountOrPercent::percent(5)
}

fn three() -> i32 {
    3
}

impl Default for FailuresSpec {
    fn default() -> Self {
        Self { max: five_percent() }
    }
}

impl Default for HistorySpec {
    fn default() -> Self {
        Self { per_node: three() }
    }
}
