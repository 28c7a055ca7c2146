//! What a scenario file says, as data. Both runners use it, so nothing here depends on one of them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::condition::Condition;
pub use super::values::{Key, Quantity, Span};

/// What a line of the file says, with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct At<T> {
    /// The first line is 1.
    pub line: usize,
    /// The text of the line, for messages.
    pub text: String,
    pub what: T,
}

impl<T> At<T> {
    /// Something else in the same line.
    pub fn with<U>(&self, what: U) -> At<U> {
        At {
            line: self.line,
            text: self.text.clone(),
            what,
        }
    }
}

/// The policies of the manifests.
pub const MANIFEST_POLICIES: [&str; 3] = ["workers", "control-plane", "etcd"];

/// One scenario file.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// The name of the file in messages.
    pub file: String,
    pub title: String,
    pub nodes: Nodes,
    pub workloads: Vec<At<Workload>>,
    /// The budgets that have a line of their own.
    pub budgets: Vec<At<Budget>>,
    /// The settings of each policy, in the order of the file.
    pub policies: BTreeMap<String, Vec<Setting>>,
    pub queue: Vec<Setting>,
    /// What people do before the controller starts, and which faults machines have then.
    pub given: Vec<At<Act>>,
    /// Acts and waits after the controller's start, one after the other.
    pub steps: Vec<At<ScenarioStep>>,
    /// Acts that are repeated at this interval until the last step has been done.
    pub repeated: Vec<At<(Duration, Act)>>,
    pub orders: Vec<At<Order>>,
    /// Conditions that must not hold at any moment.
    pub never: Vec<At<Condition>>,
    /// Conditions that must hold when all steps are done.
    pub at_the_end: Vec<At<Condition>>,
    /// The operators of workloads.
    pub operators: Vec<At<(Key, Operator)>>,
    pub controllers: u32,
    /// The first controller ends itself after this acknowledged write, and is started again.
    pub exit_after_writes: Option<u64>,
}

/// The machines.
#[derive(Clone, PartialEq, Debug)]
pub struct Nodes {
    /// How many workers: `node-1`, `node-2` and so on.
    pub workers: u32,
    /// With 1 the control plane is not a Node. With 3 there are also the Nodes `cp-1` to `cp-3`.
    pub control_planes: u32,
    /// The workers are spread over `rack-1`, `rack-2` and so on. With 1 no node has the label of a rack.
    pub racks: u32,
    pub boot: Span,
    pub cpu: Option<Quantity>,
    pub memory: Option<Quantity>,
}

impl Scenario {
    /// The policies of the manifests, and those that only this scenario has.
    pub fn policy_names(&self) -> Vec<&str> {
        let own = self.policies.keys().map(String::as_str);
        let own = own.filter(|name| !MANIFEST_POLICIES.contains(name));
        MANIFEST_POLICIES.into_iter().chain(own).collect()
    }

    /// All acts with their lines, in no order.
    pub fn acts(&self) -> impl Iterator<Item = (usize, &Act)> {
        let given = self.given.iter().map(|at| (at.line, &at.what));
        let steps = self.steps.iter();
        let steps = steps.filter_map(|at| Some((at.line, at.what.act.as_ref()?)));
        let repeated = self.repeated.iter().map(|at| (at.line, &at.what.1));
        given.chain(steps).chain(repeated)
    }
}

impl Default for Nodes {
    fn default() -> Self {
        let boot = Span {
            from: Duration::from_secs(4),
            to: Duration::from_secs(8),
        };
        Self {
            workers: 3,
            control_planes: 1,
            racks: 1,
            boot,
            cpu: None,
            memory: None,
        }
    }
}

impl Nodes {
    /// The rack of this node, which is at this place in [`Self::names`].
    pub fn rack(&self, index: usize, name: &str) -> Option<String> {
        let has_rack = self.racks > 1 && !name.starts_with("cp-");
        has_rack.then(|| format!("rack-{}", index % self.racks as usize + 1))
    }

    /// The names of all Nodes.
    pub fn names(&self) -> Vec<String> {
        let workers = (1..=self.workers).map(|n| format!("node-{n}"));
        let masters = (1..=self.control_planes).filter(|_| self.control_planes > 1);
        workers.chain(masters.map(|n| format!("cp-{n}"))).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Kind {
    #[default]
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    /// An owner of a kind that Junban does not know. Its operator makes a pod again that ended or is gone.
    Custom,
    /// A pod without a controller, or controlled by another pod.
    Pod,
}

/// A workload on the cluster.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Workload {
    pub kind: Kind,
    pub key: Key,
    pub replicas: u32,
    /// The node of each pod at the beginning. The pods may move later.
    pub on: Vec<String>,
    /// The only node on which its pods may run.
    pub only_on: Option<String>,
    pub budget: Option<Budget>,
    /// The time until a bound pod runs.
    pub start: Span,
    /// The time until a running pod is Ready.
    pub ready: Span,
    /// The time from SIGTERM until a pod ends.
    pub stop: Span,
    pub grace: Option<Duration>,
    pub ignores_sigterm: bool,
    /// Only a boot of its machine ends it.
    pub never_stops: bool,
    pub never_ready: bool,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// Its `restartPolicy` is Never.
    pub restarts_never: bool,
    /// The pod of the same namespace that controls it.
    pub owner_pod: Option<String>,
    /// Its program ends by itself after this time.
    pub runs_for: Option<Duration>,
    pub local_volume: bool,
    /// It has a network volume, which is detached this long after its pod has ended.
    pub csi_volume: Option<Duration>,
    pub empty_dir: bool,
    pub finalizer: Option<String>,
    pub tolerates_unschedulable: bool,
    /// No two of its pods run on one node.
    pub spread: bool,
    pub hard_spread: Option<HardSpread>,
    /// The taints that its pods tolerate.
    pub tolerates: Vec<Taint>,
    pub priority: Option<i32>,
    pub cpu: Option<Quantity>,
    pub memory: Option<Quantity>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// An operator that moves the pods of a workload when it sees a cordon or an eviction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    CloudNativePg,
    Zalando,
    Strimzi,
    StrimziLegacy,
    KubeVirt,
}

/// A topology spread constraint with `DoNotSchedule` over the pods of the workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HardSpread {
    pub key: String,
    pub skew: u32,
    /// `nodeTaintsPolicy: Honor`.
    pub honors_taints: bool,
}

