//! What a scenario says, as data. The same for every world; nothing here knows how a world is built.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::condition::Condition;
pub use super::quantity::Quantity;
pub use super::words::Span;

/// A line of the file and what it means.
#[derive(Clone, PartialEq, Debug)]
pub struct At<T> {
    /// From 1.
    pub line: usize,
    /// As written, for messages.
    pub text: String,
    pub what: T,
}

/// One scenario file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scenario {
    /// The file's name as it stands in messages.
    pub file: String,
    pub title: String,
    pub nodes: Nodes,
    pub workloads: Vec<At<Workload>>,
    pub budgets: Vec<At<ExtraBudget>>,
    /// By policy name, in the order written.
    pub policies: BTreeMap<String, Vec<Setting>>,
    pub queue: Vec<Setting>,
    pub faults: Vec<At<MachineFault>>,
    /// Done by people before the controller starts.
    pub given: Vec<At<Act>>,
    /// Done and waited for one after the other, from the controller's start.
    pub steps: Vec<At<Step>>,
    /// Done again and again beside the steps, until the last of them has been done.
    pub repeated: Vec<At<(Duration, Act)>>,
    pub orders: Vec<At<Order>>,
    /// Must not hold at any moment.
    pub never: Vec<At<Condition>>,
    /// Must all hold when everything else is over.
    pub at_the_end: Vec<At<Condition>>,
    pub controllers: u32,
    /// The first controller ends after its so-many-th acknowledged write, and is started again.
    pub exit_after_writes: Option<u64>,
}

/// The machines.
#[derive(Clone, PartialEq, Debug)]
pub struct Nodes {
    /// Workers: `node-1` and on.
    pub workers: u32,
    /// 1: the control plane is no Node. 3: the Nodes `cp-1` to `cp-3` besides.
    pub control_planes: u32,
    /// Workers are dealt out to `rack-1` and on, in turn; 1: none has the label.
    pub racks: u32,
    pub boot: Span,
    pub cpu: Option<Quantity>,
    pub memory: Option<Quantity>,
}

impl Scenario {
    /// Everything that is done, in no order.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        let given = self.given.iter().map(|at| &at.what);
        given
            .chain(self.steps.iter().filter_map(|at| at.what.act()))
            .chain(self.repeated.iter().map(|at| &at.what.1))
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
    /// Names of all Nodes.
    pub fn names(&self) -> Vec<String> {
        let masters = if self.control_planes > 1 {
            self.control_planes
        } else {
            0
        };
        (1..=self.workers)
            .map(|n| format!("node-{n}"))
            .chain((1..=masters).map(|n| format!("cp-{n}")))
            .collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    /// A pod without a controller.
    Pod,
}

/// What runs on the cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct Workload {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub replicas: u32,
    /// Where its pods are at the beginning, one entry a pod; they may move afterwards.
    pub on: Vec<String>,
    /// They may run there and nowhere else.
    pub only_on: Option<String>,
    pub budget: Option<Demand>,
    /// The budget's `unhealthyPodEvictionPolicy: AlwaysAllow`.
    pub always_allow_unhealthy: bool,
    /// From bound to running.
    pub start: Option<Span>,
    /// From running to Ready.
    pub ready: Option<Span>,
    /// From SIGTERM to its end.
    pub stop: Option<Span>,
    pub grace: Option<Duration>,
    pub ignores_sigterm: bool,
    pub never_ready: bool,
    /// Its program ends by itself.
    pub runs_for: Option<Duration>,
    pub local_volume: bool,
    /// A network volume that is detached this long after its pod's end.
    pub csi_volume: Option<Duration>,
    pub empty_dir: bool,
    pub finalizer: Option<String>,
    pub tolerates_unschedulable: bool,
    /// No two of its pods on one node.
    pub spread: bool,
    pub cpu: Option<Quantity>,
    pub memory: Option<Quantity>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

impl Workload {
    /// `shop/cart`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// What a budget demands, as the API spells the value: `1`, `50%`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Demand {
    MaxUnavailable(String),
    MinAvailable(String),
}

/// A budget besides the one of a workload's own line.
#[derive(Clone, PartialEq, Debug)]
pub struct ExtraBudget {
    pub namespace: String,
    pub name: String,
    /// The workload whose pods it selects, in the same namespace.
    pub selects: String,
    pub demand: Demand,
}

/// One field of a policy or of the queue.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    /// Below `spec`.
    pub path: Vec<&'static str>,
    pub value: SettingValue,
}

