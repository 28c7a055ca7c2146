//! Every name that users see, in one table: keys on objects, accounts, condition types, metrics, environment.
//!
//! Nothing here knows kube or Kubernetes types, so that an agent or a simulator can use it alone. No other crate
//! spells one of these. Reasons are spelt in `junban_core::reason`. The reference page is generated from
//! [`TABLE`].

/// What a name names.
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
    /// The object that carries it, or a metric's labels; empty where that goes without saying.
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
    Group KEY_PREFIX = "junban.dev/", "", "What the keys on Nodes begin with that only Junban and administrators may write.";

    Annotation MARK = "junban.dev/mark", "Node", "Whose cordon this is and what was done to the node: JSON. Never edit it.";
    Annotation BOOT = "junban.dev/boot", "Node", "The boot journal: `BOOTID NOT-BEFORE FIRST-SEEN`.";
    Annotation WAIVED = "junban.dev/waived", "Node", "No goal up to this time is this node's any more. Written by `junban cancel`.";
    Annotation REASON = "junban.dev/reason", "RebootPolicy", "Why the goal was set; the entries that are made for it carry it. Written by `junban reboot --all --reason`.";
    Annotation CLOCK = "junban.dev/clock", "Lease", "The cluster clock: milliseconds led and milliseconds led while not paused, with a space between.";
    Annotation SAFE_TO_EVICT_LOCAL_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes", "Pod", "Names of emptyDir volumes that may be lost.";
    Annotation SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict", "Pod", "`false`: the pod is not evicted.";
    Annotation DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt", "Pod", "`true`, or a duration from the pod's start: the pod is not evicted.";
    Annotation CAPI_DRAIN = "cluster.x-k8s.io/drain", "Pod", "`skip`: not evicted and not waited for; `wait-completed`: waited for.";
    Annotation CONFIG_MIRROR = "kubernetes.io/config.mirror", "Pod", "A static pod's mirror: it is skipped.";
    Annotation KURED_IN_PROGRESS = "weave.works/kured-reboot-in-progress", "Node", "kured reboots this node: Junban leaves it alone.";
    Annotation KURED_LOCK = "weave.works/kured-node-lock", "DaemonSet", "kured's lock: Junban leaves the node alone that it names.";

    Label EXCLUDE = "junban.dev/exclude", "Node", "Never touched, counts nowhere. Any value.";
    Label HOLD = "junban.dev/hold", "Node", "Not started for now; counts. Any value.";
    Label EXCLUDE_FROM_LOAD_BALANCERS = "node.kubernetes.io/exclude-from-external-load-balancers", "Node", "Set while a node is drained and rebooted, removed only if Junban set it.";
    Label CONTROL_PLANE = "node-role.kubernetes.io/control-plane", "Node", "One at a time, never beside workers.";
    Label APP_NAME = "app.kubernetes.io/name", "Pod", "`junban` on everything that the manifests make.";
    Label APP_COMPONENT = "app.kubernetes.io/component", "Pod", "`controller` on the controller's own pods.";
    Label POLICY = "junban.dev/policy", "NodeReboot", "The entry's policy, to select by.";
    Label NODE = "junban.dev/node", "NodeReboot", "The entry's node, to select by; absent where the name is longer than a label value may be.";

    Taint PENDING = "junban.dev/pending", "Node", "PreferNoSchedule on every queued node, so that evicted pods land on servers that were rebooted already.";
    Taint UNSCHEDULABLE = "node.kubernetes.io/unschedulable", "Node", "The taint of a cordon.";
    Taint CLUSTER_AUTOSCALER_DELETES = "ToBeDeletedByClusterAutoscaler", "Node", "The cluster autoscaler removes this node: Junban leaves it alone.";
    Taint KARPENTER_DISRUPTED = "karpenter.sh/disrupted", "Node", "Karpenter removes this node: Junban leaves it alone.";
    Taint KARPENTER_DISRUPTION = "karpenter.sh/disruption", "Node", "The same, by Karpenter before 1.0.";
    Taint NODE_MAINTENANCE = "medik8s.io/drain", "Node", "A NodeMaintenance object holds this node: Junban leaves it alone.";
    Taint NODE_MAINTENANCE_OLD = "kubevirt.io/drain", "Node", "The same, by the older operator.";

    Account FIELD_MANAGER = "junban", "managedFields", "The controller's field manager: a cordon is Junban's own only while it owns `spec.unschedulable`.";
    Account GOAL_FIELD_MANAGER = "junban-goal", "managedFields", "The field manager with which `junban reboot --all` applies `bootedAfter`.";
    Account PAUSE_FIELD_MANAGER = "junban-pause", "managedFields", "The field manager with which `junban pause` and `resume` apply `paused`.";
    Account CLI_FIELD_MANAGER = "junban-cli", "managedFields", "The field manager of the other commands: entries, cancels, retries, waivers.";
    Account NAMESPACE = "junban", "", "The namespace of the manifests.";
    Account SERVICE_ACCOUNT = "junban", "", "The controller's ServiceAccount.";
    Account SERVICE_ACCOUNT_USER = "system:serviceaccount:junban:junban", "", "The same as a user name.";
    Account FORCE_ROLE = "junban-force", "Role", "The right to delete pods, bound by hand in each namespace that a policy names in `deleteAfterDenial`.";
    Account MARK_VERB = "mark", "nodes.junban.dev", "The verb that makes a user an administrator for `junban.dev/` keys on Nodes; no object exists.";
    Account APP = "junban", "", "The value of app.kubernetes.io/name.";
    Account COMPONENT_CONTROLLER = "controller", "", "The value of app.kubernetes.io/component on the controller's pods.";

    Object QUEUE = "default", "RebootQueue", "The name of the one queue.";
    Object LEASE = "junban", "Lease", "The leader's Lease, in Junban's namespace; it carries the cluster clock.";
    Object NODE_LEASE_NAMESPACE = "kube-node-lease", "Lease", "Where kubelets renew their Leases.";

    Condition READY = "Ready", "RebootPolicy", "False: the policy does nothing, and the reason says why.";
    Condition ACTIVE = "Active", "RebootQueue", "True: starts are possible. False: the reason says what stops them (Paused, Halted, Implausible).";
    Condition PAUSED = "Paused", "RebootQueue", "True while `spec.paused` is.";
    Condition HALTED = "Halted", "RebootQueue", "True while more entries are Failed than `failures.max`.";
    Condition BLOCKED = "Blocked", "NodeReboot", "True: it waits; reason and message say for what.";
    Condition SUCCEEDED = "Succeeded", "NodeReboot", "True: the node is proven. False: not yet, failed or cancelled; the reason says which.";
    Condition FAILED = "Failed", "NodeReboot", "True: a person is needed.";

    Metric METRIC_ENTRIES = "junban_entries", "phase", "Entries by phase.";
    Metric METRIC_ENTRY_BLOCKED = "junban_entry_blocked", "node, reason", "1 for each entry in Queued or Draining that waits, with the reason of its status.";
    Metric METRIC_ENTRY_FAILED = "junban_entry_failed", "node, reason", "1 for each Failed entry, with the reason of its status.";
    Metric METRIC_DRAIN_PODS_LEFT = "junban_drain_pods_left", "node", "Pods that must still leave a node in Draining.";
    Metric METRIC_QUEUE_PAUSED = "junban_queue_paused", "", "1: paused, or there is no queue object that can be read.";
    Metric METRIC_QUEUE_HALTED = "junban_queue_halted", "", "1: more entries are Failed than failures.max: nothing starts.";
    Metric METRIC_QUEUE_IMPLAUSIBLE = "junban_queue_implausible", "", "1: the view of the cluster is implausible: nothing starts.";
    Metric METRIC_LOWER_BOUND = "junban_lower_bound_seconds", "", "The least time that any scheduler would need for what is left.";
    Metric METRIC_LAST_PROOF = "junban_last_proof_timestamp_seconds", "", "When a node was proven last, by the entries that are kept: in seconds since 1970.";
    Metric METRIC_NODE_MAINTENANCE = "junban_node_maintenance", "node", "1 while Junban holds the node: to inhibit alerts about it.";
    Metric METRIC_POWER_ACTIONS = "junban_power_actions_total", "driver, outcome", "Power actions by outcome: started, nothing_started, unknown.";
    Metric METRIC_EVICTIONS = "junban_evictions_total", "outcome", "Answers to evictions, by their typed outcome.";
    Metric METRIC_LEADER = "junban_leader", "", "1 in the process that holds the Lease.";
    Metric METRIC_UNREADABLE = "junban_unreadable_objects", "kind", "Objects of Junban's own that do not parse.";
    Metric METRIC_API_WARNINGS = "junban_api_warnings_total", "", "Warnings of the API server on writes of our own: each is a bug.";
    Metric METRIC_BUILD_INFO = "junban_build_info", "version", "Always 1.";

    Environment ENV_NODE = "JUNBAN_NODE", "command driver", "Name of the node to reboot.";
    Environment ENV_BOOT_ID = "JUNBAN_BOOT_ID", "command driver", "Its bootID before the act.";
    Environment ENV_SYSTEM_UUID = "JUNBAN_SYSTEM_UUID", "command driver", "The machine's systemUUID.";
    Environment ENV_ATTEMPT = "JUNBAN_ATTEMPT", "command driver", "Number of the attempt.";
    Environment ENV_NAMESPACE = "JUNBAN_NAMESPACE", "controller, `junban explain`", "Namespace of the Lease and of Junban's Secrets.";
    Environment ENV_POD_NAME = "JUNBAN_POD_NAME", "controller", "The holder's identity in the Lease; the host's name where it is absent.";
    Environment ENV_LOG = "JUNBAN_LOG", "controller", "Filter of the log, as `info,junban_kube=debug`.";
}

