//! Every reason for which an entry waits or has ended. Status, `explain`, metrics and Events use the same words
//! (docs/design/life-cycle.md#reasons).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $class:ident $hint:literal)*) => {
        /// Why an entry waits, or how it ended. Programs may rely on the names.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// A newer release wrote it. It counts as a reason that needs a person.
            #[serde(other)]
            Unrecognised,
        }

        impl Reason {
            /// Every reason that this release writes.
            pub const ALL: &'static [Reason] = &[$(Self::$name),*];

            /// The reason of this name, if this release writes it.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
            }

            /// The name in status, metrics and Events.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Unrecognised => "Unrecognised",
                }
            }

            /// What ends the wait.
            pub fn class(self) -> Class {
                match self {
                    $(Self::$name => Class::$class,)*
                    Self::Unrecognised => Class::NeedsSomebody,
                }
            }

            /// What a person can do; empty if only time helps. `NODE` stands for the node's name.
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
    /// A person must do something.
    NeedsSomebody,
    /// The turn moves.
    Progress,
}

reasons! {
    // The queue and the whole cluster.
    /// `spec.paused` is true, or there is no queue object.
    Paused NeedsSomebody "junban resume"
    /// More entries are Failed than `failures.max` allows.
    Halted NeedsSomebody "look at the failed servers: junban list; then junban retry NODE or junban cancel NODE"
    /// The view of the cluster cannot be right (docs/design/safety.md#s27).
    Implausible NeedsSomebody "check the API server and the nodes: the view is old, or too many nodes changed at once"
    /// The ledger is rebuilt from marks and entries.
    LedgerRebuilding Passes ""
    /// `maxUnavailable` is used up.
    NoPlace Passes "see what holds places: junban status; nodes labelled junban.dev/exclude do not count"
    /// `maxConcurrent` of the queue is used up.
    QueueLimit Passes "spec.maxConcurrent of the queue limits the turns"
    /// `maxConcurrent` of the policy is used up.
    PolicyLimit Passes "spec.maxConcurrent of the policy limits the turns"
    /// No node of this policy and goal is proven yet, and another one goes first.
    FirstProof Passes ""
    /// As many groups are open as `groups.atOnce` allows.
    GroupClosed Passes ""
    /// Control-plane nodes go one at a time and never beside workers.
    ControlPlaneTurn Passes ""
    /// The health of API servers and etcd members is being read.
    ControlPlaneChecking Passes ""
    /// An API server or etcd member is not good, or another control-plane node is not back.
    ControlPlaneUnhealthy NeedsSomebody "repair the API server, etcd member or control-plane node named here"
    /// The queue names too few API servers or etcd members, or there are too few of them to spare one.
    ControlPlaneUnknown NeedsSomebody "set spec.controlPlane.apiServers and .etcd of the queue"
    /// Another node of a quorum group is in its turn.
    QuorumTurn Passes ""
    /// Another node of a quorum group is cordoned, not Ready or Failed, or a pod of the group is on no node.
    QuorumAway NeedsSomebody "bring back the node or the pod named here, or change spec.quorumGroups of the queue"
    /// Another entry of the same node goes first.
    AnotherEntry Passes ""
    /// The node was released, and its entry waits before it tries again.
    BackOff Passes "junban retry NODE ends the wait"
    /// The node booted less than `minInterval` ago.
    MinInterval Passes "lower spec.minInterval of the policy to start the node now"
    /// The goal lies in the future.
    NotDue Passes ""
    /// Another entry may have powered this boot, and its deadline has not passed.
    EarlierPower Passes ""
    /// The node is not Ready.
    NodeDown NeedsSomebody "repair the server; its turn comes when it is Ready"
    /// The kubelet has reported no bootID.
    NoBootId NeedsSomebody "check the kubelet of this node"
    /// The node is labelled `junban.dev/hold`.
    Hold NeedsSomebody "remove the label junban.dev/hold"
    /// The node is labelled `junban.dev/exclude`.
    Excluded NeedsSomebody "remove the label junban.dev/exclude"
    /// Another tool owns the node.
    ForeignOwner NeedsSomebody "let the other tool finish, or remove its taint or annotation"
    /// No policy governs the node.
    NoPolicy NeedsSomebody "write a RebootPolicy whose nodeSelector matches the node"
    /// Two policies of the same priority match.
    PolicyConflict NeedsSomebody "give one of the policies another priority"
    /// The policy's selector cannot match.
    InvalidSelector NeedsSomebody "correct the policy's nodeSelector"
    /// The policy cannot be read.
    UnreadablePolicy NeedsSomebody "kubectl get rebootpolicies -o yaml | junban lint -"
    /// The policy's ladder is empty.
    NoDriver NeedsSomebody "set spec.reboot.ladder of the policy"
    /// The API server refuses because the account lacks a right.
    Forbidden NeedsSomebody "kubectl apply --server-side --force-conflicts -f manifests/junban/20-account.yaml"
    /// The API server has refused a write three times in a row: a webhook or an admission policy does.
    WriteRefused NeedsSomebody "see the message: let the webhook or admission policy accept what Junban writes"
    /// A waiver covers the goal.
    Waived NeedsSomebody "junban reboot --all --again sets a new goal"

    // Pods and budgets.
    /// The budget allows nothing now.
    BudgetExhausted Passes "more pods of the budget must become Ready"
    /// A pod that leaves fits on no other node, so its budget does not come back.
    ReplacementUnschedulable NeedsSomebody "relax what keeps the pod named here from other nodes, or make room: kubectl describe pod; then junban retry NODE"
    /// Other turns hold the budget's tokens, or they are reserved for them.
    BudgetHeld Passes ""
    /// The budget can never allow an eviction.
    BudgetImpossible NeedsSomebody "relax the budget or add replicas"
    /// The policy names the budget: it opens when its operator sees the cordon or the eviction.
    BudgetOpening Passes "see what the operator of the budget says of its pod"
    /// As many nodes wait for such a budget as `atOnce` allows.
    OpeningTurn Passes ""
    /// The cordon would leave no pod that can take over from one that has to move.
    LastCandidate Passes "bring back a node of the other pods of the owner named here"
    /// Two budgets select the pod.
    TwoBudgets NeedsSomebody "let only one PodDisruptionBudget select the pod"
    /// The budget cannot be computed.
    BudgetUnknown NeedsSomebody "exclude the pod named here from the budget's selector; a pod of a Job also ends by itself"
    /// The pod is not Ready, and its budget protects it.
    UnhealthyPods NeedsSomebody "repair the pods, or set unhealthyPodEvictionPolicy: AlwaysAllow"
    /// The implied budget of an owner without a budget allows nothing now.
    ImpliedBudget Passes "write a PodDisruptionBudget, or raise drain.unbudgeted.maxUnavailable"
    /// The pod has no controller.
    BarePod NeedsSomebody "delete the pod, or set drain.bare: Evict"
    /// The pod has data in an emptyDir.
    EmptyDir NeedsSomebody "set drain.emptyDir: Evict, or annotate the pod with safe-to-evict-local-volumes"
    /// An annotation of the pod forbids its eviction.
    DoNotDisrupt NeedsSomebody "remove the annotation named here"
    /// A pod whose work ends by itself is waited for.
    JobRunning Passes ""
    /// A pod of the node fits on no other node now.
    NoCapacity Passes "add room, relax what keeps the pod from other nodes, or set drain.capacity: Report"
    /// The pod has been terminating for longer than its grace period.
    PodStuck NeedsSomebody "see what holds the pod: a finalizer, or a container that does not end; drain.stuckTerminating: Reboot goes on without it"
    /// An admission webhook said no, or could not be asked.
    WebhookDenied NeedsSomebody "ask the owner of the webhook"
    /// `deleteAfterDenial` names the namespace, but the account may not delete pods there.
    DeleteForbidden NeedsSomebody "bind the role junban-force in that namespace"
    /// The API server throttles, an answer was lost, or a budget's controller is behind.
    Throttled Passes ""
    /// A volume of a pod that left is still attached.
    VolumeAttached Passes ""
    /// A pod comes back to the cordoned node again and again.
    PodReturns NeedsSomebody "remove its toleration of the unschedulable taint, or the nodeName of its template"

    // Progress.
    /// Pods leave.
    Evicting Progress ""
    /// `drain.loadBalancerWait` has not passed.
    LoadBalancers Progress ""
    /// A scheduler may not have seen the cordon yet, or the last list still shows a pod.
    Settling Progress ""
    /// The power action is recorded or under way.
    Powering Progress ""
    /// The machine boots.
    Booting Progress ""
    /// The node is not Ready yet, or its Lease is not fresh.
    NodeNotReady Progress ""
    /// A DaemonSet's pod is not back yet.
    DaemonSetNotReady Progress ""
    /// The node has a taint that it did not have at the start of its turn.
    NewTaint Progress ""
    /// The node has less of a resource than at the start of its turn.
    FewerResources Progress ""
    /// Everything holds, and the settle time runs.
    Settle Progress ""

    // Ends.
    /// Rebooted and healthy.
    Proven Progress ""
    /// Somebody else's boot met the goal.
    GoalMet Progress ""
    /// `drain.timeout` is over.
    DrainTimeout NeedsSomebody "see what blocked the drain; junban retry NODE"
    /// A person uncordoned the node in mid-drain.
    Uncordoned NeedsSomebody "junban retry NODE or junban cancel NODE; the label junban.dev/hold keeps a node from being started"
    /// The command started, but the server did not come back in `bootTimeout`.
    BootTimeout NeedsSomebody "look at the server's console; if it comes up, it is verified by itself; junban retry NODE powers it again"
    /// No boot, and it is not known whether the power action was started.
    PowerUnknown NeedsSomebody "see whether the server reboots; junban retry NODE powers it again"
    /// The driver surely started nothing.
    PowerRefused Passes "see the driver's own message"
    /// Not proven within `verify.timeout`.
    VerifyTimeout NeedsSomebody "repair the node; it is released as soon as it is proven; junban cancel NODE takes it as it is"
    /// The server restarts again and again.
    BootLoop NeedsSomebody "look at the server's console; when it stays up: junban retry NODE verifies it, junban cancel NODE gives it up"
    /// The Node shows another systemUUID.
    MachineChanged NeedsSomebody "a machine was swapped: junban cancel NODE"
    /// The entry was deleted in mid-turn, and the server did not come back.
    EntryDeleted NeedsSomebody "look at the server; junban retry NODE or junban cancel NODE"
    /// A person cancelled the entry.
    Cancelled NeedsSomebody ""
    /// A person gave the entry up.
    GivenUp NeedsSomebody ""
    /// The Node is gone, or another Node has its name.
    NodeGone NeedsSomebody ""
    /// The mark was gone, so the entry was released.
    Released Passes ""
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
