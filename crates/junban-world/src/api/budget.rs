//! PodDisruptionBudgets. Their arithmetic is in `controllers::disruption`, their use in `eviction`.

use std::collections::BTreeMap;

use super::meta::{IntOrPercent, Meta, Ms, Selector};

/// What a budget demands. Exactly one of the two, as the API validates.
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

/// What the disruption controller computed last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetStatus {
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
    pub expected_pods: i64,
    pub observed_generation: u64,
    /// Pod name to the time at which an eviction charged the budget for it.
    pub disrupted_pods: BTreeMap<String, Ms>,
    /// The message of condition `DisruptionAllowed` with reason `SyncFailed`, if it is so.
    pub sync_failed: Option<String>,
}

/// A PodDisruptionBudget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub meta: Meta,
    /// No selector selects nothing; an empty one, every pod of the namespace.
    pub selector: Option<Selector>,
    pub demand: Demand,
    pub unhealthy: UnhealthyPolicy,
    pub status: BudgetStatus,
}
