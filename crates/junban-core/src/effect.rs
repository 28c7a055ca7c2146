//! Effects: what the plan wants done, as data. Each is decided completely and carries its preconditions. Whoever
//! executes it has no choice left (docs/design/overview.md#how-junban-decides).

use std::time::Duration;

use crate::blocker::Blocker;
use crate::cluster::QueueView;
use crate::entry::{Entry, EntrySpec, PowerOutcome, Record};
use crate::guard::{self, Guard};
use crate::ids::{
    BootId, EntryName, EntryUid, MarkId, NodeName, NodeUid, PdbKey, PodKey, PodUid, PolicyName, QueueUid,
    SystemUuid, Version,
};
use crate::journal::Journal;
use crate::mark::Mark;
use crate::node::Node;
use crate::pod::Pod;
use crate::policy::{PolicySummary, Step};
use crate::queue::{Ledger, QueueSummary};
use crate::time::{Mono, Timestamp};
use crate::workload::WorkloadKey;

/// One thing to do in the world.
#[expect(clippy::large_enum_variant, reason = "one per request, moved a few times")]
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Compare-and-swap of the queue's whole status (ledger and summary) on its resourceVersion.
    WriteQueue(QueueWrite),
    /// A JSON patch of a Node with `test`s.
    PatchNode(NodePatch),
    CreateEntry(NewEntry),
    /// Replace an entry's status, on its resourceVersion.
    WriteRecord(RecordWrite),
    /// Delete an entry to which nothing has happened. UID and resourceVersion are preconditions.
    DeleteEntry {
        node: NodeName,
        name: EntryName,
        uid: EntryUid,
        version: Version,
    },
    WritePolicySummary {
        name: PolicyName,
        version: Version,
        summary: PolicySummary,
    },
    /// POST pods/eviction with the UID as precondition.
    Evict(PodLeave),
    /// DELETE of a pod whose eviction was denied, in a namespace that the policy names, with the UID as precondition
    /// and the pod's own grace period.
    DeletePod(PodLeave),
    /// A power action. The record and the attempt in the mark come before it.
    Power(PowerOrder),
    /// A read that bypasses every cache.
    Read(Read),
    /// A Kubernetes Event. Losing it does no harm.
    Announce(Announcement),
}

#[derive(Clone, PartialEq, Debug)]
pub struct QueueWrite {
    pub uid: QueueUid,
    pub version: Version,
    pub ledger: Ledger,
    pub summary: QueueSummary,
    /// Nodes whose slot is dropped before their entry ended. It is granted again 5 s later at the earliest. Only the
    /// memory reads this.
    pub dropped: Vec<NodeName>,
}

/// A patch of one Node in one request: if all tests hold, all changes are made.
#[derive(Clone, PartialEq, Debug)]
pub struct NodePatch {
    pub node: NodeName,
    /// Always tested.
    pub uid: NodeUid,
    /// Tested if given: nothing of the Node has changed since the decision.
    pub version: Option<Version>,
    /// Tested if given: the mark's text exactly as read, or that there is none.
    pub mark_is: Option<Option<String>>,
    /// Tested if given.
    pub unschedulable_is: Option<bool>,
    pub changes: Vec<NodeChange>,
    pub what: NodeWrite,
    /// Not sent later than this: a cordon rests on fresh evidence of "not paused". Then it is a
    /// [`WriteOutcome::Conflict`].
    pub not_after: Option<Mono>,
    /// Why a node is given back, for the record that follows.
    pub why: Option<Blocker>,
}

impl NodePatch {
    /// A patch of this Node that tests nothing but the UID and changes nothing yet.
    pub fn new(node: &Node, what: NodeWrite) -> Self {
        Self {
            node: node.name.clone(),
            uid: node.uid.clone(),
            version: None,
            mark_is: None,
            unschedulable_is: None,
            changes: Vec::new(),
            what,
            not_after: None,
            why: None,
        }
    }
}

/// One change of a Node.
#[derive(Clone, PartialEq, Debug)]
pub enum NodeChange {
    /// `None` removes the annotation.
    Mark(Option<Box<Mark>>),
    Journal(Journal),
    Waive(Timestamp),
    Unschedulable(bool),
    ExcludeFromLoadBalancers(bool),
    /// The steering taint. `spec.taints` is an atomic list, so a patch with this change always has `version`.
    PendingTaint(bool),
}

/// What a write to a Node is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NodeWrite {
    /// Mark, cordon, and the load balancer label.
    Start,
    /// The attempt goes into the mark.
    Attempt,
    /// The attempt in the mark becomes void.
    Void,
    /// The UID of an entry that was made again goes into the mark.
    Adopt,
    /// The node becomes as it was before the turn.
    Restore,
    Journal,
    Taint,
    Waive,
}

