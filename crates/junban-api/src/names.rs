//! Every name that users see, in one table: keys on objects, accounts, condition types, metrics, environment variables.
//!
//! No other crate spells one of these names. `junban_core::reason` spells the reasons. The reference page is generated
//! from [`TABLE`].

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Group,
    Annotation,
    Label,
    Taint,
    Account,
    Object,
    Condition,
    Metric,
    Environment,
}

impl Kind {
    fn heading(self) -> &'static str {
        match self {
            Self::Group => "API group",
            Self::Annotation => "Annotations",
            Self::Label => "Labels",
            Self::Taint => "Taints",
            Self::Account => "Accounts, field managers and rights",
            Self::Object => "Objects of fixed name",
            Self::Condition => "Condition types",
            Self::Metric => "Metrics (with their labels)",
            Self::Environment => "Environment variables (with who gets them)",
        }
    }
}

/// One row of the reference page.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    pub kind: Kind,
    /// The name as users see it.
    pub text: &'static str,
    /// The object that carries the name, or a metric's labels. May be empty.
    pub on: &'static str,
    pub meaning: &'static str,
}

macro_rules! names {
    ($($kind:ident $constant:ident = $text:literal, $on:literal, $meaning:literal;)*) => {
        $(
            #[doc = concat!("`", $text, "`: ", $meaning)]
            pub const $constant: &str = $text;
        )*

        /// All of them, in the order of the reference page.
        pub const TABLE: &[Name] = &[
            $(Name { kind: Kind::$kind, text: $text, on: $on, meaning: $meaning },)*
        ];
    };
}

