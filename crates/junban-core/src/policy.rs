//! A RebootPolicy as parsed: which nodes, what is required of them, how they may be rebooted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{PolicyName, Version};
use crate::node::Node;
use crate::quantity::IntOrPercent;
use crate::selector::Selector;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    pub name: PolicyName,
    pub version: Version,
    pub generation: i64,
    /// `Err`: the label syntax or an operator cannot match (condition `InvalidSelector`): it selects nothing.
    pub node_selector: Result<Selector, String>,
    /// The highest governs a node; a tie is a conflict: neither acts.
    pub priority: i32,
    /// The declared goal: every selected node has booted since then.
    pub booted_after: Option<Timestamp>,
    /// Why the goal was set, in a person's words; its entries carry it.
    pub goal_reason: String,
    /// Between two reboots of one node, counted from the journal's NOT-BEFORE.
    pub min_interval: Duration,
    pub max_concurrent: Option<u32>,
    pub groups: Option<Groups>,
    pub drain: DrainRules,
    pub reboot: RebootRules,
    pub verify: VerifyRules,
    pub summary: PolicySummary,
}

/// Failure domains: nodes that share the value of a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Groups {
    /// The label's key.
    pub by: String,
    /// Groups open at a time, at least 1.
    pub at_once: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrainRules {
    /// At least [`DrainRules::TIMEOUT_MIN`].
    pub timeout: Duration,
    /// What load balancers get to take the node out before a pod leaves or the node is powered (drain.md, order
    /// around the drain). Comes on top of `timeout`.
    pub load_balancer_wait: Duration,
    /// Of an owner's pods where no budget exists; rounds down, at least 1.
    pub unbudgeted_max_unavailable: IntOrPercent,
    /// Namespaces in which a pod whose eviction is denied is deleted.
    pub delete_after_denial: Vec<String>,
    /// Running Job pods that are evicted instead of waited for. `None` and an empty selector: none.
    pub jobs_evict: Option<Selector>,
    /// Bounds all waiting for Jobs, over all rounds.
    pub jobs_deadline: Duration,
    pub empty_dir: Leave,
    pub bare: Leave,
    pub on_timeout: OnTimeout,
}

impl DrainRules {
    /// The list by which a node is drained begins five seconds after the cordon: a shorter time ends before an empty
    /// node can be called drained.
    pub const TIMEOUT_MIN: Duration = Duration::from_secs(10);

    /// How long a drain may take, from the cordon.
    pub fn longest(&self) -> Duration {
        self.load_balancer_wait + self.timeout
    }

    /// Whether a pod of this namespace is deleted when its eviction is denied.
    pub fn deletes_after_denial(&self, namespace: &str) -> bool {
        self.delete_after_denial.iter().any(|listed| listed == namespace)
    }
}

/// Whether pods of a kind may be evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    Evict,
    Block,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnTimeout {
    /// Uncordon, back off.
    Release,
    /// Stay cordoned: Failed.
    Hold,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RebootRules {
    /// Empty: `NoDriver`.
    pub ladder: Vec<Step>,
    /// At least [`RebootRules::BOOT_TIMEOUT_MIN`].
    pub boot_timeout: Duration,
    /// Power actions per round, at least 1.
    pub attempts: u32,
}

impl RebootRules {
    /// The act may begin 10 s after the record (lifecycle.md 3).
    pub const BOOT_TIMEOUT_MIN: Duration = Duration::from_secs(20);
}

/// One step of the ladder: a driver and what it needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "driver", rename_all = "camelCase")]
pub enum Step {
    Command { command: Vec<String> },
}

impl Step {
    /// The driver's name as operators write it.
    pub fn driver(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyRules {
    /// At least [`VerifyRules::TIMEOUT_MIN`].
    pub timeout: Duration,
    /// Whether DaemonSets that were Ready here at the start must be Ready again.
    pub daemon_sets: bool,
    /// A fixed time in which the node stays Ready. `None`: 30 s for control planes, else 0 s.
    pub settle: Option<Duration>,
}

impl VerifyRules {
    /// A kubelet renews its Lease every ten seconds, and the proof needs a fresh one.
    pub const TIMEOUT_MIN: Duration = Duration::from_secs(10);

    /// How long the node stays Ready before its turn ends.
    pub fn settle_of(&self, node: &Node) -> Duration {
        let default = if node.control_plane { 30 } else { 0 };
        self.settle.unwrap_or(Duration::from_secs(default))
    }
}

/// The policy's status as last written: nothing is decided from it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicySummary {
    pub observed_generation: i64,
    /// Nodes that this policy governs.
    pub desired: u32,
    /// Of those, booted since the goal.
    pub done: u32,
    /// In flight.
    pub active: u32,
    pub failed: u32,
    /// Reason and message of the condition `Ready=False`; empty: it is ready.
    pub problem: String,
    pub message: String,
}
