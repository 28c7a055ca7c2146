//! The limits of the queue and the policies, and what else the rules need to know.

use std::collections::{BTreeMap, BTreeSet};

use super::view::NodeView;
use crate::api::{IntOrPercent, Map, Ms, Selector};

/// What the rules need to know. The defaults are the defaults of queue and policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The names under which the controllers call the API.
    pub controllers: BTreeSet<String>,
    pub max_unavailable: IntOrPercent,
    pub failures_max: IntOrPercent,
    /// How many entries may be in flight.
    pub max_concurrent: IntOrPercent,
    /// The limits of each policy, by its name.
    pub policies: BTreeMap<String, PolicyLimits>,
    /// How many power actions an entry may have without a retry.
    pub attempts: u64,
    pub boot_timeout_ms: Ms,
    /// How many pods of an owner without a budget may be disrupted at a time: at least 1, percentages round down.
    pub unbudgeted: IntOrPercent,
    /// The namespaces where the controller may delete pods.
    pub delete_allowed: BTreeSet<String>,
    /// The labels of the controller's own pods; these may stay on the node.
    pub own_pods: Option<Map>,
    /// Pods with one of these labels may stay on the node.
    pub may_stay: Vec<(String, String)>,
    /// No limit counts a Node with this label.
    pub exclude_label: String,
    pub allow_quorum_loss: bool,
    /// Whether a node may be rebooted beside pods that terminate beyond their grace period and two minutes.
    pub reboot_beside_stuck: bool,
    /// For this time after an event the controller may not know it yet: its watches and the status are late.
    pub lag_ms: Ms,
    pub quorum_groups: Vec<QuorumGroup>,
    /// How long a control-plane node is Ready before its turn ends.
    pub control_plane_settle_ms: Ms,
    /// Keys of taints, and names of resources, that may differ after a boot; `*` is all.
    pub may_differ: BTreeSet<String>,
}

/// Servers of which never two are away at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumGroup {
    pub name: String,
    /// `None`: `selector` selects nodes. Else it selects pods of this namespace, and their nodes belong to the group.
    pub pods_in: Option<String>,
    pub selector: Selector,
}

/// The limits that a policy adds to the queue's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyLimits {
    /// How many of its entries may be in flight; `None` sets no limit.
    pub max_concurrent: Option<i64>,
    pub groups: Option<Groups>,
}

/// Groups: the nodes with the same value of a label form one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The label's key.
    pub by: String,
    /// How many groups may be open at a time.
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
            reboot_beside_stuck: false,
            lag_ms: 3000,
            quorum_groups: Vec::new(),
            control_plane_settle_ms: 30_000,
            may_differ: BTreeSet::new(),
        }
    }
}

impl Params {
    pub(super) fn is_controller(&self, by: &str) -> bool {
        self.controllers.contains(by)
    }

    pub(super) fn cordoned(&self, node: &NodeView) -> bool {
        node.cordoned_by.as_ref().is_some_and(|by| self.is_controller(by))
    }

    /// Whether a taint or a resource of this name may differ after a boot.
    pub(super) fn may_differ(&self, name: &str) -> bool {
        ["*", name].iter().any(|listed| self.may_differ.contains(*listed))
    }

    /// Whether the limits count this Node.
    pub(super) fn counts(&self, node: &NodeView) -> bool {
        !node.labels.contains_key(&self.exclude_label)
    }
}