#[derive(Clone, PartialEq, Debug)]
pub enum SettingValue {
    Json(Value),
    /// A time so many seconds from the moment at which it is set; negative: ago.
    FromNow(i64),
    /// The field is taken out.
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
    /// Boots so many times as long.
    Slow(u64),
    /// The driver says that it started; nothing happens.
    PowerLost,
    /// Surely nothing is started (exit 75).
    Refused,
    /// The machine reboots, but the driver does not know.
    Unknown,
    /// Down already when the run begins.
    Dead,
}

/// A step of the run.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    Do(Act),
    /// So long after the step before.
    After(Duration, Act),
    /// As soon as the condition holds; it must within the time.
    When(Duration, Condition, Act),
    /// Goes on when the condition holds; it must within the time.
    Eventually(Duration, Condition),
    /// So long, in which nothing is done.
    Wait(Duration),
}

impl Step {
    /// What it does, if it does something.
    pub fn act(&self) -> Option<&Act> {
        match self {
            Self::Do(act) | Self::After(_, act) | Self::When(_, _, act) => Some(act),
            Self::Eventually(..) | Self::Wait(_) => None,
        }
    }
}

/// What a person, or the weather, does.
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
        /// `None`: removed.
        value: Option<String>,
    },
    DeleteNode(String),
    /// The same machine registers itself again, with another UID.
    RegisterNode(String),
    DeleteQueue,
    /// As the scenario set it at the beginning.
    ApplyQueue,
    DeletePolicy(String),
    ApplyPolicy(String),
    /// The entries of one node, or all.
    DeleteEntries(Target),
    DeletePod(String, String),
    /// The controller's account loses a right.
    Deny(Right),
    /// The account's rights are as the manifests have them again.
    AllowEverything,
    EditQueue(Vec<Setting>),
    EditPolicy(String, Vec<Setting>),
    EditBudget {
        namespace: String,
        name: String,
        demand: Demand,
    },
    Scale {
        namespace: String,
        name: String,
        replicas: u32,
    },
    /// By hand, as with `systemctl reboot`.
    RebootMachine(String),
    /// Loses its power and stays down.
    PowerOff(String),
    Fault(MachineFault),
    /// Its faults end; if it is down it boots.
    Repair(String),
    /// SIGKILL. Nothing starts it again.
    KillController(u32),
    /// The second says how far the clock of its machine is ahead; behind, if negative.
    StartController(u32, SignedDuration),
    /// SIGTERM: it sees its power actions through and releases the Lease. Nothing starts it again.
    StopController(u32),
    /// SIGKILL, and started again at once.
    RestartController(u32, SignedDuration),
    /// SIGSTOP.
    FreezeController(u32),
    /// SIGCONT.
    ThawController(u32),
    /// What lies between the controllers and the API server swallows every byte and closes nothing.
    CutOff,
    Reconnect,
    /// The command, or the API server, must refuse it.
    Refused(Box<Act>),
}

/// A right of the controller's account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Right {
    /// Of the role for the whole cluster, as RBAC spells it: `create`, `pods/eviction`.
    Cluster { verb: String, resource: String },
    /// Deleting pods in this one namespace: the role `junban-force`, bound there by an administrator.
    DeletePodsIn(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    All,
    Nodes(Vec<String>),
    /// A label selector.
    Selector(String),
}

/// Phases through which an entry went in this order; others may lie between.
#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    /// `None`: every node that has an entry.
    pub node: Option<String>,
    pub phases: Vec<String>,
}
