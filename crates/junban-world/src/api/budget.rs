//! PodDisruptionBudgets. `controllers::disruption` computes their status; `eviction` charges them.

use std::collections::BTreeMap;

use super::meta::{IntOrPercent, Meta, Ms, Selector};

/// What a budget demands: exactly one of the two, as the API requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    MinAvailable(IntOrPercent),
    MaxUnavailable(IntOrPercent),
}

/// `spec.unhealthyPodEvictionPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnhealthyPolicy {
    #[default]
    IfHealthyBudget,
    AlwaysAllow,
}

/// The last result of the disruption controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetStatus {
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
    pub expected_pods: i64,
    pub observed_generation: u64,
    /// Pod name to the time when an eviction of that pod charged the budget.
    pub disrupted_pods: BTreeMap<String, Ms>,
    /// The message of condition `DisruptionAllowed` while its reason is `SyncFailed`.
    pub sync_failed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub meta: Meta,
    /// `None` selects no pod; an empty selector selects every pod of the namespace.
    pub selector: Option<Selector>,
    pub demand: Demand,
    pub unhealthy: UnhealthyPolicy,
    pub status: BudgetStatus,
}
