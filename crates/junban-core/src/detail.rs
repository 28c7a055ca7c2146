//! The details of a blocker beside its reason and its object, and the sentence that people read.

use std::fmt;

use crate::entry::Phase;
use crate::ids::{GroupName, NodeName, PdbKey, PodKey, PolicyName};
use crate::object::{ObjectRef, listed};
use crate::time::Timestamp;
use crate::workload::WorkloadKey;

/// The data of one sentence. Code decides by the variant and its fields, never by the sentence. No variant holds a
/// running time: status would be written each second.
#[rustfmt::skip]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Detail {
    /// A text as it came: of an API server, a webhook, a driver, or of a record.
    Said(String),

    // The queue and the cluster.
    NoQueue,
    UnreadableQueue(String),
    PausedBecause(String),
    QueueMadeAgain,
    LedgerMissing,
    RightRefused,
    RightsMissing(Vec<String>),
    CacheOld(String),
    NodesWentDown { down: usize, nodes: usize },
    NodesVanished { known: usize, left: usize },
    Failures { failed: usize, overdue: usize, max: usize, nodes: Vec<NodeName> },

    // Policy and goal.
    NotSelected,
    GovernedBy(PolicyName),
    SamePriority { policies: Vec<PolicyName>, priority: i32 },
    UnreadablePolicy(String),
    EmptyLadder,
    PolicyGone,
    NotAskedFor,
    DueAt(Timestamp),
    JournalBehind,
    BootedAt { booted: Timestamp, until: Timestamp },
    OtherEntryFirst,
    NodeGone,

    // The node.
    LabelledExclude,
    LabelledHold,
    OwnedByOther(String),
    NotReady,
    NoBootId,
    MayBePowered,

    // Limits and order.
    QueueFull(usize),
    PolicyFull(u32),
    PlacesFull(usize),
    FirstProof(NodeName),
    GroupsFull { group: GroupName, by: String, at_once: u32 },

    // The control plane.
    ControlPlaneInFlight,
    ControlPlaneNext,
    OtherControlPlaneInFlight,
    OtherControlPlaneAway,
    WorkersInFlight,
    WorkersFirst,
    RetryWaits,
    ApiServersMissing { nodes: usize, named: usize },
    EtcdMissing { nodes: usize, named: usize },
    FewControlPlanes { api_servers: usize, etcd: usize },
    HealthBeingRead,
    MemberBad(String),

    // Quorum groups, by name.
    QuorumInTurn(String),
    QuorumAway(String),
    QuorumPodWithoutNode(String),

    // Pods.
    Returns,
    DoNotDisrupt { by: String },
    DoNotDisruptUntil { by: String, until: Timestamp },
    WaitCompleted { by: String },
    WorkRuns,
    Bare,
    EmptyDir(String),
    Stuck { finalizer: bool },
    RebootsBeside { volumes: Vec<String> },
    StillThere,
    Terminating,
    Follows,
    EvictedNext,

    // Budgets and room.
    TwoBudgets { other: PdbKey, pod: PodKey },
    SyncFailed { text: String, pod: Option<Box<(PodKey, Option<WorkloadKey>)>> },
    NeverAllows { needed: u32, expected: u32, ended: u32 },
    PinnedNeverAllowed { need: u32, most: u32 },
    PinnedTokensHeld { need: u32, free: u32 },
    TokensHeld(u32),
    SelectedBefore(PodKey),
    PodProtected { pod: PodKey, healthy: u32, needed: u32 },
    NoDisruptions { healthy: u32, needed: u32, holder: Holder },
    LastReady(PodKey),
    PinnedNeverImplied { need: u32, most: u32 },
    ImpliedHeld,
    ImpliedLost(Holder),
    ImpliedUsed { disrupted: u32, replicas: u32, allowed: u32 },
    EvictionAnswer { pod: PodKey, text: String },
    BudgetBehind(PodKey),
    OpensAtCordon(PodKey),
    OpensAtEviction { pod: PodKey, said: String },
    NotOpened(PodKey),
    OpeningElsewhere { at_once: u32 },
    NoCandidate(PodKey),
    FitsNowhere { pod: PodKey, barrier: Box<Barrier> },
    ConstrainedNeverAllowed { pod: PodKey, barrier: Box<Barrier>, need: u32, most: u32 },

    // The drain and the power action.
    LoadBalancers,
    CordonUnseen,
    Attached,
    NotLeft,
    Uncordoned,
    MarkGone { before: Option<String> },
    Refused,

    // The proof.
    NoBootIdReported,
    LeaseUnchanged,
    DaemonSetMissing,
    NewTaint(String),
    FewerResources { resource: String, before: i64, now: i64 },
}