/// The key and the value of a taint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taint {
    pub key: String,
    pub value: String,
}

/// What a budget demands. The value is as in the API: the number 1, or the text `50%`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Demand {
    MaxUnavailable(Value),
    MinAvailable(Value),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Budget {
    pub key: Key,
    /// The workload whose pods it selects, in the same namespace.
    pub selects: String,
    pub demand: Demand,
    /// Its `unhealthyPodEvictionPolicy` is `AlwaysAllow`.
    pub always_allow_unhealthy: bool,
}

/// One field of a policy or of the queue.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    /// The path below `spec`: `drain.timeout`.
    pub path: String,
    pub value: SettingValue,
}

#[derive(Clone, PartialEq, Debug)]
pub enum SettingValue {
    Json(Value),
    /// A time this many seconds after the moment at which the field is set; a negative number is before it.
    FromNow(i64),
    /// The field is removed.
    Absent,
}

#[derive(Clone, PartialEq, Debug)]
pub struct MachineFault {
    pub node: String,
    pub fault: Fault,
}

/// What is wrong with a machine, until it is repaired.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    NeverReturns,
    SameBootId,
    NotReady,
    /// The boot takes this many times as long.
    Slow(u64),
    /// The driver says that the reboot has started, but nothing happens.
    PowerLost,
    /// The driver says that it has started nothing (exit 75).
    Refused,
    /// The machine reboots, but the driver says that it does not know.
    Unknown,
    /// The machine is down when the run begins.
    Dead,
}

/// A step of the run: it waits, and then does its act, if it has one.
#[derive(Clone, Debug)]
pub struct ScenarioStep {
    pub wait: Wait,
    pub act: Option<Act>,
}

#[derive(Clone, Debug)]
pub enum Wait {
    /// Until this long after the step before.
    For(Duration),
    /// Until the condition holds. It must hold within the time.
    Until(Duration, Condition),
}

/// What a person does, or what happens to the cluster.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    Reboot {
        target: Target,
        again: bool,
        reason: String,
    },
    Pause(String),
    Resume,
    Cancel(Target),
    Retry(String),
    Cordon(String),
    Uncordon(String),
    Label {
        node: String,
        key: String,
        /// `None` removes the label.
        value: Option<String>,
    },
    Annotate {
        node: String,
        key: String,
        value: String,
    },
    DeleteNode(String),
    /// The same machine registers its Node again, with another UID.
    RegisterNode(String),
    DeleteQueue,
    /// The queue as the scenario sets it at the beginning.
    ApplyQueue,
    DeletePolicy(String),
    ApplyPolicy(String),
    /// Deletes the entries of one node, or all.
    DeleteEntries(Target),
    DeletePod(Key),
    /// The controller's account loses a right.
    Deny(Right),
    /// The controller's account gets the rights of the manifests again.
    AllowEverything,
    EditQueue(Vec<Setting>),
    EditPolicy(String, Vec<Setting>),
    EditBudget(Key, Demand),
    /// Adds a taint, `KEY=VALUE:EFFECT`.
    Taint(String, String),
    /// Removes the taint with this key and effect, `KEY:EFFECT`.
    Untaint(String, String),
    /// From its next boot on the machine has this amount of a resource.
    NextBootHas {
        node: String,
        resource: String,
        amount: Quantity,
    },
    /// From its next boot on an agent adds this taint, `KEY=VALUE:EFFECT`, after each boot.
    NextBootTaint(String, String),
    /// Sets the replicas of a workload.
    Scale(Key, u32),
    /// A person reboots the machine, as with `systemctl reboot`.
    RebootMachine(String),
    /// The machine loses its power and stays down.
    PowerOff(String),
    Fault(MachineFault),
    /// The faults of the machine end. If it is down, it boots.
    Repair(String),
    /// SIGKILL. Nothing starts it again.
    KillController(u32),
    /// The second value says how far the clock of its machine is ahead; a negative value is behind.
    StartController(u32, SignedDuration),
    /// SIGTERM: the controller finishes its power actions and releases the Lease. Nothing starts it again.
    StopController(u32),
    /// SIGKILL. The controller is started again at once.
    RestartController(u32, SignedDuration),
    /// SIGSTOP.
    FreezeController(u32),
    /// SIGCONT.
    ThawController(u32),
    /// Every byte between the controllers and the API server is lost, and no connection closes.
    CutOff,
    Reconnect,
    /// The command or the API server must refuse this act.
    Refused(Box<Act>),
}

/// A right of the controller's account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Right {
    /// A right of its ClusterRole in the words of RBAC: `create`, `pods/eviction`.
    Cluster { verb: String, resource: String },
    /// Deleting pods in this namespace: an administrator has bound the role `junban-force` there.
    DeletePodsIn(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    All,
    Nodes(Vec<String>),
    /// The nodes that this label selector selects.
    Selector(String),
}

/// An entry has these phases in this order, with any other phases in between.
#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    /// `None` means every node that has an entry.
    pub node: Option<String>,
    pub phases: Vec<String>,
}
