//! The cluster's one RebootQueue: the pause button, the limits of the whole cluster, and the ledger of slots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::guard::{self, Slip};
use crate::ids::{EntryName, EntryUid, NodeName, NodeUid, QueueUid, Version};
use crate::quantity::IntOrPercent;
use crate::selector::Selector;
use crate::time::Timestamp;

/// The queue as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    pub uid: QueueUid,
    pub version: Version,
    pub generation: i64,
    pub created: Timestamp,
    pub paused: bool,
    pub pause_reason: String,
    /// Whether a person has resumed this very object: `spec.resumed` is its UID.
    pub resumed: bool,
    pub max_concurrent: IntOrPercent,
    /// A percentage is of the nodes and rounds up. At least 1.
    pub max_unavailable: IntOrPercent,
    /// `failures.max`. See [`Queue::failures_tolerated`].
    pub failures_max: IntOrPercent,
    pub control_plane: ControlPlane,
    /// `history.perNode`: how many ended entries of a node are kept.
    pub history_per_node: usize,
    /// `None`: the status has no ledger field. It is rebuilt before the first grant
    /// (docs/design/ledger.md#rebuilding-the-ledger).
    pub ledger: Option<Ledger>,
    /// What the status says beside the ledger, as last written.
    pub summary: QueueSummary,
    pub quorum_groups: Vec<QuorumGroup>,
}

/// Servers that carry a quorum: of these at most one is away at a time (docs/design/control-plane.md#quorum-groups).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuorumGroup {
    pub name: String,
    pub members: QuorumMembers,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuorumMembers {
    /// The nodes with these labels.
    Nodes(Selector),
    /// The nodes on which a pod of this namespace with these labels is.
    Pods { namespace: String, selector: Selector },
}

impl Queue {
    /// Whether the queue was made again, and nothing may start before a person resumes it
    /// (docs/design/life-cycle.md#pause).
    pub fn is_held(&self) -> bool {
        !self.resumed && self.ledger.as_ref().is_some_and(|ledger| ledger.held)
    }

    /// Whether the queue is paused, as far as the object itself shows it. `None`: the object is new, and its ledger is not
    /// rebuilt yet.
    pub fn shows_pause(&self) -> Option<bool> {
        (self.paused || self.ledger.is_some()).then(|| self.paused || self.is_held())
    }

    /// `failures.max` as a number of nodes. A percentage is at least 1; the number 0 means "stop at the first failure".
    /// It is never more than half of the nodes.
    pub fn failures_tolerated(&self, nodes: usize) -> usize {
        let written = match self.failures_max {
            IntOrPercent::Count(count) => count as usize,
            percent => percent.of_rounded_up(nodes).max(1),
        };
        written.min(nodes / 2)
    }

    /// How many nodes may be unavailable while `broken` nodes are broken (docs/design/life-cycle.md#places). Beside
    /// tolerated failures there is always one place more, so one dead server does not stop a cluster of three.
    pub fn places(&self, nodes: usize, broken: usize) -> usize {
        let written = self.max_unavailable.of_rounded_up(nodes).max(1);
        let beside_failures = broken.min(self.failures_tolerated(nodes)) + 1;
        written.max(beside_failures) + guard::slip(Slip::Place) as usize
    }
}

/// The members of the control plane (docs/design/control-plane.md#health).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControlPlane {
    /// URLs of the API servers. With fewer than there are nodes that run one, no control-plane node is started.
    pub api_servers: Vec<String>,
    /// URLs of the etcd members.
    pub etcd: Vec<String>,
    /// The name of the Secret in Junban's namespace with the client certificate for etcd. Empty: none.
    pub etcd_client_secret: String,
    pub allow_quorum_loss: bool,
}

/// Who may make a node unavailable. It is changed only by compare-and-swap on the queue object.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(default)]
    pub slots: BTreeMap<NodeName, Slot>,
    /// The queue was made again while it was paused, or while entries waited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// The right of one entry to make its node unavailable: granted in the ledger, freed by proof only. It has less than
/// 200 bytes as JSON, because the queue holds up to [`Ledger::SLOTS_MAX`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    #[serde(rename = "nodeUID")]
    pub node_uid: NodeUid,
    pub entry: EntryName,
    #[serde(rename = "entryUID")]
    pub entry_uid: EntryUid,
    /// For each pinned pod of the node 8 digits of its budget's UID. People read this; the plan does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<String>,
}

impl Ledger {
    /// A real API server took 0.18 s to write 1,000 slots and refused 5,000
    /// (docs/design/ledger.md#ledger-mark-and-record).
    pub const SLOTS_MAX: usize = 1_000;
}

/// The rest of the queue's status. Nothing is decided from it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueSummary {
    pub observed_generation: i64,
    /// The number of entries in each phase.
    pub phases: BTreeMap<String, u32>,
    /// Nodes that hold places of `maxUnavailable`, with what holds each.
    pub holding: Vec<String>,
    /// The least time that any scheduler could need for what is left, and which limit causes it.
    pub lower_bound_seconds: Option<u64>,
    pub bound_by: String,
    /// `Active`, `Paused`, `Forbidden`, `Halted`, `Idle` or `Implausible`.
    pub state: String,
    pub message: String,
    /// `Halted` or `Implausible`, even while paused: a pause must not hide it. Else empty.
    pub trouble: String,
}

#[cfg(test)]
mod tests;
