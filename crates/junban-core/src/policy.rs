//! A RebootPolicy: which nodes, what is required of them, and how they may be rebooted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
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
    /// `Err`: the selector cannot match, so it selects nothing (condition `InvalidSelector`).
    pub node_selector: Result<Selector, String>,
    /// The highest governs a node (docs/design/life-cycle.md#which-policy).
    pub priority: i32,
    /// The goal: every selected node has booted since then.
    pub booted_after: Option<Timestamp>,
    /// Why the goal was set, in a person's words. Its entries repeat it.
    pub goal_reason: String,
    /// The least time between two reboots of a node, counted from the journal's NOT-BEFORE.
    pub min_interval: Duration,
    pub max_concurrent: Option<u32>,
    pub groups: Option<Groups>,
    pub drain: DrainRules,
    pub reboot: RebootRules,
    pub verify: VerifyRules,
    pub summary: PolicySummary,
}

/// Nodes that share the value of a label are a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Groups {
    /// The label's key.
    pub by: String,
    /// How many groups are open at a time, at least 1.
    pub at_once: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrainRules {
    /// At least [`DrainRules::TIMEOUT_MIN`].
    pub timeout: Duration,
    /// How long load balancers have to take the node out before a pod leaves
    /// (docs/design/drain.md#order-around-the-drain). `timeout` counts from its end.
    pub load_balancer_wait: Duration,
    /// `maxUnavailable` of the implied budget. A percentage rounds down. At least 1.
    pub unbudgeted_max_unavailable: IntOrPercent,
    /// The namespaces in which a pod is deleted if its eviction is denied.
    pub delete_after_denial: Vec<String>,
    /// Work that is evicted, not waited for. `None` or an empty selector: none.
    pub jobs_evict: Option<Selector>,
    /// Bounds the waits for work and for pods that must not be disturbed together, over all rounds.
    pub jobs_deadline: Duration,
    pub empty_dir: Leave,
    pub bare: Leave,
    pub on_timeout: OnTimeout,
    pub budgets: Vec<OpeningBudgets>,
    pub stuck_terminating: StuckTerminating,
    pub capacity: CapacityRule,
}

/// Whether a node is drained only if its pods have room elsewhere (docs/design/drain.md#room).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CapacityRule {
    /// If not, a lack of room is only reported, and the pods come back with their node.
    pub is_required: bool,
    /// The resources of which a lack is only reported, by their names.
    pub report_only: Vec<String>,
}

impl CapacityRule {
    pub fn reports_anything(&self) -> bool {
        !self.is_required || !self.report_only.is_empty()
    }
}

/// Budgets that open only under the cordon of the node (docs/design/drain.md#opening-budgets).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpeningBudgets {
    /// Labels of the PodDisruptionBudgets. `None`: any.
    pub selector: Option<Selector>,
    /// The namespace of the PodDisruptionBudgets. `None`: any.
    pub namespace: Option<String>,
    pub opens_at: OpensAt,
    /// How many nodes may wait for one of these budgets under their cordon at a time, at least 1.
    pub at_once: u32,
    /// How long a node waits so. At most [`DrainRules::timeout`].
    pub timeout: Duration,
}

impl OpeningBudgets {
    /// Whether this rule names the budget.
    pub fn names(&self, budget: &Budget) -> bool {
        let namespace = self.namespace.as_ref();
        namespace.is_none_or(|namespace| *namespace == budget.key.namespace)
            && self
                .selector
                .as_ref()
                .is_none_or(|selector| selector.selects(&budget.labels))
    }
}

/// What makes the operator of a budget move the pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpensAt {
    /// It sees that the pod's node is cordoned.
    Cordon,
    /// It sees that the pod's eviction is asked for.
    Eviction,
}

impl DrainRules {
    /// The list that proves a drain begins 5 s after the cordon, so even an empty node is not drained earlier.
    pub const TIMEOUT_MIN: Duration = Duration::from_secs(10);

    /// How long a drain may take.
    pub fn longest(&self) -> Duration {
        self.load_balancer_wait + self.timeout
    }

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
    /// The node is given back, and the entry backs off.
    Release,
    /// The node stays cordoned, and the entry is Failed.
    Hold,
}

/// What becomes of a drain that waits for a pod that has been terminating for two minutes more than its grace period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StuckTerminating {
    /// The drain waits until its timeout.
    Release,
    /// The reboot goes on: nothing else ends such a pod.
    Reboot,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RebootRules {
    /// If it is empty, nothing starts (`NoDriver`).
    pub ladder: Vec<Step>,
    /// At least [`RebootRules::BOOT_TIMEOUT_MIN`].
    pub boot_timeout: Duration,
    /// How many power actions a round may have, at least 1.
    pub attempts: u32,
}

impl RebootRules {
    /// The power action may begin 10 s after the record (docs/design/life-cycle.md#time).
    pub const BOOT_TIMEOUT_MIN: Duration = Duration::from_secs(20);
}

/// One step of the ladder: a driver and what it needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "driver", rename_all = "camelCase")]
pub enum Step {
    Command { command: Vec<String> },
}

impl Step {
    /// The driver's name in a policy.
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
    /// Whether DaemonSets that were Ready on the node must be Ready again.
    pub daemon_sets: bool,
    /// How long the proof must hold. `None`: 30 s for a control-plane node, else 0 s.
    pub settle: Option<Duration>,
    /// Keys of taints that may be new after the boot: the proof does not wait for their end. `*`: every key.
    pub ignore_taints: Vec<String>,
    /// Names of resources of which the node may have less after the boot than before. `*`: every resource.
    pub ignore_resources: Vec<String>,
}

impl VerifyRules {
    /// A kubelet renews its Lease every 10 s, and the proof needs a fresh one.
    pub const TIMEOUT_MIN: Duration = Duration::from_secs(10);

    /// How long the node stays Ready before its turn ends.
    pub fn settle_of(&self, node: &Node) -> Duration {
        let default = if node.is_control_plane() { 30 } else { 0 };
        self.settle.unwrap_or(Duration::from_secs(default))
    }
}

/// The policy's status as last written. Nothing is decided from it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicySummary {
    pub observed_generation: i64,
    /// How many nodes this policy governs.
    pub desired: u32,
    /// How many of them have booted since the goal.
    pub done: u32,
    /// How many are in flight.
    pub active: u32,
    pub failed: u32,
    /// The reason of the condition `Ready=False`. Empty: the policy is ready.
    pub problem: String,
    pub message: String,
}