names! {
    Group GROUP = "junban.dev", "", "The API group of Junban's objects, and the prefix of its keys.";
    Group VERSION = "v1alpha1", "", "The version of the API.";
    Group API_VERSION = "junban.dev/v1alpha1", "", "Group and version as objects carry them.";
    Group KEY_PREFIX = "junban.dev/", "", "The prefix of the keys on Nodes that only Junban and administrators may write.";

    Annotation MARK = "junban.dev/mark", "Node", "The mark: it says whose cordon this is and what was done to the node, as JSON. Never edit it.";
    Annotation BOOT = "junban.dev/boot", "Node", "The boot journal: `BOOTID NOT-BEFORE FIRST-SEEN`.";
    Annotation WAIVED = "junban.dev/waived", "Node", "Goals up to this time do not count for this node. Written by `junban cancel`.";
    Annotation REASON = "junban.dev/reason", "RebootPolicy", "Why the goal was set. The entries for this goal carry it. Written by `junban reboot --all --reason`.";
    Annotation CLOCK = "junban.dev/clock", "Lease", "The cluster clock: the milliseconds that controllers have led, a space, and how many of these were not paused.";
    Annotation LEADER = "junban.dev/leader", "Lease", "The controller that wrote the Lease last. A release empties `holderIdentity`, and `junban status` still says who led.";
    Annotation QUEUE_PAUSED = "junban.dev/paused", "Lease", "`true`: the queue was paused when a controller last saw it. A queue that is made again then starts nothing before `junban resume`.";
    Annotation SAFE_TO_EVICT_LOCAL_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes", "Pod", "Names of emptyDir volumes whose data may be lost.";
    Annotation SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict", "Pod", "`false`: the pod is not evicted.";
    Annotation DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt", "Pod", "`true`: the pod is not evicted. A duration: the pod is not evicted until this time after its start.";
    Annotation CAPI_DRAIN = "cluster.x-k8s.io/drain", "Pod", "`skip`: the pod is neither evicted nor waited for. `wait-completed`: the pod is waited for.";
    Annotation CONFIG_MIRROR = "kubernetes.io/config.mirror", "Pod", "The mirror of a static pod: Junban skips it.";
    Annotation KURED_IN_PROGRESS = "weave.works/kured-reboot-in-progress", "Node", "kured reboots this node: Junban leaves it alone.";
    Annotation KURED_LOCK = "weave.works/kured-node-lock", "DaemonSet", "kured's lock: Junban leaves alone the node that it names.";

    Label EXCLUDE = "junban.dev/exclude", "Node", "Junban never touches this node, and counts it nowhere. Any value.";
    Label HOLD = "junban.dev/hold", "Node", "Junban does not start this node for now, but counts it. Any value.";
    Label EXCLUDE_FROM_LOAD_BALANCERS = "node.kubernetes.io/exclude-from-external-load-balancers", "Node", "Junban sets it while it drains and reboots a node, and removes it only if it set it itself.";
    Label CONTROL_PLANE = "node-role.kubernetes.io/control-plane", "Node", "A node of the control plane that runs an API server: rebooted one at a time, and never at the same time as a worker.";
    Label ETCD = "node-role.kubernetes.io/etcd", "Node", "A node of the control plane that runs an etcd member, for example an RKE2 or k3s server: the same rule. Without any such label the nodes with the label control-plane carry etcd.";
    Label APP_NAME = "app.kubernetes.io/name", "Pod", "`junban` on every object of the manifests.";
    Label APP_COMPONENT = "app.kubernetes.io/component", "Pod", "`controller` on the controller's own pods.";
    Label POLICY = "junban.dev/policy", "NodeReboot", "The entry's policy, for selectors.";
    Label NODE = "junban.dev/node", "NodeReboot", "The entry's node, for selectors. Absent if the name is longer than a label value may be.";

    Taint PENDING = "junban.dev/pending", "Node", "PreferNoSchedule on every queued node, so that evicted pods go to servers that were rebooted already.";
    Taint UNSCHEDULABLE = "node.kubernetes.io/unschedulable", "Node", "The taint of a cordon.";
    Taint CLUSTER_AUTOSCALER_DELETES = "ToBeDeletedByClusterAutoscaler", "Node", "The cluster autoscaler removes this node: Junban leaves it alone.";
    Taint KARPENTER_DISRUPTED = "karpenter.sh/disrupted", "Node", "Karpenter removes this node: Junban leaves it alone.";
    Taint KARPENTER_DISRUPTION = "karpenter.sh/disruption", "Node", "The same, by Karpenter before 1.0.";
    Taint NODE_MAINTENANCE = "medik8s.io/drain", "Node", "A NodeMaintenance object holds this node: Junban leaves it alone.";
    Taint NODE_MAINTENANCE_OLD = "kubevirt.io/drain", "Node", "The same, by the older operator.";

    Account FIELD_MANAGER = "junban", "managedFields", "The controller's field manager. A cordon is Junban's own only while this manager owns `spec.unschedulable`.";
    Account GOAL_FIELD_MANAGER = "junban-goal", "managedFields", "The field manager with which `junban reboot --all` applies `bootedAfter`.";
    Account PAUSE_FIELD_MANAGER = "junban-pause", "managedFields", "The field manager with which `junban pause` and `resume` apply `paused`.";
    Account CLI_FIELD_MANAGER = "junban-cli", "managedFields", "The field manager of the other commands: entries, cancels, retries, waivers.";
    Account NAMESPACE = "junban", "", "The namespace of the manifests.";
    Account SERVICE_ACCOUNT = "junban", "", "The controller's ServiceAccount.";
    Account SERVICE_ACCOUNT_USER = "system:serviceaccount:junban:junban", "", "The user name of the controller's ServiceAccount.";
    Account FORCE_ROLE = "junban-force", "Role", "The right to delete pods. An administrator binds it in each namespace that a policy names in `deleteAfterDenial`.";
    Account MARK_VERB = "mark", "nodes.junban.dev", "The verb that lets a user write `junban.dev/` keys on Nodes. There is no such object.";
    Account APP = "junban", "", "The value of app.kubernetes.io/name.";
    Account COMPONENT_CONTROLLER = "controller", "", "The value of app.kubernetes.io/component on the controller's pods.";

    Object QUEUE = "default", "RebootQueue", "The name of the one queue.";
    Object LEASE = "junban", "Lease", "The leader's Lease, in Junban's namespace. It carries the cluster clock.";
    Object NODE_LEASE_NAMESPACE = "kube-node-lease", "Lease", "The namespace in which kubelets renew their Leases.";

    Condition READY = "Ready", "RebootPolicy", "False: the policy does nothing, and the reason says why.";
    Condition ACTIVE = "Active", "RebootQueue", "True: nodes may start. False: the reason says what stops them (Paused, Halted, Implausible).";
    Condition PAUSED = "Paused", "RebootQueue", "True while `spec.paused` is true.";
    Condition HALTED = "Halted", "RebootQueue", "True while more entries are Failed than `failures.max` allows.";
    Condition BLOCKED = "Blocked", "NodeReboot", "True: the entry waits. Reason and message say for what.";
    Condition SUCCEEDED = "Succeeded", "NodeReboot", "True: the node is proven. False: not yet, failed or cancelled. The reason says which.";
    Condition FAILED = "Failed", "NodeReboot", "True: a person is needed.";

    Metric METRIC_ENTRIES = "junban_entries", "phase", "Entries in each phase.";
    Metric METRIC_ENTRY_BLOCKED = "junban_entry_blocked", "node, reason", "1 for each entry in Queued or Draining that waits, with its newest reason.";
    Metric METRIC_ENTRY_FAILED = "junban_entry_failed", "node, reason", "1 for each Failed entry, with its newest reason.";
    Metric METRIC_DRAIN_PODS_LEFT = "junban_drain_pods_left", "node", "Pods that must still leave a node in Draining.";
    Metric METRIC_QUEUE_PAUSED = "junban_queue_paused", "", "1: the queue is paused, absent or unreadable, so nothing starts.";
    Metric METRIC_QUEUE_HALTED = "junban_queue_halted", "", "1: more entries are Failed than failures.max allows, so nothing starts.";
    Metric METRIC_QUEUE_IMPLAUSIBLE = "junban_queue_implausible", "", "1: the view of the cluster is implausible, so nothing starts.";
    Metric METRIC_LOWER_BOUND = "junban_lower_bound_seconds", "", "The least time that any scheduler could need for the nodes that are left.";
    Metric METRIC_LAST_PROOF = "junban_last_proof_timestamp_seconds", "", "When a node was last proven, in seconds since 1970. Taken from the entries that still exist.";
    Metric METRIC_NODE_MAINTENANCE = "junban_node_maintenance", "node", "1 while Junban holds the node. Use it to inhibit alerts about the node.";
    Metric METRIC_POWER_ACTIONS = "junban_power_actions_total", "driver, outcome", "Power actions by outcome: started, nothing_started, unknown.";
    Metric METRIC_EVICTIONS = "junban_evictions_total", "outcome", "Answers to evictions by outcome.";
    Metric METRIC_LEADER = "junban_leader", "", "1 in the process that holds the Lease.";
    Metric METRIC_UNREADABLE = "junban_unreadable_objects", "kind", "Junban's own objects that cannot be read.";
    Metric METRIC_API_WARNINGS = "junban_api_warnings_total", "", "Warnings of the API server about Junban's own writes. Each is a bug.";
    Metric METRIC_BUILD_INFO = "junban_build_info", "version", "Always 1.";

    Environment ENV_NODE = "JUNBAN_NODE", "command driver", "Name of the node to reboot.";
    Environment ENV_BOOT_ID = "JUNBAN_BOOT_ID", "command driver", "The node's bootID before the power action.";
    Environment ENV_SYSTEM_UUID = "JUNBAN_SYSTEM_UUID", "command driver", "The machine's systemUUID.";
    Environment ENV_ATTEMPT = "JUNBAN_ATTEMPT", "command driver", "Number of the attempt.";
    Environment ENV_NAMESPACE = "JUNBAN_NAMESPACE", "controller, `junban explain`", "Namespace of the Lease and of Junban's Secrets.";
    Environment ENV_POD_NAME = "JUNBAN_POD_NAME", "controller", "The controller's identity in the Lease. If absent, the name of the host is used.";
    Environment ENV_LOG = "JUNBAN_LOG", "controller", "The filter of the log, for example `info,junban_kube=debug`.";
}

