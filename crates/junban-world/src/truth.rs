//! What really happened, as a stream of events. Checkers and metrics read nothing else, so they can also judge the
//! recorded history of a real run.
//!
//! The world emits most events. [`Truth::Entry`] and the events after it are *notes* about the caller's own
//! objects, which the world cannot read: the test that runs the caller adds them (see [`crate::World::interpret`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::{Map, Ms, Phase, Ready};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthEvent {
    pub at: Ms,
    pub what: Truth,
}

/// The entry and the attempt that a power action belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PowerTag {
    /// UID of the entry.
    pub entry: String,
    pub attempt: u64,
}

/// The answer of a power driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerOutcome {
    Started,
    /// It is certain that the driver started nothing (exit 75).
    NothingStarted,
    Unknown,
}

/// Why a machine went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownCause {
    /// A power action of the caller.
    Power,
    /// A person rebooted it.
    Person,
    /// It failed by itself: a crash or a power cut.
    Spontaneous,
}

/// Why a pod was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Removal {
    /// `by` evicted it through the Eviction API.
    Evicted { by: String },
    /// `by` deleted it.
    Deleted {
        by: String,
        uid_given: bool,
        grace_s: Option<u64>,
    },
    /// Its controller removed it: it scaled down, or the owner was deleted.
    Controller,
    /// A NoExecute taint of its node, which is down.
    Taint,
    /// Its Node or the pod that controlled it is gone.
    Collected,
}

/// What the checkers read about a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFacts {
    /// `namespace/name`.
    pub pod: String,
    pub uid: String,
    pub namespace: String,
    pub labels: Map,
    /// The kind of its owner; empty for a bare pod.
    pub owner_kind: String,
    /// `Kind/namespace/name` of its topmost owner; empty for a bare pod.
    pub topmost: String,
    pub mirror: bool,
    /// The UID of the pod that controls it.
    pub owner_pod: Option<String>,
    /// Whether `restartPolicy` is Never.
    pub work: bool,
    /// When its grace period ends, if it is terminating.
    pub gone_by: Option<Ms>,
    /// Whether it tolerates the taint of cordoned nodes.
    pub tolerates_cordon: bool,
    pub node: Option<String>,
    pub phase: Phase,
    pub ready: bool,
    pub terminating: bool,
}

impl PodFacts {
    /// Whether a drain removes such a pod: not the pod of a DaemonSet, a mirror pod or a pod that has ended.
    pub(crate) fn drained(&self) -> bool {
        !self.mirror
            && self.owner_kind != "DaemonSet"
            && !matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }
}

/// What the checkers read about an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFacts {
    pub uid: String,
    pub name: String,
    pub node: String,
    pub node_uid: String,
    pub policy: String,
    pub goal: String,
    /// Empty before its first status.
    pub phase: String,
    pub attempt: u64,
    pub retries: u64,
    pub cancel_asked: bool,
}

impl EntryFacts {
    /// Whether it is Draining, Rebooting or Verifying.
    pub(crate) fn in_flight(&self) -> bool {
        matches!(self.phase.as_str(), "Draining" | "Rebooting" | "Verifying")
    }

    /// Whether it is Queued. An entry without a status is Queued as well.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.phase.as_str(), "" | "Queued")
    }

    /// Whether it is Succeeded or Cancelled.
    pub(crate) fn ended(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Cancelled")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvictionAnswer {
    Accepted,
    /// 429 with cause `DisruptionBudget`.
    BudgetDenied,
    /// 429 with cause `DisruptionBudget` because the budget's status is older than its spec.
    BudgetBehind,
    Other {
        status: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Truth {
    NodeAdded {
        node: String,
        uid: String,
        machine: String,
        boot_id: String,
        control_plane: bool,
    },
    NodeRemoved {
        node: String,
        uid: String,
    },
    /// Labels were added, changed or, with the value `None`, removed.
    NodeLabels {
        node: String,
        changed: BTreeMap<String, Option<String>>,
    },
    /// `spec.unschedulable` changed.
    Cordon {
        node: String,
        cordoned: bool,
        by: String,
    },
    NodeReady {
        node: String,
        ready: Ready,
    },
    /// The taints of the Node that keep pods out, as `key=value:effect`, without the taint of a cordon.
    NodeTaints {
        node: String,
        taints: Vec<String>,
    },
    /// What the Node has of each resource.
    NodeAllocatable {
        node: String,
        allocatable: BTreeMap<String, i64>,
    },
    /// The API shows this bootID from now on.
    BootIdShown {
        node: String,
        boot_id: String,
    },
    /// The kubelet renewed the Lease for the first time after the API showed a new bootID.
    LeaseAfterBoot {
        node: String,
        boot_id: String,
    },

    MachineDown {
        machine: String,
        boot_id: String,
        cause: DownCause,
    },
    MachineUp {
        machine: String,
        boot_id: String,
    },
    /// The caller called a power driver.
    PowerCalled {
        node: String,
        machine: String,
        boot_id: String,
        tag: PowerTag,
        outcome: PowerOutcome,
    },
    /// A power action took effect: the machine lost its running system, or its boot began anew.
    /// `again`: the BMC acted a second time although the caller called it once.
    PowerEffect {
        node: String,
        machine: String,
        boot_id: String,
        tag: PowerTag,
        again: bool,
    },

    PodAdded(PodFacts),
    /// The pod was bound, started, became Ready or unready, terminates, or ended. These are its new facts.
    PodChanged(PodFacts),
    PodRemoval {
        pod: String,
        uid: String,
        ready: bool,
        why: Removal,
    },
    PodGone {
        pod: String,
        uid: String,
    },

    /// A network volume was detached from the node.
    Detached {
        node: String,
    },

    /// The API server answered an eviction. `ready`: the pod was healthy in its budget.
    Eviction {
        by: String,
        pod: String,
        uid: String,
        uid_given: Option<String>,
        dry_run: bool,
        ready: bool,
        answer: EvictionAnswer,
    },
    /// The disruption controller computed the budget.
    Budget {
        budget: String,
        needed: i64,
        allowed: i64,
        /// The pods that it selects.
        members: Vec<String>,
    },
    Owner {
        owner: String,
        replicas: i64,
        /// `minReadySeconds`.
        min_ready_s: u64,
    },
    OwnerGone {
        owner: String,
    },
    /// `serving`: pods of the Service that are Ready in the API and whose program really serves. `lost`: its pods on
    /// machines that went down without a power action of the caller.
    Serving {
        service: String,
        serving: u64,
        wanted: u64,
        lost: u64,
    },

    // Notes about the caller's own objects.
    /// An entry was made or changed. These are its new facts.
    Entry(EntryFacts),
    EntryGone {
        entry: String,
    },
    /// The ledger changed. `holders` are all slots after the change: node name to entry UID.
    Slots {
        holders: BTreeMap<String, String>,
    },
    Paused {
        paused: bool,
    },
    /// A text for people who read the record.
    Note {
        text: String,
    },
}
