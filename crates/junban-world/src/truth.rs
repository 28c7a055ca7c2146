//! What really happened, as a stream of events. Checkers and metrics read this and nothing else, so
//! that they run as well over the recorded history of a real run.
//!
//! Most events are emitted by the world. Those of [`Truth::EntryMade`] and below are *notes* about the
//! caller's own objects, which are opaque here: whoever runs the caller feeds them (see
//! [`crate::World::interpret`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::{Map, Ms, Phase, Ready};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthEvent {
    /// Virtual milliseconds.
    pub at: Ms,
    /// Position in the stream, from 0.
    pub seq: u64,
    pub what: Truth,
}

/// Who asked for a power action, and for which attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PowerTag {
    /// UID of the entry.
    pub entry: String,
    pub attempt: u64,
}

/// What a power driver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerOutcome {
    Started,
    /// Surely nothing was started (exit 75).
    NothingStarted,
    Unknown,
}

/// Why a machine went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownCause {
    /// A power action of the caller.
    Power,
    /// A person's reboot.
    Person,
    /// By itself: crash, power cut.
    Spontaneous,
}

/// Why a pod was asked to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Removal {
    /// The Eviction API, asked by `by`.
    Evicted { by: String },
    /// A DELETE by `by`.
    Deleted {
        by: String,
        uid_given: bool,
        grace_s: Option<u64>,
    },
    /// Its controller: scaled down, owner gone.
    Controller,
    /// A NoExecute taint (dead node).
    Taint,
    /// Its Node is gone.
    Collected,
}

/// A pod, as far as checkers read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFacts {
    /// `namespace/name`.
    pub pod: String,
    pub uid: String,
    pub namespace: String,
    pub labels: Map,
    /// Kind of the direct controller, empty for bare pods.
    pub owner_kind: String,
    /// `Kind/namespace/name` of the topmost controller, empty for bare pods.
    pub topmost: String,
    pub mirror: bool,
    /// Tolerates the unschedulable taint.
    pub tolerates_cordon: bool,
    pub node: Option<String>,
    pub phase: Phase,
    pub ready: bool,
    pub terminating: bool,
}

/// Answer to an eviction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvictionAnswer {
    Accepted,
    /// 429 with cause `DisruptionBudget`.
    BudgetDenied,
    /// 429 with cause `DisruptionBudget` because the status is behind.
    BudgetBehind,
    Other {
        status: u16,
    },
}

/// What happened.
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
    /// Labels that were added, changed or (null) removed.
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
    /// The API shows this bootID from now on.
    BootIdShown {
        node: String,
        boot_id: String,
    },
    /// The first renewal of the Lease after a new bootID was shown.
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
    /// A driver was called.
    PowerCalled {
        node: String,
        machine: String,
        boot_id: String,
        tag: PowerTag,
        outcome: PowerOutcome,
    },
    /// A power action took effect: the machine lost its running system, or its boot was cut short.
    /// `again`: the BMC did by itself a second time what it was asked for once.
    PowerEffect {
        node: String,
        machine: String,
        boot_id: String,
        tag: PowerTag,
        again: bool,
    },

    PodAdded(PodFacts),
    /// Bound, started, Ready or not, terminating, ended: the facts as they are now.
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

    /// An eviction was asked for and answered. `ready`: the pod counted in its budget.
    Eviction {
        by: String,
        pod: String,
        uid: String,
        uid_given: Option<String>,
        dry_run: bool,
        ready: bool,
        answer: EvictionAnswer,
    },
    /// The budget's need and what selects it, after each computation by the controller.
    Budget {
        budget: String,
        namespace: String,
        healthy: i64,
        needed: i64,
        expected: i64,
        allowed: i64,
        /// Of pods that it selects.
        members: Vec<String>,
    },
    Owner {
        owner: String,
        replicas: i64,
    },
    OwnerGone {
        owner: String,
    },
    /// `serving`: pods of the Service that are Ready in the API and really run. `lost`: pods of it
    /// on machines that went down other than by the caller's power action.
    Serving {
        service: String,
        serving: u64,
        wanted: u64,
        lost: u64,
    },

    // Notes about the caller's own objects.
    /// An entry was made. It has no phase yet.
    EntryMade {
        entry: String,
        node: String,
        node_uid: String,
        policy: String,
    },
    /// An entry's phase changed. `from` is empty when it was made.
    Entry {
        entry: String,
        name: String,
        node: String,
        node_uid: String,
        goal: String,
        from: String,
        to: String,
        attempt: u64,
    },
    EntryGone {
        entry: String,
    },
    CancelAsked {
        entry: String,
    },
    Retried {
        entry: String,
        retries: u64,
    },
    /// The ledger changed: node name to entry UID, after the change.
    Slots {
        holders: BTreeMap<String, String>,
    },
    /// The queue was paused or resumed.
    Paused {
        paused: bool,
    },
    /// Anything else worth keeping in the record.
    Note {
        text: String,
    },
}
