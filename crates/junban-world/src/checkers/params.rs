//! What the rules depend on: the limits that the queue and the policies set.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{IntOrPercent, Map, Ms};

/// What the rules depend on. The defaults are those of the objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The names under which the controller calls the API.
    pub controllers: BTreeSet<String>,
    pub max_unavailable: IntOrPercent,
    pub failures_max: IntOrPercent,
    /// Entries in flight.
    pub max_concurrent: IntOrPercent,
    /// By name.
    pub policies: BTreeMap<String, PolicyLimits>,
    /// Power actions of an entry without a retry.
    pub attempts: u64,
    pub boot_timeout_ms: Ms,
    /// How many of an owner's pods without a budget may be disrupted; a percentage rounds down, and one always may.
    pub unbudgeted: IntOrPercent,
    /// Namespaces in which a pod may be deleted.
    pub delete_allowed: BTreeSet<String>,
    /// Labels of the controller's own pods, which may stay.
    pub own_pods: Option<Map>,
    /// Pods with one of these labels and values may stay.
    pub may_stay: Vec<(String, String)>,
    /// A Node with this label counts nowhere.
    pub exclude_label: String,
    pub allow_quorum_loss: bool,
    /// For so long the controller cannot know what others did: watches lag, and status is late.
    pub lag_ms: Ms,
}

/// What a policy limits beyond the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyLimits {
    /// Entries in flight; `None` is no limit.
    pub max_concurrent: Option<i64>,
    pub groups: Option<Groups>,
}

/// Nodes that share the value of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The label's key.
    pub by: String,
    /// Groups open at a time.
    pub at_once: i64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            controllers: BTreeSet::from(["junban".to_owned()]),
            max_unavailable: IntOrPercent::Percent(10),
            failures_max: IntOrPercent::Percent(5),
            max_concurrent: IntOrPercent::Percent(100),
            policies: BTreeMap::new(),
            attempts: 1,
            boot_timeout_ms: 30 * 60_000,
            unbudgeted: IntOrPercent::Percent(10),
            delete_allowed: BTreeSet::new(),
            own_pods: None,
            may_stay: vec![("cluster.x-k8s.io/drain".into(), "skip".into())],
            exclude_label: "junban.dev/exclude".into(),
            allow_quorum_loss: false,
            lag_ms: 3000,
        }
    }
}

impl Params {
    pub(super) fn ours(&self, by: &str) -> bool {
        self.controllers.contains(by)
    }
}
