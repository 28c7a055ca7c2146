//! A Node as the cache shows it.

use std::collections::BTreeMap;

use crate::ids::{BootId, NodeName, NodeUid, SystemUuid, Version};
use crate::journal::Journal;
use crate::mark::{Found, Mark};
use crate::selector::Labels;
use crate::taint::Taint;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub name: NodeName,
    pub uid: NodeUid,
    pub version: Version,
    pub created: Timestamp,
    pub labels: Labels,
    pub unschedulable: bool,
    /// Whether Junban's field manager owns `spec.unschedulable`.
    pub cordon_is_ours: bool,
    pub taints: Vec<Taint>,
    /// Labelled `junban.dev/exclude`: the node is never touched and counts nowhere.
    pub excluded: bool,
    /// Labelled `junban.dev/hold`: the node is not started for now. It counts.
    pub held: bool,
    /// Labelled `node-role.kubernetes.io/control-plane`: it runs an API server.
    pub control_plane: bool,
    /// Labelled `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub excluded_from_load_balancers: bool,
    /// Whether the node has the steering taint `junban.dev/pending`.
    pub pending_taint: bool,
    pub ready: bool,
    /// `None`: the kubelet has not reported it.
    pub boot_id: Option<BootId>,
    pub system_uuid: SystemUuid,
    /// `renewTime` of the node's Lease as text: only a change of it counts, never the time.
    pub lease: String,
    /// For each resource its amount: cpu in millicores, all others in their base unit.
    pub allocatable: BTreeMap<String, i64>,
    /// `Err`: the mark cannot be parsed. Then the node belongs to another tool and is not touched.
    pub mark: Option<Result<Mark, String>>,
    /// The mark's text exactly as read. A `test` compares it.
    pub mark_text: Option<String>,
    pub journal: Option<Journal>,
    /// `junban.dev/waived`: no goal up to this time counts for this node.
    pub waived: Option<Timestamp>,
    /// Another tool that owns this node, if there is one (docs/design/life-cycle.md#excluded-and-held-nodes).
    pub foreign_owner: Option<String>,
    /// Labelled `node-role.kubernetes.io/etcd`: it runs an etcd member.
    pub etcd: bool,
}

impl Node {
    /// Whether the node is one of the control plane: it runs an API server or an etcd member
    /// (docs/design/control-plane.md#turns).
    pub fn is_control_plane(&self) -> bool {
        self.control_plane || self.etcd
    }

    /// Whether the waiver on the Node covers the goal. [`crate::derived::Derived::is_waived`] also knows the waivers in
    /// ended entries.
    pub fn has_waived(&self, goal: Timestamp) -> bool {
        self.waived.is_some_and(|waived| waived >= goal)
    }

    /// What the node must have again after a reboot.
    pub fn found(&self) -> Found {
        let taints = self.taints.iter().filter(|taint| taint.keeps_pods_out());
        Found {
            taints: taints.map(ToString::to_string).collect(),
            allocatable: self.allocatable.clone(),
        }
    }

    /// Whether the bootID has changed since it was `before`. A Node that reports no bootID proves nothing.
    pub fn has_rebooted_since(&self, before: &BootId) -> bool {
        self.boot_id.as_ref().is_some_and(|now| now != before)
    }

    /// The journal, if it names the boot that the Node shows now.
    pub fn current_journal(&self) -> Option<&Journal> {
        let is_current = |journal: &&Journal| self.boot_id.as_ref() == Some(&journal.boot_id);
        self.journal.as_ref().filter(is_current)
    }
}
