//! The cluster's one RebootQueue: the pause button, the cluster-wide limits, and the ledger of slots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{EntryName, EntryUid, NodeName, NodeUid, QueueUid, Version};
use crate::quantity::IntOrPercent;

/// The queue as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    pub uid: QueueUid,
    pub version: Version,
    pub generation: i64,
    pub paused: bool,
    pub pause_reason: String,
    /// Entries in flight.
    pub max_concurrent: IntOrPercent,
    /// Of the nodes, rounds up, at least 1.
    pub max_unavailable: IntOrPercent,
    /// `failures.max`: of the nodes; in percent at least 1; the number 0 means stop at the first.
    pub failures_max: IntOrPercent,
    pub control_plane: ControlPlane,
    /// `history.perNode`: ended entries kept per node name.
    pub history_per_node: usize,
    /// `None`: the status has no ledger field at all, so it must be rebuilt before the first grant
    /// (lifecycle.md 6, last row).
    pub ledger: Option<Ledger>,
    /// What the status says beside the ledger, as last written.
    pub summary: QueueSummary,
}

/// Where the control plane is found and whether its quorum may be lost (lifecycle.md 7).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControlPlane {
    /// URLs of the API servers. Empty: no control-plane node is ever started.
    pub api_servers: Vec<String>,
    /// URLs of the etcd members.
    pub etcd: Vec<String>,
    /// Name of the Secret with the client certificate for etcd, in Junban's namespace; empty: none.
    pub etcd_client_secret: String,
    pub allow_quorum_loss: bool,
}

/// Who may make a node unavailable. Changed by compare-and-swap on the queue object only.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(default)]
    pub slots: BTreeMap<NodeName, Slot>,
}

/// The right of one entry to make its node unavailable: granted in the ledger, freed by proof only. Under
/// 200 bytes as JSON, since the queue holds up to [`Ledger::SLOTS_MAX`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    #[serde(rename = "nodeUID")]
    pub node_uid: NodeUid,
    pub entry: EntryName,
    #[serde(rename = "entryUID")]
    pub entry_uid: EntryUid,
    /// Budgets of the node's pinned pods, one per pod, named by 8 digits of their UID.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<String>,
}

impl Ledger {
    /// A status of 1,000 slots costs a real API server 0.18 s to write, 5,000 are refused (design.md 4).
    pub const SLOTS_MAX: usize = 1_000;
}

/// The part of the queue's status that only tells: nothing is decided from it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueSummary {
    pub observed_generation: i64,
    /// Entries per phase; `Queued` and so on.
    pub phases: BTreeMap<String, u32>,
    /// Nodes that hold places of `maxUnavailable`, with what holds each.
    pub holding: Vec<String>,
    /// Seconds that any scheduler would need for what is left, and what binds it.
    pub lower_bound_seconds: Option<u64>,
    pub bound_by: String,
    /// `Active`, `Paused`, `Halted`, `Idle` or `Implausible`.
    pub state: String,
    pub message: String,
    /// `Halted` or `Implausible`, while paused as well: a pause hides no trouble. Else empty.
    pub trouble: String,
}