/// The effect of the steering taint [`PENDING`].
pub const PENDING_EFFECT: &str = "PreferNoSchedule";

/// Junban's kinds, each with its plural and its short name.
pub const KINDS: [(&str, &str, &str); 3] = [
    ("RebootQueue", "rebootqueues", "rbq"),
    ("RebootPolicy", "rebootpolicies", "rbp"),
    ("NodeReboot", "nodereboots", "nrb"),
];

/// A label key for the node's name, which [`crate::convert::node`] adds for requirements on fields instead of labels. No
/// real label has a colon in its key.
pub const FIELD_NAME: &str = "field:metadata.name";

/// A metric's name as prometheus-client wants it: that library appends `_total` to counters itself.
pub fn registered(metric: &'static str) -> &'static str {
    metric.strip_suffix("_total").unwrap_or(metric)
}

/// The reference page of all names, in Markdown.
pub fn page() -> String {
    let mut page = String::from(
        "# Names\n\nEvery name that Junban reads or writes. Generated from `crates/junban-api/src/names.rs` by \
         `cargo xtask generate`.\n",
    );
    let mut kind = None;
    for name in TABLE {
        if kind != Some(name.kind) {
            kind = Some(name.kind);
            page.push_str(&format!(
                "\n## {}\n\n| name | on | meaning |\n|---|---|---|\n",
                name.kind.heading()
            ));
        }
        page.push_str(&format!("| `{}` | {} | {} |\n", name.text, name.on, name.meaning));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_listed_once_for_each_kind_and_has_a_meaning() {
        let mut seen = std::collections::BTreeSet::new();
        for name in TABLE {
            let account = name.kind == Kind::Account; // namespace, account and field manager have the same name
            assert!(account || seen.insert((name.kind, name.text)), "{}", name.text);
            assert!(name.meaning.ends_with(['.', ')']), "{}", name.text);
        }
    }

    #[test]
    fn metrics_have_our_prefix_and_counters_end_in_total() {
        let metrics: Vec<_> = TABLE.iter().filter(|name| name.kind == Kind::Metric).collect();
        assert!(metrics.iter().all(|name| name.text.starts_with("junban_")));
        assert_eq!(registered(METRIC_EVICTIONS), "junban_evictions");
        assert_eq!(registered(METRIC_LEADER), "junban_leader");
    }
}
