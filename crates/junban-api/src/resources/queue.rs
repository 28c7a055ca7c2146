//! RebootQueue: the pause button, the limits of the whole cluster, the ledger.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::parts::{self, CountOrPercent, LabelSelector};

/// The cluster's one queue, named `default`: the pause button, and the limits that hold for all policies. Without a queue
/// everything counts as paused.
#[derive(CustomResource, JsonSchema, Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[kube(
    group = "junban.dev",
    version = "v1alpha1",
    kind = "RebootQueue",
    plural = "rebootqueues",
    shortname = "rbq",
    category = "junban",
    status = "RebootQueueStatus",
    doc = "The cluster's one queue: the pause button, the limits of the whole cluster, and the ledger of slots.",
    validation = Rule::new("self.metadata.name == 'default'").message("the queue must be named default: there is only one"),
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
    /// While true, nothing new starts: no cordon, no eviction, no power action.
    pub paused: bool,
    /// Why the queue is paused, for other people.
    #[schemars(schema_with = "parts::words")]
    pub pause_reason: String,
    /// The UID of this queue object, written by `junban resume`. A queue that was made again while it was paused, or while
    /// entries waited, starts nothing before.
    #[schemars(schema_with = "parts::words")]
    pub resumed: String,
    /// How many entries may be in flight at a time. A percentage is of the nodes that are not excluded. 1: one node after
    /// another.
    #[schemars(schema_with = "parts::at_least_one")]
    pub max_concurrent: CountOrPercent,
    /// How many nodes may be unavailable at a time. A percentage is of the nodes that are not excluded, and rounds up.
    /// Every unavailable node counts, whatever the cause.
    #[schemars(schema_with = "parts::at_least_one")]
    pub max_unavailable: CountOrPercent,
    /// How many failures stop the other nodes.
    pub failures: FailuresSpec,
    /// Where the API servers and the etcd members are.
    pub control_plane: ControlPlaneSpec,
    /// How many ended entries are kept.
    pub history: HistorySpec,
    /// Servers that carry a quorum: storage monitors, metadata servers. Of a group never two nodes are away at once,
    /// whoever caused it.
    // The empty list is left out, so that the schema has no default: see the test of lists of type map.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "quorum_groups")]
    pub quorum_groups: Vec<QuorumGroupSpec>,
}

/// Servers that carry a quorum, by their nodes or by their pods. A node is away while it is cordoned, not Ready, or in a
/// turn. The health of what runs on it is not asked for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.nodeSelector) != has(self.podSelector)")
        .message("name either nodeSelector, or podSelector with namespace"),
    validation = Rule::new("has(self.podSelector) == has(self.__namespace__)")
        .message("namespace belongs to podSelector: write both or neither")
)]
pub struct QuorumGroupSpec {
    /// What people read of the group.
    #[schemars(schema_with = "parts::short_name")]
    pub name: String,
    /// The nodes of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,
    /// The pods of the group: the nodes on which they are belong to it. A pod that is on no node counts as a member that
    /// is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// The namespace of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "parts::namespace")]
    pub namespace: Option<String>,
}

fn quorum_groups(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": QuorumGroupSpec::json_schema(generator),
    })
}

/// How many failures stop the other nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailuresSpec {
    /// While more entries than this are Failed, nothing starts. A percentage is of the nodes that are not excluded, and at
    /// least 1. The number 0 stops at the first failure.
    pub max: CountOrPercent,
}

/// Where the API servers and the etcd members are, and whether the quorum may be lost.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlPlaneSpec {
    /// URLs of the API servers, for example https://10.0.0.1:6443: one for each node with the label
    /// node-role.kubernetes.io/control-plane. With fewer no control-plane node starts.
    #[schemars(schema_with = "parts::urls")]
    pub api_servers: Vec<String>,
    /// URLs of the etcd members, for example https://10.0.0.1:2379: one for each node that carries etcd. With fewer no
    /// control-plane node starts.
    #[schemars(schema_with = "parts::urls")]
    pub etcd: Vec<String>,
    /// The name of the Secret in Junban's namespace with the client certificate for etcd (tls.crt, tls.key, ca.crt).
    /// Empty: no certificate.
    #[schemars(schema_with = "parts::secret")]
    pub etcd_client_secret: String,
    /// Whether control-plane nodes may be rebooted if only one or two nodes carry etcd, or one node runs the only API
    /// server.
    pub allow_quorum_loss: bool,
}

/// How many ended entries are kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HistorySpec {
    /// How many ended entries are kept for each node. The newest is always kept.
    #[schemars(range(min = 1, max = 100))]
    pub per_node: i32,
}

/// The ledger, and a summary. Junban decides from the ledger only.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RebootQueueStatus {
    /// The generation of the spec that this status knows.
    #[schemars(schema_with = "parts::number")]
    pub observed_generation: i64,
    /// Who may make a node unavailable. Never edit it.
    pub ledger: Option<LedgerStatus>,
    /// How many entries are in each phase.
    #[schemars(schema_with = "parts::numbers")]
    pub phases: BTreeMap<String, i64>,
    /// The nodes that hold the places of maxUnavailable, each with the cause.
    pub holding: Vec<String>,
    /// The least time in seconds that any scheduler could need for the nodes that are left.
    #[schemars(schema_with = "parts::number")]
    pub lower_bound_seconds: Option<i64>,
    /// What determines the lower bound.
    pub bound_by: String,
    /// Active, Paused, Forbidden, Halted, Idle or Implausible.
    pub state: String,
    /// The state in a sentence.
    pub message: String,
    /// Halted or Implausible, also while the queue is paused. Else empty.
    pub trouble: String,
    #[schemars(schema_with = "parts::conditions")]
    pub conditions: Vec<Condition>,
}

/// The ledger of slots.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerStatus {
    /// The slots by node name.
    pub slots: BTreeMap<String, SlotStatus>,
    /// The queue was made again while it was paused or while entries waited: nothing starts before `junban resume`.
    pub held: bool,
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
    /// The budgets of the node's pinned pods, one for each pod, as the first 8 digits of the budget's UID.
    #[serde(default)]
    pub reserved: Vec<String>,
}

impl Default for RebootQueueSpec {
    fn default() -> Self {
        Self {
            paused: false,
            pause_reason: String::new(),
            resumed: String::new(),
            max_concurrent: CountOrPercent::percent(100),
            max_unavailable: CountOrPercent::percent(10),
            failures: FailuresSpec::default(),
            control_plane: ControlPlaneSpec::default(),
            history: HistorySpec::default(),
            quorum_groups: Vec::new(),
        }
    }
}

impl Default for FailuresSpec {
    fn default() -> Self {
        let max = CountOrPercent::percent(5);
        Self { max }
    }
}

impl Default for HistorySpec {
    fn default() -> Self {
        Self { per_node: 3 }
    }
}