/// What uses up a budget that allows nothing now.
#[rustfmt::skip]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Holder {
    /// No pod can be named.
    Unknown,
    /// A pod that is back under its name: the budget still counts its eviction.
    Charged(PodKey),
    /// A pod that is to replace another one and fits on no node.
    Unschedulable { pod: PodKey, barrier: Option<Box<Barrier>> },
    /// A pod on a node that Junban reboots.
    Rebooting { pod: PodKey, node: NodeName, phase: Phase },
    /// A pod that is not Ready on a node that takes pods.
    Unready { pod: PodKey, node: NodeName },
    /// A pod on a node that is down or cordoned.
    Down { pod: PodKey, node: NodeName },
}

impl Detail {
    /// Writes the sentence. `object` is the object of the blocker, which most sentences begin with.
    #[rustfmt::skip]
    pub(crate) fn write(&self, object: &ObjectRef, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(text) => f.write_str(text),

            Self::NoQueue => write!(f, "there is no RebootQueue named default, which counts as paused"),
            Self::UnreadableQueue(text) => write!(f, "the queue cannot be read, which counts as paused: {text}"),
            Self::PausedBecause(reason) if reason.is_empty() => write!(f, "the queue is paused"),
            Self::PausedBecause(reason) => write!(f, "the queue is paused: {reason}"),
            Self::QueueMadeAgain => write!(
                f,
                "the queue was made again while it was paused or while entries waited: nothing starts before a person \
                 resumes it"
            ),
            Self::LedgerMissing => write!(f, "the ledger is being rebuilt from marks and entries"),
            Self::RightRefused =>
                write!(f, "the API server refused a request for want of a right; the rights are being read"),
            Self::RightsMissing(missing) =>
                write!(f, "the controller's account lacks rights that every turn needs: {}", listed(missing)),
            Self::CacheOld(text) => write!(f, "the view of the cluster is too old: {text}"),
            Self::NodesWentDown { down, nodes } =>
                write!(f, "{down} of {nodes} nodes were Ready 10 minutes ago and are not Ready now"),
            Self::NodesVanished { known, left } =>
                write!(f, "{known} nodes were known within the last 10 minutes, {left} are left"),
            Self::Failures { failed, overdue, max, nodes } => {
                write!(f, "{failed} failed entries")?;
                if *overdue > 0 {
                    write!(f, " and {overdue} overdue boots")?;
                }
                write!(f, " exceed failures.max ({max}): {}", listed(nodes))
            }

            Self::NotSelected => write!(f, "no policy selects the node"),
            Self::GovernedBy(policy) =>
                write!(f, "policy {policy} governs the node, and the entry names {object}"),
            Self::SamePriority { policies, priority } =>
                write!(f, "policies {} have the same priority {priority}", listed(policies)),
            Self::UnreadablePolicy(text) => write!(f, "{object} cannot be read: {text}"),
            Self::EmptyLadder => write!(f, "the ladder of {object} is empty"),
            Self::PolicyGone => write!(f, "{object} is gone"),
            Self::NotAskedFor => write!(f, "nobody asks for this reboot any more"),
            Self::DueAt(goal) => write!(f, "the goal is due at {goal}"),
            Self::JournalBehind => write!(f, "the boot journal does not name the node's present boot yet"),
            Self::BootedAt { booted, until } => write!(
                f,
                "minInterval has not passed since the boot at {booted:.0}: the node waits until {until:.0}"
            ),
            Self::OtherEntryFirst => write!(f, "another entry of this node goes first"),
            Self::NodeGone => write!(f, "the Node is gone, or another Node has its name"),

            Self::LabelledExclude => write!(f, "{object} is labelled junban.dev/exclude"),
            Self::LabelledHold => write!(f, "{object} is labelled junban.dev/hold"),
            Self::OwnedByOther(owner) => write!(f, "another tool owns {object}: {owner}"),
            Self::NotReady => write!(f, "{object} is not Ready"),
            Self::NoBootId => write!(f, "{object} has reported no bootID"),
            Self::MayBePowered =>
                write!(f, "{object} may have powered this very boot, and its deadline has not passed"),

            Self::QueueFull(active) =>
                write!(f, "{active} entries are in flight, as many as the queue's maxConcurrent allows"),
            Self::PolicyFull(active) =>
                write!(f, "{active} entries of {object} are in flight, as many as its maxConcurrent allows"),
            Self::PlacesFull(max) =>
                write!(f, "as many nodes are unavailable as maxUnavailable allows ({max})"),
            Self::FirstProof(node) =>
                write!(f, "no node of this policy and goal is proven yet; node {node} goes first"),
            Self::GroupsFull { group, by, at_once } =>
                write!(f, "group {group} waits: {at_once} groups by {by} are open, as many as atOnce allows"),

            Self::ControlPlaneInFlight => write!(f, "a control-plane node is in flight"),
            Self::ControlPlaneNext =>
                write!(f, "a control-plane node goes before a worker that was released from a drain once"),
            Self::OtherControlPlaneInFlight => write!(f, "another control-plane node is in flight"),
            Self::OtherControlPlaneAway =>
                write!(f, "control-plane {object} is not back: with two nodes down etcd could lose its quorum"),
            Self::WorkersInFlight => write!(f, "workers are in flight"),
            Self::WorkersFirst => write!(f, "workers go first"),
            Self::RetryWaits => write!(f, "{object} is in flight; the retry waits for its end"),
            Self::ApiServersMissing { nodes, named } =>
                write!(f, "{nodes} nodes run an API server, but the queue names {named} API servers"),
            Self::EtcdMissing { nodes, named } =>
                write!(f, "{nodes} nodes carry etcd, but the queue names {named} etcd members"),
            Self::FewControlPlanes { api_servers, etcd } => write!(
                f,
                "{api_servers} nodes run an API server and {etcd} carry etcd: too few to spare one without \
                 controlPlane.allowQuorumLoss"
            ),
            Self::HealthBeingRead => write!(f, "the health of the control plane is being read"),
            Self::MemberBad(text) => write!(f, "{object} is not healthy: {text}"),

            Self::QuorumInTurn(group) =>
                write!(f, "{object} of quorum group {group} is in its turn; two of the group are never away at once"),
            Self::QuorumAway(group) =>
                write!(f, "{object} of quorum group {group} is away; two of the group are never away at once"),
            Self::QuorumPodWithoutNode(group) =>
                write!(f, "{object} of quorum group {group} is on no node; two of the group are never away at once"),

            Self::Returns => write!(f, "{object} comes back to the cordoned node again and again"),
            Self::DoNotDisrupt { by } => write!(f, "{object} asks not to be disrupted: {by}"),
            Self::DoNotDisruptUntil { by, until } =>
                write!(f, "{object} asks not to be disrupted until {until}: {by}"),
            Self::WaitCompleted { by } => write!(f, "{object} is waited for until it completes: {by}"),
            Self::WorkRuns => write!(f, "{object} is work that ends by itself and is waited for"),
            Self::Bare => write!(f, "{object} has no controller: nobody would make it again"),
            Self::EmptyDir(volume) => write!(f, "{object} keeps data in its emptyDir {volume}"),
            Self::Stuck { finalizer } => {
                let cause = if *finalizer { "a finalizer holds it" } else { "its containers do not end" };
                write!(f, "{object} is terminating for longer than its grace: {cause}")
            }
            Self::RebootsBeside { volumes } => {
                write!(f, "{object} has been terminating for two minutes more than its grace")?;
                if !volumes.is_empty() {
                    write!(f, ", with volumes attached ({})", listed(volumes))?;
                }
                write!(f, "; the reboot goes on (drain.stuckTerminating: Reboot)")
            }
            Self::StillThere => write!(f, "{object} is still on the node"),
            Self::Terminating => write!(f, "{object} is terminating"),
            Self::Follows => write!(f, "{object} leaves with the pod that controls it"),
            Self::EvictedNext => write!(f, "{object} is evicted now, or after other pods of the node"),

            Self::TwoBudgets { other, pod } => write!(f, "{object} and pdb {other} both select pod {pod}"),
            Self::SyncFailed { text, pod } => {
                write!(f, "{object} cannot be computed: {text}")?;
                match pod.as_deref() {
                    Some((pod, Some(owner))) => {
                        write!(f, "; pod {pod} of {} is under it", ObjectRef::Workload(owner.clone()))
                    }
                    Some((pod, None)) => write!(f, "; pod {pod} without an owner is under it"),
                    None => Ok(()),
                }
            }
            Self::NeverAllows { needed, expected, ended } => {
                write!(f, "{object} can never allow an eviction: {needed} of {expected} pods are needed")?;
                match ended {
                    0 => Ok(()),
                    _ => write!(f, "; {ended} more that it selects have ended"),
                }
            }
            Self::PinnedNeverAllowed { need, most } => write!(
                f,
                "{object} never allows more than {most} disruptions, {need} pods are pinned to this node"
            ),
            Self::PinnedTokensHeld { need, free } =>
                write!(f, "{object} has {free} free tokens, the node's pinned pods need {need}"),
            Self::TokensHeld(allowed) => write!(f, "other turns hold the {allowed} tokens of {object}"),
            Self::SelectedBefore(pod) => write!(
                f,
                "{object} protected pod {pod} when the turn began and does not select it any more; its status does not \
                 show enough healthy pods in its place yet"
            ),
            Self::PodProtected { pod, healthy, needed } => write!(
                f,
                "pod {pod} is not Ready and {object} protects it ({healthy} healthy, {needed} needed)"
            ),
            Self::NoDisruptions { healthy, needed, holder } =>
                write!(f, "{object} allows 0 disruptions ({healthy} healthy, {needed} needed){holder}"),
            Self::LastReady(pod) => write!(f, "pod {pod} is the last available pod of {object}"),
            Self::PinnedNeverImplied { need, most } => write!(
                f,
                "{object} has no PodDisruptionBudget; {need} of its pods are pinned to this node, {most} may be \
                 disrupted"
            ),
            Self::ImpliedHeld =>
                write!(f, "other turns hold the disruptions that drain.unbudgeted allows of {object}"),
            Self::ImpliedLost(holder) => write!(f, "{object} lost a pod that has not come back{holder}"),
            Self::ImpliedUsed { disrupted, replicas, allowed } => write!(
                f,
                "{disrupted} of the {replicas} pods of {object} are disrupted, drain.unbudgeted allows {allowed}"
            ),
            Self::EvictionAnswer { pod, text } => write!(f, "pod {pod}: {text}"),
            Self::BudgetBehind(pod) =>
                write!(f, "the controller of {object} has not seen pod {pod} leave yet"),
            Self::OpensAtCordon(pod) =>
                write!(f, "{object} of pod {pod} opens when its operator sees the cordon (drain.budgets)"),
            Self::OpensAtEviction { pod, said } => {
                write!(f, "{object} of pod {pod} opens when its operator sees the eviction (drain.budgets)")?;
                if said.is_empty() { Ok(()) } else { write!(f, "; the last answer: {said}") }
            }
            Self::NotOpened(pod) => write!(f, "{object} of pod {pod} did not open under the cordon (drain.budgets)"),
            Self::OpeningElsewhere { at_once } => write!(
                f,
                "{object} waits for its budget to open; drain.budgets lets {at_once} wait so at a time (atOnce)"
            ),
            Self::NoCandidate(pod) => write!(
                f,
                "with this node cordoned no pod of {object} on a schedulable node could take over from pod {pod}"
            ),
            Self::FitsNowhere { pod, barrier } => write!(f, "pod {pod} fits on no other node: {barrier}"),
            Self::ConstrainedNeverAllowed { pod, barrier, need, most } => write!(
                f,
                "{need} pods of {object} on this node fit on no other node, and at most {most} of its pods may be \
                 down; pod {pod}: {barrier}"
            ),

            Self::LoadBalancers => write!(f, "load balancers take the node out (drain.loadBalancerWait)"),
            Self::CordonUnseen => write!(f, "a scheduler may not have seen the cordon yet"),
            Self::Attached => write!(f, "{object} is still attached"),
            Self::NotLeft => write!(f, "{object} has not left"),
            Self::Uncordoned => write!(f, "a person uncordoned {object} during the drain"),
            Self::MarkGone { before: None } => write!(f, "the mark is gone from {object}"),
            Self::MarkGone { before: Some(text) } =>
                write!(f, "the mark is gone from {object}; before, the entry said: {text}"),
            Self::Refused => write!(f, "the driver started nothing; it is asked again"),
            Self::NoBootIdReported => write!(f, "the kubelet has reported no bootID"),
            Self::LeaseUnchanged =>
                write!(f, "the node's Lease has not changed since the new bootID was seen"),
            Self::DaemonSetMissing =>
                write!(f, "{object} has no Ready pod with new containers on this node yet"),
            Self::NewTaint(taint) => write!(f, "{object} has the taint {taint}, which it did not have before its turn"),
            Self::FewerResources { resource, before, now } => {
                let [before, now] = [before, now].map(|amount| amount_of(resource, *amount));
                write!(f, "{object} has {now} of {resource}, before its turn it had {before}")
            }
        }
    }
}

