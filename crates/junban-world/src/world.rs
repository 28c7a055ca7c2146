//! The world: the clock, the event queue, the objects and the machines, and how one moves the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::api::faults::Callers;
use crate::api::store::Store;
use crate::api::{ApiError, Cache, Change, Custom, Ms, Name, ObjKey, Pod};
use crate::events::{Event, Queue};
use crate::eviction::Webhook;
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
    pub(crate) dirty_budgets: BTreeSet<ObjKey>,
    pub(crate) dirty_owners: BTreeSet<crate::api::OwnerKey>,
    pub(crate) serving: BTreeMap<ObjKey, (u64, u64, u64)>,
    pub(crate) webhooks: Vec<Webhook>,
    /// Where the builder wants the first pods of an owner, by its namespace and name.
    pub(crate) placements: BTreeMap<ObjKey, VecDeque<Name>>,
    /// All delays are nothing while the cluster is built.
    pub(crate) instant: bool,
    truth: Vec<TruthEvent>,
    truth_seq: u64,
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
            callers: Callers::new(seed),
            scheduler: Scheduler::default(),
            rng: Rng::stream(seed, "world"),
            runs: BTreeMap::new(),
            dirty_budgets: BTreeSet::new(),
            dirty_owners: BTreeSet::new(),
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

    /// A cache that shows the present.
    pub fn cache(&self) -> Cache {
        let mut cache = Cache::default();
        cache.sync(self, self.now);
        cache
    }

    /// When the next thing will happen by itself.
    pub fn next_event_at(&self) -> Option<Ms> {
        self.queue.next_at()
    }

    /// Lets everything happen until `t`, and sets the clock to it.
    pub fn advance_to(&mut self, t: Ms) {
        while let Some((at, event)) = self.queue.pop_until(t) {
            self.now = self.now.max(at);
            self.handle(event);
        }
        self.now = self.now.max(t);
    }

    /// Lets things happen until one changes an object other than a Lease, or tells something new to
    /// checkers, but not beyond `limit`. All of the same millisecond happens. Returns the time.
    pub fn advance_until_change(&mut self, limit: Ms) -> Ms {
        let (mut seen, told) = (self.store.rv, self.truth_seq);
        while let Some((at, event)) = self.queue.pop_until(limit) {
            self.now = self.now.max(at);
            let lease = matches!(event, Event::Lease { .. });
            self.handle(event);
            if lease {
                // A Lease renewal is one write; its first after a boot is told as well.
                seen += u64::from(self.store.rv == seen + 1);
            }
            let changed = self.store.rv != seen || self.truth_seq != told;
            if changed && self.queue.next_at().is_none_or(|next| next > self.now) {
                return self.now;
            }
        }
        self.now = self.now.max(limit);
        self.now
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Lease { node, epoch } => self.on_lease(&node, epoch),
            Event::LeaseCheck { node } => self.on_lease_check(&node),
            Event::Taints { node } => self.on_taints(&node),
            Event::TaintEvict { node, since } => self.on_taint_evict(&node, since),
            Event::Power {
                machine,
                tag,
                again,
                cause,
            } => self.on_power(&machine, tag, again, cause),
            Event::KernelUp { machine, epoch } => self.on_kernel_up(&machine, epoch),
            Event::KubeletUp { machine, epoch } => self.on_kubelet_up(&machine, epoch),
            Event::Pod { key, uid, run, step } => self.on_pod(&key, &uid, run, step),
            Event::Owner(key) => self.on_owner(&key),
            Event::Budget(key) => self.on_budget(&key),
            Event::Schedule => self.on_schedule(),
            Event::Detached { attachment } => self.store.remove_attachment(self.now, &attachment),
            Event::Collect { node } => self.on_collect(&node),
        }
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

    /// Writes the pod that `change` makes of the one at `key`, and tells everybody whom it concerns.
    pub(crate) fn update_pod(&mut self, key: &ObjKey, change: impl FnOnce(&mut Pod)) {
        let Some(old) = self.store.pods.get(key).cloned() else {
            return;
        };
        let mut new = (*old).clone();
        change(&mut new);
        if new != *old {
            let new = self.store.put_pod(self.now, new);
            self.pod_changed(Some(&old), Some(&new));
        }
    }

    /// Takes the pod out of the store.
    pub(crate) fn drop_pod(&mut self, key: &ObjKey) {
        let Some(old) = self.store.remove_pod(self.now, key) else {
            return;
        };
        self.runs.remove(&old.meta.uid);
        self.pod_changed(Some(&old), None);
    }

    pub(crate) fn pod_changed(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        let Some(pod) = new.or(old) else { return };
        self.scheduler.account(old.map(|p| &**p), new.map(|p| &**p));
        let freed = old.is_some_and(|o| o.node.is_some() && new.is_none_or(|n| n.ended() && !o.ended()));
        if freed || new.is_some_and(|n| n.node.is_none() && old.is_none()) {
            self.poke_scheduler();
        }
        self.tell_pod(old, new);
        let state = |p: &Arc<Pod>| (p.status.ready, p.terminating(), p.status.phase);
        if old.map(state) != new.map(state) {
            self.dirty_budget_of(pod);
            self.dirty_owner_of(pod);
            self.dirty_services_of(pod);
        }
    }

    fn tell_pod(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        match (old, new) {
            (None, Some(new)) => {
                let facts = self.facts(new);
                self.emit(Truth::PodAdded(facts));
            }
            (Some(old), None) => {
                let (pod, uid) = (old.meta.key().to_string(), old.meta.uid.to_string());
                self.emit(Truth::PodGone { pod, uid });
            }
            (Some(old), Some(new)) => {
                let told = |p: &Pod| (p.node.clone(), p.status.phase, p.status.ready, p.terminating());
                if told(old) != told(new) {
                    let facts = self.facts(new);
                    self.emit(Truth::PodChanged(facts));
                }
            }
            (None, None) => {}
        }
    }
}
