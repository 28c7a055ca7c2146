//! A PodDisruptionBudget as the cache shows it.

use crate::ids::{PdbKey, Version};
use crate::selector::{Labels, Selector};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    pub key: PdbKey,
    pub uid: String,
    pub version: Version,
    pub generation: i64,
    pub observed_generation: i64,
    /// `None` selects nothing. An empty selector selects every pod of the namespace.
    pub selector: Option<Selector>,
    /// Whether `unhealthyPodEvictionPolicy` is `AlwaysAllow`.
    pub always_allow_unhealthy: bool,
    pub disruptions_allowed: u32,
    pub current_healthy: u32,
    pub desired_healthy: u32,
    pub expected_pods: u32,
    /// The pods whose eviction was accepted and that the disruption controller has not seen leave. It removes a name
    /// when the pod is gone or terminating, or after two minutes if a StatefulSet has made the pod again before.
    pub disrupted_pods: Vec<String>,
    /// The message of the condition `DisruptionAllowed=False` with reason `SyncFailed`: the budget cannot be computed.
    pub sync_failed: Option<String>,
    pub labels: Labels,
    /// Whether `expected_pods` is the number of pods that it selects, ended ones included: `minAvailable` is a number.
    pub expects_what_it_selects: bool,
}