/// An entry to create. Its name follows from its spec (docs/design/life-cycle.md#entry-names).
#[derive(Clone, PartialEq, Debug)]
pub struct NewEntry {
    pub name: EntryName,
    pub spec: EntrySpec,
}

#[derive(Clone, PartialEq, Debug)]
pub struct RecordWrite {
    pub node: NodeName,
    pub name: EntryName,
    pub uid: EntryUid,
    pub version: Version,
    pub record: Record,
}

/// A pod to evict or delete.
#[derive(Clone, PartialEq, Debug)]
pub struct PodLeave {
    pub node: NodeName,
    pub pod: PodKey,
    pub uid: PodUid,
    /// The budget whose token it takes.
    pub budget: BudgetKey,
    /// Not sent later than this: the evidence of "not paused" is too old by then (docs/design/ledger.md#evidence).
    pub not_after: Mono,
}

/// What a pod's leaving is counted against.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BudgetKey {
    /// A PodDisruptionBudget.
    Pdb(PdbKey),
    /// The budget implied for an owner without one.
    Implied(WorkloadKey),
    /// Neither: the pod alone.
    Pod(PodKey),
}

#[derive(Clone, PartialEq, Debug)]
pub struct PowerOrder {
    pub node: NodeName,
    pub node_uid: NodeUid,
    pub entry: EntryName,
    pub entry_uid: EntryUid,
    pub attempt: u32,
    pub boot_id: BootId,
    pub system_uuid: SystemUuid,
    pub step: Step,
    /// The attempt's bootTimeout. No driver works for longer. If a driver is stopped, the outcome is unknown.
    pub boot_timeout: Duration,
    /// Not started later than this: 4 s after the live reads began, 10 s after the record was sent.
    pub not_after: Mono,
    /// Pods that are still on the node: they terminate and do not end (`drain.stuckTerminating: Reboot`).
    pub beside: Vec<PodKey>,
}

/// A live read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// The queue object, with a deadline of 2 s.
    Queue,
    /// The Node, and the entry if there is one.
    Turn {
        node: NodeName,
        entry: Option<EntryName>,
    },
    /// The Node, its pods, and the VolumeAttachments that the cache shows on it.
    Pods { node: NodeName },
    /// Queue, Node, entry and pods, for a power action.
    Act { node: NodeName, entry: EntryName },
    /// `/readyz` of API servers and `/health` of etcd members.
    ControlPlane {
        api_servers: Vec<String>,
        etcd: Vec<String>,
        etcd_client_secret: String,
    },
    /// All Nodes and entries, to rebuild the ledger.
    Lists,
    /// Which of the [`RIGHTS`] this account lacks.
    Rights,
}

/// A right of this account, as RBAC names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Right {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
    /// Empty: the object itself.
    pub subresource: &'static str,
}

const fn right(
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
) -> Right {
    Right {
        verb,
        group,
        resource,
        subresource,
    }
}

/// What every turn writes.
pub const RIGHTS: [Right; 5] = [
    right("patch", "", "nodes", ""),
    right("create", "", "pods", "eviction"),
    right("create", "junban.dev", "nodereboots", ""),
    right("update", "junban.dev", "nodereboots", "status"),
    right("update", "junban.dev", "rebootqueues", "status"),
];

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        match self.subresource {
            "" => Ok(()),
            subresource => write!(f, "/{subresource}"),
        }
    }
}

/// An Event on the entry, and on the Node if it concerns the Node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// An Event is a request, so one that concerns the entry alone is not sent for the Node.
    pub on_node: bool,
    pub node: NodeName,
    pub node_uid: NodeUid,
    pub entry: EntryName,
    pub entry_uid: EntryUid,
    pub warning: bool,
    /// A [`crate::entry::Phase`] or a [`crate::reason::Reason`].
    pub reason: String,
    pub message: String,
}

/// Effects of one lane are sent one after the other: at most one is under way for each node, and one eviction request
/// for each budget (docs/design/overview.md#how-junban-decides).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lane {
    QueueWrite,
    QueueRead,
    Node(NodeName),
    Budget(BudgetKey),
    Policy(PolicyName),
    ControlPlane,
    Rights,
    /// Any number at a time.
    Free,
}

