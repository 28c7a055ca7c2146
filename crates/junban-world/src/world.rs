//! The world: its clock, its event queue, its objects and its machines. Other files say how these change.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::api::faults::Callers;
use crate::api::operator::Operator;
use crate::api::store::Store;
use crate::api::{ApiError, Change, Custom, Ms, Name, ObjKey, OwnerKey, Webhook};
use crate::events::Queue;
use crate::machine::Machine;
use crate::rng::{Rng, Span};
use crate::scheduler::Scheduler;
use crate::truth::{Truth, TruthEvent};

/// Times and sizes of the simulated cluster.
#[derive(Debug, Clone)]
pub struct Config {
    /// The time between two renewals of a node's Lease.
    pub lease_interval_ms: u64,
    /// `--node-monitor-grace-period`: if the Lease is older than this, the node's `Ready` becomes Unknown.
    pub node_grace_ms: u64,
    /// How long pods tolerate the taints `not-ready` and `unreachable`.
    pub taint_eviction_ms: u64,
    /// From a change to the reaction of the workload controllers.
    pub controller_lag: Span,
    /// From a change of a pod to the new status of its budget.
    pub disruption_lag: Span,
    pub scheduler_lag: Span,
    /// After a hard reset: from the new bootID until the API shows the pods as not Ready.
    pub stale_status: Span,
    /// From the end of a pod to the detachment of its network volumes.
    pub detach: Span,
    /// How many changes the log keeps. A watch that is further behind has to list again.
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

/// The CEL rules of the CRDs: gets the old and the new object, and refuses the write (422) with a text.
pub type Admission = Box<dyn Fn(Option<&Custom>, &Custom) -> Result<(), String> + Send>;
/// Gets the old and the new custom object of a write (`None`: created or deleted), and returns the notes about it.
pub type Interpreter = Box<dyn Fn(Option<&Custom>, Option<&Custom>) -> Vec<Truth> + Send>;

/// A whole simulated cluster. The crate's page says how to use it.
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
    /// The present run of each pod's containers, by the pod's UID. Events of an earlier run are dropped.
    pub(crate) runs: BTreeMap<Name, Run>,
    pub(crate) woken_budgets: BTreeSet<ObjKey>,
    pub(crate) woken_owners: BTreeSet<OwnerKey>,
    pub(crate) serving: BTreeMap<ObjKey, (u64, u64, u64)>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) operators: Vec<Operator>,
    /// The nodes that the builder chose for the first pods of an owner, by its namespace and name.
    pub(crate) placements: BTreeMap<ObjKey, VecDeque<Name>>,
    /// Whether the cluster is being built. All delays are 0 then.
    pub(crate) instant: bool,
    pub(crate) truth: Vec<TruthEvent>,
    admission: Option<Admission>,
    interpreter: Option<Interpreter>,
}

/// One run of a pod's containers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) number: u64,
    /// Whether the program really serves.
    pub(crate) serves: bool,
    /// Whether the kubelet has sent SIGTERM.
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
            operators: Vec::new(),
            placements: BTreeMap::new(),
            instant: false,
            truth: Vec::new(),
            admission: None,
            interpreter: None,
            config,
        }
    }

    /// Virtual milliseconds since the world began.
    pub fn now(&self) -> Ms {
        self.now
    }

    /// The seed of all random numbers.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The objects, read without the faults of a caller.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The faults and the request counts of the callers.
    pub fn callers(&mut self) -> &mut Callers {
        &mut self.callers
    }

    /// The changes after `rv`; [`ApiError::Gone`] if the log no longer has all of them.
    pub fn changes_since(&self, rv: u64) -> Result<impl Iterator<Item = &Change>, ApiError> {
        self.store.log.since(rv)
    }

    /// Drops the log of changes: a watch that is behind has to list again.
    pub fn compact(&mut self) {
        self.store.log.compact(self.store.rv);
    }

    /// The time of the next event.
    pub fn next_event_at(&self) -> Option<Ms> {
        self.queue.next_at()
    }

    /// Draws a delay; it is 0 while the cluster is being built.
    pub(crate) fn delay(&mut self, span: Span) -> Ms {
        if self.instant { 0 } else { span.draw(&mut self.rng) }
    }

    pub(crate) fn new_uid(&mut self) -> Name {
        Arc::from(self.rng.uuid())
    }

    /// Adds an event to the truth, for example a note about the caller's own objects.
    pub fn emit(&mut self, what: Truth) {
        let at = self.now;
        self.truth.push(TruthEvent { at, what });
    }

    /// The events since the last call.
    pub fn take_truth(&mut self) -> Vec<TruthEvent> {
        std::mem::take(&mut self.truth)
    }

    /// From now on `admission` judges each write of a custom object.
    pub fn admit(&mut self, admission: Admission) {
        self.admission = Some(admission);
    }

    /// From now on `interpreter` reads each write of a custom object, and its notes go into the truth.
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
