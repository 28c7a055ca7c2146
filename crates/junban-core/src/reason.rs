//! The one enum of reasons: what feeds conditions, `explain`, metrics, events and pages (lifecycle.md 8).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $class:ident $hint:literal)*) => {
        /// Why an entry waits, or how it ended. Machine-readable and stable.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// Written by a newer release; it counts as one that needs somebody.
            #[serde(other)]
            Unrecognised,
        }

        impl Reason {
            /// Every reason that this release writes.
            pub const ALL: &'static [Reason] = &[$(Self::$name),*];

            /// The name as it stands in status, labels and events.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Unrecognised => "Unrecognised",
                }
            }

            /// Whether it passes by itself or needs somebody.
            pub fn class(self) -> Class {
                match self {
                    $(Self::$name => Class::$class,)*
                    Self::Unrecognised => Class::NeedsSomebody,
                }
            }

            /// What would help, as a sentence for an operator; empty where only time does.
            pub fn hint(self) -> &'static str {
                match self {
                    $(Self::$name => $hint,)*
                    Self::Unrecognised => "use the release that wrote it",
                }
            }
        }
    };
}

/// What ends the wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// It ends by itself.
    Passes,
    /// It waits for a person.
    NeedsSomebody,
    /// The entry moves.
    Progress,
}