impl Effect {
    pub fn lane(&self) -> Lane {
        match self {
            Self::WriteQueue(_) => Lane::QueueWrite,
            Self::PatchNode(patch) => Lane::Node(patch.node.clone()),
            Self::CreateEntry(new) => Lane::Node(new.spec.node.clone()),
            Self::WriteRecord(write) => Lane::Node(write.node.clone()),
            Self::DeleteEntry { node, .. } => Lane::Node(node.clone()),
            Self::WritePolicySummary { name, .. } => Lane::Policy(name.clone()),
            Self::Evict(leave) | Self::DeletePod(leave) if guard::stands(Guard::OneRequestPerBudget) => {
                Lane::Budget(leave.budget.clone())
            }
            Self::Evict(leave) | Self::DeletePod(leave) => Lane::Budget(BudgetKey::Pod(leave.pod.clone())),
            Self::Power(order) => Lane::Node(order.node.clone()),
            Self::Read(read) => match read {
                Read::Queue => Lane::QueueRead,
                Read::Turn { node, .. } | Read::Pods { node } | Read::Act { node, .. } => {
                    Lane::Node(node.clone())
                }
                Read::ControlPlane { .. } => Lane::ControlPlane,
                Read::Lists => Lane::QueueWrite,
                Read::Rights => Lane::Rights,
            },
            Self::Announce(_) => Lane::Free,
        }
    }

    /// Whether it writes an object of the API server.
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Announce(_) | Self::Power(_))
    }
}

/// The result of a write.
#[derive(Clone, PartialEq, Debug)]
pub enum WriteOutcome {
    /// Acknowledged. The next plan sees it in the cluster.
    Done,
    /// 409, or a failed `test` (422): read again, decide again.
    Conflict,
    /// 404: the object is gone.
    Gone,
    /// Any other 422: a rule of the server refused it.
    Refused(String),
    /// 403.
    Forbidden(String),
    /// 429 or 503 of the API server's flow control, with the time to wait.
    Throttled(Option<Duration>),
    /// It may have been done or not: read live before anything else.
    Unknown(String),
}

/// The result of an eviction or a deletion: one variant for each row of docs/design/drain.md#what-an-eviction-answers.
#[derive(Clone, PartialEq, Debug)]
pub enum EvictOutcome {
    /// 200 or 201: the deletion has started, and the API has counted the token.
    Accepted,
    /// 404, or 409 on the UID precondition: the pod is gone, or another pod has its name.
    Gone,
    /// 429 with the cause `DisruptionBudget` and no Retry-After.
    BudgetExhausted(String),
    /// 429 with that cause and Retry-After: the disruption controller is behind.
    BudgetBehind(Duration),
    /// 429 or 500 that says "failed sync".
    BudgetUnknown(String),
    /// 429 of API Priority and Fairness.
    Throttled(Duration),
    /// An admission webhook refused it, with this text.
    WebhookDenied(String),
    /// A webhook answered 429, or could not be asked: nobody has refused it.
    WebhookWaits(String),
    /// 500, "more than one PodDisruptionBudget".
    TwoBudgets(String),
    /// 403 with the cause `NamespaceTerminating`.
    NamespaceTerminating,
    Forbidden(String),
    /// Anything else. It never leads to a deletion.
    Unknown(String),
    /// Not sent: `not_after` had passed.
    TooLate,
}

/// What a driver answers.
#[derive(Clone, PartialEq, Debug)]
pub struct PowerAnswer {
    pub outcome: PowerOutcome,
    /// The driver's text, cut to a few hundred characters.
    pub message: String,
}

/// What a live read shows.
#[expect(clippy::large_enum_variant, reason = "one per request, moved a few times")]
#[derive(Clone, PartialEq, Debug)]
pub enum Evidence {
    Queue(QueueView),
    Turn {
        node: Option<Node>,
        entry: Option<Entry>,
    },
    Pods {
        pods: Vec<Pod>,
        node: Option<Node>,
    },
    Act(Box<ActEvidence>),
    ControlPlane(Vec<MemberHealth>),
    /// The rights that are missing.
    Rights(Vec<String>),
    Lists {
        nodes: Vec<Node>,
        entries: Vec<Entry>,
    },
    /// The read failed, with this error.
    Failed(String),
}

/// What the live reads before a power action show.
#[derive(Clone, PartialEq, Debug)]
pub struct ActEvidence {
    pub queue: QueueView,
    pub node: Option<Node>,
    pub entry: Option<Entry>,
    pub pods: Vec<Pod>,
}

/// One API server or etcd member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberHealth {
    pub url: String,
    /// `Err`: why it is not good.
    pub state: Result<(), String>,
}

/// The answer to one effect.
#[expect(clippy::large_enum_variant, reason = "one per request, moved a few times")]
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    Write(WriteOutcome),
    Evict(EvictOutcome),
    Power(PowerAnswer),
    Read(Evidence),
    /// The Event was sent, or lost.
    Announced,
}

/// The id of a new mark. `nonce` is random for each process, so two controllers that mark the same version of the same
/// node write different ids.
pub fn mark_id(nonce: &str, entry: &EntryUid, version: Version) -> MarkId {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{nonce}/{entry}/{}", version.0));
    MarkId::new(
        digest
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
    )
}