/// What keeps a pod from the nodes that come closest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Barrier {
    /// No other node takes pods.
    #[default]
    NoNode,
    /// Node selector, node affinity or the affinity of a volume.
    Selector,
    /// A taint, as `kubectl taint` writes it, and how many nodes with room are tainted.
    Taint { nodes: usize, taint: String },
    /// The pod's required affinity, by the key of its topology.
    Affinity(String),
    /// A required anti-affinity of the pod, or of a pod that runs there.
    AntiAffinity(String),
    /// A topology spread with `DoNotSchedule`.
    Spread { topology: String, honors_taints: bool },
    /// The pod requests more than any node that it may use has free. `most` is the largest free amount of one node.
    /// `tainted`: how many other nodes have room, but a taint that the pod does not tolerate; and one such taint.
    Room {
        resource: String,
        request: i64,
        most: i64,
        tainted: Option<(usize, String)>,
    },
}

impl Barrier {
    /// The one of two barriers that is closer to letting the pod in: the scheduler asks in the order of the variants.
    #[must_use]
    pub fn closer(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Room { most, .. }, Self::Room { most: of_other, .. }) if of_other > most => other,
            (Self::Room { .. }, Self::Room { .. }) => self,
            _ => self.max(other),
        }
    }

    /// The object that is to be named: the resource that runs out, or the pod.
    pub fn object(&self, pod: &PodKey) -> ObjectRef {
        match self {
            Self::Room { resource, .. } => ObjectRef::Capacity(resource.clone()),
            _ => ObjectRef::Pod(pod.clone()),
        }
    }
}