reasons! {
    // The queue and the whole.
    /// `spec.paused`, or there is no queue object.
    Paused NeedsSomebody "junban resume"
    /// Failed entries exceed `failures.max`.
    Halted NeedsSomebody "look at the failed servers: junban list; then junban retry NODE or junban cancel NODE"
    /// The view of the cluster is implausible (safety.md S27).
    Implausible NeedsSomebody "check the API server and the nodes: too many changed at once"
    /// The ledger is being rebuilt from marks and entries.
    LedgerRebuilding Passes ""
    /// No place in `maxUnavailable`.
    NoPlace Passes "see what holds places: junban status; nodes labelled junban.dev/exclude do not count"
    /// `maxConcurrent` of the queue.
    QueueLimit Passes ""
    /// `maxConcurrent` of the policy.
    PolicyLimit Passes ""
    /// Until one node of this policy and goal is proven.
    FirstProof Passes ""
    /// Another group is open.
    GroupClosed Passes ""
    /// Control-plane nodes go one at a time and never beside workers.
    ControlPlaneTurn Passes ""
    /// The health of API servers and etcd members is being read.
    ControlPlaneChecking Passes ""
    /// An API server or etcd member is not good, or missing.
    ControlPlaneUnhealthy NeedsSomebody "look at the API servers and etcd members named here"
    /// The queue names no API servers or etcd members, or fewer than there are control-plane nodes.
    ControlPlaneUnknown NeedsSomebody "set spec.controlPlane.apiServers and .etcd of the queue"
    /// Another entry of the same node goes first.
    AnotherEntry Passes ""
    /// Released; waits before it tries again.
    BackOff Passes "junban retry NODE ends the wait"
    /// `minInterval` since the node's last boot.
    MinInterval Passes ""
    /// The goal lies in the future.
    NotDue Passes ""
    /// The bootID is that of an attempt whose deadline has not passed.
    EarlierPower Passes ""
    /// The node is not Ready.
    NodeDown NeedsSomebody "repair the server; it goes when it is Ready"
    /// The kubelet has reported no bootID.
    NoBootId NeedsSomebody "check the kubelet of this node"
    /// `junban.dev/hold`.
    Hold NeedsSomebody "remove the label junban.dev/hold"
    /// `junban.dev/exclude`.
    Excluded NeedsSomebody "remove the label junban.dev/exclude"
    /// Another actor owns this node.
    ForeignOwner NeedsSomebody "let the other tool finish, or remove its taint or annotation"
    /// No policy governs the node.
    NoPolicy NeedsSomebody "write a RebootPolicy whose nodeSelector matches the node"
    /// Two policies of one priority match.
    PolicyConflict NeedsSomebody "give one of the policies another priority"
    /// The policy's selector cannot match.
    InvalidSelector NeedsSomebody "mend the policy's nodeSelector"
    /// The policy cannot be read.
    UnreadablePolicy NeedsSomebody "kubectl get rebootpolicies -o yaml | junban lint -"
    /// The policy's ladder is empty.
    NoDriver NeedsSomebody "set spec.reboot.ladder of the policy"
    /// The API server refuses for want of rights.
    Forbidden NeedsSomebody "apply the manifests of this release again: the account lacks a right"
    /// The API server refuses what Junban writes, again and again: a webhook, or an admission policy of the cluster.
    WriteRefused NeedsSomebody "see the message: let the webhook or admission policy accept what Junban writes"
    /// A waiver covers the goal.
    Waived NeedsSomebody "junban reboot --all --again sets a new goal"

    // Pods and budgets.
    /// The budget allows nothing now.
    BudgetExhausted Passes "the budget's pods must become healthy elsewhere"
    /// The budget allows nothing now, for a pod that is to take the place of one that left fits on no node.
    ReplacementUnschedulable Passes "make room for the pod named here, or relax its affinity: kubectl describe pod"
    /// The budget's tokens are reserved for, or held by, other turns.
    BudgetHeld Passes ""
    /// The budget can never allow an eviction.
    BudgetImpossible NeedsSomebody "relax the budget or add replicas"
    /// Two budgets select the pod.
    TwoBudgets NeedsSomebody "let only one PodDisruptionBudget select the pod"
    /// The budget cannot be computed.
    BudgetUnknown NeedsSomebody "the owner of the pods must have a scale subresource"
    /// Unhealthy pods under IfHealthyBudget.
    UnhealthyPods NeedsSomebody "mend the pods, or set unhealthyPodEvictionPolicy: AlwaysAllow"
    /// The budget implied where there is none.
    ImpliedBudget Passes "write a PodDisruptionBudget, or raise drain.unbudgeted.maxUnavailable"
    /// A pod without a controller.
    BarePod NeedsSomebody "delete the pod, or set drain.bare: Evict"
    /// A pod with an emptyDir.
    EmptyDir NeedsSomebody "set drain.emptyDir: Evict, or annotate the pod with safe-to-evict-local-volumes"
    /// An annotation forbids it.
    DoNotDisrupt NeedsSomebody "remove the annotation named here"
    /// A running Job is waited for.
    JobRunning Passes ""
    /// No room for the node's pods elsewhere.
    NoCapacity Passes "add room, or reduce requests"
    /// Terminating for longer than its grace.
    PodStuck NeedsSomebody "see what holds the pod: a finalizer, or a container that ignores SIGTERM"
    /// An admission webhook says no.
    WebhookDenied NeedsSomebody "ask the owner of the webhook"
    /// The namespace is named by `deleteAfterDenial`, and deletion is refused for want of rights.
    DeleteForbidden NeedsSomebody "bind the role junban-force in that namespace"
    /// The API server throttles.
    Throttled Passes ""
    /// A volume is still attached.
    VolumeAttached Passes ""
    /// A pod comes back to the node again and again.
    PodReturns NeedsSomebody "remove its toleration of the unschedulable taint, or the nodeName of its template"

    // Progress.
    /// Cordoned; pods leave.
    Evicting Progress ""
    /// `drain.loadBalancerWait`.
    LoadBalancers Progress ""
    /// The five seconds after a cordon, or the last list.
    Settling Progress ""
    /// The power action is recorded or under way.
    Powering Progress ""
    /// The power action has started.
    Booting Progress ""
    /// Waits for the node to be Ready with a fresh Lease.
    NodeNotReady Progress ""
    /// Waits for a DaemonSet's pod.
    DaemonSetNotReady Progress ""
    /// Being restored.
    Restoring Progress ""
    /// Settle time.
    Settle Progress ""

    // Ends.
    /// Proven.
    Proven Progress ""
    /// Somebody else's boot met the goal.
    GoalMet Progress ""
    /// `drain.timeout`.
    DrainTimeout NeedsSomebody "see what blocked the drain; junban retry NODE"
    /// A person uncordoned the node in mid-drain.
    Uncordoned NeedsSomebody "label the node junban.dev/hold to keep it from being started"
    /// `bootTimeout` on the last attempt.
    BootTimeout NeedsSomebody "look at the server's console; when it is up: it is verified by itself; junban retry NODE powers it again"
    /// The outcome of the power action is not known.
    PowerUnknown NeedsSomebody "see whether the server reboots; junban retry NODE powers it again"
    /// The driver says that surely nothing was started.
    PowerRefused Passes "see the driver's own message"
    /// `verify.timeout`.
    VerifyTimeout NeedsSomebody "mend the node; it is released as soon as it is proven"
    /// Another systemUUID.
    MachineChanged NeedsSomebody "a machine was swapped: junban cancel NODE"
    /// The entry was deleted in mid-turn.
    EntryDeleted NeedsSomebody "look at the server; junban retry NODE or junban cancel NODE"
    /// A person cancelled it.
    Cancelled NeedsSomebody ""
    /// A person gave it up.
    GivenUp NeedsSomebody ""
    /// The Node is gone or another one.
    NodeGone NeedsSomebody ""
    /// It was released.
    Released Passes ""
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
