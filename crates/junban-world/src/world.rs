//! The world: the clock, the event queue, the objects and the machines, and how one moves the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::api::faults::Callers;
use crate::api::store::Store;
use crate::api::{ApiError, Change, Custom, Ms, Name, ObjKey, OwnerKey, Webhook};
use crate::events::Queue;
use crate::machine::Machine;
use crate::rng::{Rng, Span};
use crate::scheduler::Scheduler;
use crate::truth::{Truth, TruthEvent};

/// Times and sizes of the cluster's own machinery.
#[derive(Debug, Clone)]
pub struct Config {
    /// Between two renewals of a node's Lease.
    pub lease_interval_ms: u64,
    /// `--node-monitor-grace-period`: a Lease older than this is NotReady (Unknown).
    pub node_grace_ms: u64,
    /// The default toleration of `not-ready` and `unreachable`.
    pub taint_eviction_ms: u64,
    /// From a change to the reaction of the ReplicaSet, StatefulSet, DaemonSet and Job controllers.
    pub controller_lag: Span,
    /// From a change of pods to the budget's status.
    pub disruption_lag: Span,
    pub scheduler_lag: Span,
    /// How long an old pod status survives the new bootID after a hard reset.
    pub stale_status: Span,
    /// From the pod's end to the volume's detachment.
    pub detach: Span,
    /// Changes kept for watches; a watch further behind must list again.
    pub history: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease_interval_ms: 10_000,
            node_grace_ms: 50_000,
            taint_eviction_ms: 300_000,
            controller_lag: Span::ms(20, 150),
            disruption_lag: Span::ms(30, 200),
            scheduler_lag: Span::ms(10, 60),
            stale_status: Span::ms(0, 600),
            detach: Span::ms(500, 4000),
            history: 200_000,
        }
    }
}

/// Refuses a write of a custom object (422) with a text: the CEL rules of its CRD. Gets the old and
/// the new object.
pub type Admission = Box<dyn Fn(Option<&Custom>, &Custom) -> Result<(), String> + Send>;
/// Reads notes out of a write of a custom object: gets the old (none: created) and the new one (none: deleted).
pub type Interpreter = Box<dyn Fn(Option<&Custom>, Option<&Custom>) -> Vec<Truth> + Send>;

/// A whole simulated cluster. See the crate's page for how it is used.
pub struct World {
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) now: Ms,
    pub(crate) queue: Queue,
    pub(crate) store: Store,
    pub(crate) machines: BTreeMap<Name, Machine>,
    pub(crate) callers: Callers,
    pub(crate) scheduler: Scheduler,
    pub(crate) rng: Rng,
    /// Which run of its containers a pod is in, by UID; an event of another run is void.
    pub(crate) runs: BTreeMap<Name, Run>,
    pub(crate) woken_budgets: BTreeSet<ObjKey>,
    pub(crate) woken_owners: BTreeSet<OwnerKey>,
    pub(crate) serving: BTreeMap<ObjKey, (u64, u64, u64)>,
    pub(crate) webhooks: Vec<Webhook>,
    /// Where the builder wants the first pods of an owner, by its namespace and name.
    pub(crate) placements: BTreeMap<ObjKey, VecDeque<Name>>,
    /// All delays are nothing while the cluster is built.
    pub(crate) instant: bool,
    truth: Vec<TruthEvent>,
    pub(crate) truth_seq: u64,
    admission: Option<Admission>,
    interpreter: Option<Interpreter>,
}

/// The truth about a pod's containers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) number: u64,
    /// Its program really serves.
    pub(crate) serves: bool,
    /// SIGTERM has been sent in this run.
    pub(crate) stopping: bool,
    pub(crate) rng: Option<Rng>,
}

impl World {
    pub(crate) fn new(seed: u64, config: Config) -> Self {
        Self {
            seed,
            now: 0,
            queue: Queue::default(),
            store: Store::new(config.history),
            machines: BTreeMap::new(),
            callers: Callers::default(),
            scheduler: Scheduler::default(),
            rng: Rng::stream(seed, "world"),
            runs: BTreeMap::new(),
            woken_budgets: BTreeSet::new(),
            woken_owners: BTreeSet::new(),
            serving: BTreeMap::new(),
            webhooks: Vec::new(),
            placements: BTreeMap::new(),
            instant: false,
            truth: Vec::new(),
            truth_seq: 0,
            admission: None,
            interpreter: None,
            config,
        }
    }

    /// Virtual milliseconds since the beginning.
    pub fn now(&self) -> Ms {
        self.now
    }

    /// The seed of all randomness.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The objects, read without any caller's troubles.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Callers' troubles and request counts.
    pub fn callers(&mut self) -> &mut Callers {
        &mut self.callers
    }

    /// The changes after `rv`; [`ApiError::Gone`] where the log no longer reaches back.
    pub fn changes_since(&self, rv: u64) -> Result<impl Iterator<Item = &Change>, ApiError> {
        self.store.log.since(rv)
    }

    /// All watches are cut: who is behind must list again.
    pub fn compact(&mut self) {
        self.store.log.compact(self.store.rv);
    }

    /// When the next thing will happen by itself.
    pub fn next_event_at(&self) -> Option<Ms> {
        self.queue.next_at()
    }

    /// A delay of the cluster's machinery; nothing while the cluster is built.
    pub(crate) fn delay(&mut self, span: Span) -> Ms {
        if self.instant { 0 } else { span.draw(&mut self.rng) }
    }

    pub(crate) fn new_uid(&mut self) -> Name {
        Arc::from(self.rng.uuid())
    }

    /// Adds to the truth; for notes about the caller's own objects.
    pub fn emit(&mut self, what: Truth) {
        let seq = self.truth_seq;
        self.truth_seq += 1;
        self.truth.push(TruthEvent {
            at: self.now,
            seq,
            what,
        });
    }

    /// What happened since this was called last.
    pub fn take_truth(&mut self) -> Vec<TruthEvent> {
        std::mem::take(&mut self.truth)
    }

    /// From now on writes of custom objects must pass `admission`.
    pub fn admit(&mut self, admission: Admission) {
        self.admission = Some(admission);
    }

    /// From now on `interpreter` turns writes of custom objects into notes in the truth.
    pub fn interpret(&mut self, interpreter: Interpreter) {
        self.interpreter = Some(interpreter);
    }

    pub(crate) fn admitted(&self, old: Option<&Custom>, new: &Custom) -> Result<(), ApiError> {
        self.admission
            .as_ref()
            .map_or(Ok(()), |a| a(old, new))
            .map_err(ApiError::invalid)
    }

    pub(crate) fn note_custom(&mut self, old: Option<&Custom>, new: Option<&Custom>) {
        let Some(interpreter) = &self.interpreter else {
            return;
        };
        for truth in interpreter(old, new) {
            self.emit(truth);
        }
    }
}
