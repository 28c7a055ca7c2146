//! A PodDisruptionBudget as the cache shows it.

use crate::ids::{PdbKey, Version};
use crate::selector::Selector;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    pub key: PdbKey,
    pub uid: String,
    pub version: Version,
    pub generation: i64,
    pub observed_generation: i64,
    /// `None`: no selector, selects nothing. An empty one selects every pod of the namespace.
    pub selector: Option<Selector>,
    /// `unhealthyPodEvictionPolicy: AlwaysAllow`.
    pub always_allow_unhealthy: bool,
    pub disruptions_allowed: u32,
    pub current_healthy: u32,
    pub desired_healthy: u32,
    pub expected_pods: u32,
    /// Names of pods whose eviction was accepted and not yet seen by the budget's controller. It forgets a name when
    /// its pod is gone or terminating, else after two minutes: a StatefulSet may have made the pod again by then.
    pub disrupted_pods: Vec<String>,
    /// Message of the condition `DisruptionAllowed=False` with reason `SyncFailed`.
    pub sync_failed: Option<String>,
}