impl fmt::Display for Barrier {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => write!(f, "no other node takes pods now"),
            Self::Selector => write!(f, "its node selector, node affinity or volume selects no other node"),
            Self::Taint { nodes, taint } =>
                write!(f, "it does not tolerate {taint}; nodes with room that have a taint: {nodes}"),
            Self::Affinity(topology) => write!(f, "its affinity by {topology} allows none"),
            Self::AntiAffinity(topology) =>
                write!(f, "its anti-affinity by {topology}, or that of a pod there, allows none"),
            Self::Spread { topology, honors_taints: false } => write!(
                f,
                "its topologySpreadConstraints by {topology} count a cordoned node as an empty domain; \
                 set nodeTaintsPolicy: Honor"
            ),
            Self::Spread { topology, .. } => write!(f, "its topologySpreadConstraints by {topology} allow none"),
            Self::Room { resource, request, most, tainted } => {
                let [request, most] = [request, most].map(|amount| amount_of(resource, *amount));
                write!(f, "it requests {request} of {resource}, and at most {most} are free on one node")?;
                match tainted {
                    Some((nodes, taint)) => write!(f, "; it does not tolerate {taint}; nodes with room that have a \
                        taint: {nodes}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Holder {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Charged(pod) =>
                write!(f, "; pod {pod} is back, but the budget counts its eviction for up to two minutes"),
            Self::Unschedulable { pod, barrier } => {
                write!(f, "; pod {pod} is to replace another one and fits on no node")?;
                barrier.iter().try_for_each(|barrier| write!(f, ": {barrier}"))
            }
            Self::Rebooting { pod, node, phase } =>
                write!(f, "; pod {pod} is down with node {node}, whose reboot is {phase}"),
            Self::Unready { pod, node } => write!(f, "; pod {pod} is not Ready on node {node}"),
            Self::Down { pod, node } => write!(f, "; pod {pod} is down with node {node}"),
        }
    }
}

/// An amount of a resource as Kubernetes writes it: `12230m` of cpu, `8Gi` of memory. `cpu` is given in millicores,
/// every other resource in its base unit.
fn amount_of(resource: &str, amount: i64) -> String {
    if resource == "cpu" {
        return if amount % 1_000 == 0 {
            (amount / 1_000).to_string()
        } else {
            format!("{amount}m")
        };
    }
    let (mut amount, mut unit) = (amount, "");
    for larger in ["Ki", "Mi", "Gi", "Ti"] {
        if amount == 0 || amount % 1_024 != 0 {
            break;
        }
        (amount, unit) = (amount / 1_024, larger);
    }
    format!("{amount}{unit}")
}

#[cfg(test)]
mod tests {
    use super::amount_of;

    #[test]
    fn amounts_are_written_as_kubernetes_writes_them() {
        let cases = [
            ("cpu", 12_230, "12230m"),
            ("cpu", 4_000, "4"),
            ("memory", 8 << 30, "8Gi"),
            ("memory", 1_500, "1500"),
            ("nvidia.com/gpu", 2, "2"),
        ];
        for (resource, amount, text) in cases {
            assert_eq!(amount_of(resource, amount), text);
        }
    }
}