/// Value and effect of the steering taint [`PENDING`].
pub const PENDING_EFFECT: &str = "PreferNoSchedule";

/// The kinds of Junban's objects with plural and short name.
pub const KINDS: [(&str, &str, &str); 3] = [
    ("RebootQueue", "rebootqueues", "rbq"),
    ("RebootPolicy", "rebootpolicies", "rbp"),
    ("NodeReboot", "nodereboots", "nrb"),
];

/// A key of [`crate::convert::node`]'s labels that stands for the node's name where Kubernetes matches fields
/// instead of labels. The colon keeps it out of every real label.
pub const FIELD_NAME: &str = "field:metadata.name";

/// A counter's name as prometheus-client registers it: that library appends `_total` itself.
pub fn registered(metric: &'static str) -> &'static str {
    metric.strip_suffix("_total").unwrap_or(metric)
}

/// The reference page of all names, as Markdown.
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
    fn every_name_stands_once_per_kind_and_says_something() {
        let mut seen = std::collections::BTreeSet::new();
        for name in TABLE {
            let account = name.kind == Kind::Account; // namespace, account and manager share a word
            assert!(account || seen.insert((name.kind, name.text)), "{}", name.text);
            assert!(name.meaning.ends_with(['.', ')']), "{}", name.text);
        }
    }

    #[test]
    fn metrics_are_ours_and_counters_end_in_total() {
        let metrics: Vec<_> = TABLE.iter().filter(|name| name.kind == Kind::Metric).collect();
        assert!(metrics.iter().all(|name| name.text.starts_with("junban_")));
        assert_eq!(registered(METRIC_EVICTIONS), "junban_evictions");
        assert_eq!(registered(METRIC_LEADER), "junban_leader");
    }
}
