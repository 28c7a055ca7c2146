//! The cluster's one RebootQueue: the pause button, the cluster-wide limits, and the ledger of slots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::guard::{self, Slip};
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

impl Queue {
    /// `failures.max` as a number of nodes: in percent at least 1; the number 0 stops at the first failure; never more
    /// than half of the nodes.
    pub fn failures_tolerated(&self, nodes: usize) -> usize {
        let written = match self.failures_max {
            IntOrPercent::Count(count) => count as usize,
            percent => percent.of_rounded_up(nodes).max(1),
        };
        written.min(nodes / 2)
    }

    /// How many nodes may be unavailable while `broken` nodes are broken: max(⌈maxUnavailable⌉,
    /// min(broken, failures.max) + 1). Without failures it is the written limit. Beside tolerated failures there is
    /// always one place more, so one dead server does not stop a cluster of three.
    pub fn places(&self, nodes: usize, broken: usize) -> usize {
        let written = self.max_unavailable.of_rounded_up(nodes).max(1);
        let beside_failures = broken.min(self.failures_tolerated(nodes)) + 1;
        written.max(beside_failures) + guard::slip(Slip::Place) as usize
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn limits(max_unavailable: &str, failures_max: &str) -> Queue {
        let parse = |text| IntOrPercent::parse(text).unwrap();
        Queue {
            max_unavailable: parse(max_unavailable),
            failures_max: parse(failures_max),
            ..fixture::queue()
        }
    }

    #[test]
    fn without_failures_it_is_the_written_limit() {
        let queue = limits("10%", "5%");
        assert_eq!([3, 10, 11, 30].map(|nodes| queue.places(nodes, 0)), [1, 1, 2, 3]);
    }

    #[test]
    fn beside_tolerated_failures_there_is_always_one_place_more() {
        let queue = limits("10%", "5%");
        assert_eq!(queue.places(3, 1), 2);
        // More than failures.max tolerates makes no further place.
        assert_eq!(queue.places(3, 2), 2);
        assert_eq!(limits("50%", "5%").places(30, 1), 15);
    }

    #[test]
    fn failures_max_in_percent_is_at_least_one_and_the_number_zero_stops_at_the_first() {
        assert_eq!(limits("1", "5%").failures_tolerated(3), 1);
        assert_eq!(limits("1", "0").failures_tolerated(3), 0);
        assert_eq!(
            limits("1", "100%").failures_tolerated(7),
            3,
            "never more than half of the nodes"
        );
    }
}
