//! What can be seen of a real cluster from outside: an administrator's watches and the power log of the machines, never
//! Junban's processes. The scenarios' facts come from it at once. The checkers judge it when the run is over: then the
//! resourceVersions, which count the writes of all kinds, say in which order everything happened
//! (docs/design/testbed.md#one-judge).

mod power_log;
mod translate;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use junban_sim::custom_resources::interpret;
use junban_world::{Checkers, EvictionAnswer, Mirror, Ms, Object, Params, Truth, TruthEvent, Violation};
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;

use crate::scenario::facts::{Collector, Facts};
use crate::scenario::limits::Limits;
use crate::time::now;
use power_log::power_lines;
pub(crate) use power_log::{WATCHES_LATE_MS, seconds};
use watches::{KINDS, Seen};

const LISTS_WITHIN: Duration = Duration::from_secs(60);

/// The place of the kind in [`KINDS`], and `namespace/name` or the name.
type Key = (usize, String);

/// An object as a watch showed it.
#[derive(Clone)]
struct Step {
    at: Ms,
    /// Its resourceVersion. The version of a deleted object is the version of the deletion.
    version: u64,
    kind: usize,
    object: DynamicObject,
    /// How many objects were seen before this one was seen for the first time.
    order: u64,
    is_gone: bool,
    /// The watch began anew, and its list showed another state. Nobody saw the states between.
    after_gap: bool,
}

pub(crate) struct Watched {
    events: Receiver<Seen>,
    power_log: PathBuf,
    /// The newest state of each object.
    objects: BTreeMap<Key, Step>,
    /// What an unfinished list has shown so far.
    listed: BTreeMap<usize, BTreeSet<String>>,
    /// The kinds of which there was a whole list.
    known: BTreeSet<usize>,
    /// For each object, by UID, how many were seen before it.
    orders: BTreeMap<String, u64>,
    last_version: u64,
    /// The cluster of this moment.
    live: Mirror,
    facts: Collector,
    /// How many lines of the power log `live` knows.
    power_lines: usize,
    began: Ms,
    /// The last step of each object before the run began.
    initial: Vec<Step>,
    /// All steps since then.
    steps: Vec<Step>,
}

impl Watched {
    pub(crate) fn start(kubeconfig: &Path, power_log: &Path) -> Result<Self> {
        Ok(Self::new(watches::start(kubeconfig)?, power_log))
    }

    fn new(events: Receiver<Seen>, power_log: &Path) -> Self {
        Self {
            events,
            power_log: power_log.to_owned(),
            objects: BTreeMap::new(),
            listed: BTreeMap::new(),
            known: BTreeSet::new(),
            orders: BTreeMap::new(),
            last_version: 0,
            live: Mirror::new(Box::new(interpret)),
            facts: Collector::default(),
            power_lines: 0,
            began: 0,
            initial: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Takes in all events that are there. Waits for the first one, but not longer than `patience`.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<()> {
        match self.events.recv_timeout(patience) {
            Ok(seen) => self.apply(seen),
            Err(RecvTimeoutError::Timeout) => {}
            Err(error) => bail!("the watches ended: {error}"),
        }
        while let Ok(seen) = self.events.try_recv() {
            self.apply(seen);
        }
        let lines = power_lines(&self.power_log)?;
        for line in lines.iter().skip(self.power_lines) {
            line.tell(&mut self.live);
        }
        self.power_lines = lines.len();
        self.observe();
        Ok(())
    }

    /// Waits until the watches have shown everything that there is.
    pub(crate) fn wait_for_lists(&mut self) -> Result<()> {
        let began = Instant::now();
        while self.known.len() < KINDS.len() {
            if began.elapsed() > LISTS_WITHIN {
                let (known, all) = (self.known.len(), KINDS.len());
                bail!("the watches listed only {known} of {all} kinds");
            }
            self.wait(Duration::from_secs(1))?;
        }
        Ok(())
    }

    /// Takes in whatever arrives during this time.
    pub(crate) fn wait_out(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.wait(end.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    fn observe(&mut self) {
        for event in self.live.take_truth() {
            self.facts.observe(&event.what);
        }
    }

    /// From now on boots and power actions count, and rules are judged.
    pub(crate) fn begin(&mut self) {
        self.facts.begin();
        self.began = now();
        self.steps.clear();
        self.initial = self.objects.values().cloned().collect();
    }

    /// When the run began.
    pub(crate) fn began(&self) -> Ms {
        self.began
    }

    /// The cluster of this moment.
    pub(crate) fn live(&self) -> &Mirror {
        &self.live
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts.collect(self.live.store())
    }

    fn apply(&mut self, Seen { kind, at, event }: Seen) {
        match event {
            Event::Apply(object) => self.see(at, kind, object, false, false),
            Event::Delete(object) => self.see(at, kind, object, true, false),
            Event::Init => drop(self.listed.insert(kind, BTreeSet::new())),
            Event::InitApply(object) => {
                let name = full_name(&object);
                let known = self.objects.get(&(kind, name.clone()));
                let is_news = known.is_none_or(|known| known.version != version(&object));
                self.listed.entry(kind).or_default().insert(name);
                if is_news {
                    self.see(at, kind, object, false, true);
                }
            }
            Event::InitDone => {
                let listed = self.listed.remove(&kind).unwrap_or_default();
                self.known.insert(kind);
                let of_kind = self
                    .objects
                    .range((kind, String::new())..(kind + 1, String::new()));
                let gone = of_kind.filter(|((_, name), _)| !listed.contains(name));
                for known in gone.map(|(_, step)| step.clone()).collect::<Vec<_>>() {
                    self.take(Step {
                        at,
                        version: self.last_version,
                        is_gone: true,
                        after_gap: true,
                        ..known
                    });
                }
            }
        }
    }

    fn see(&mut self, at: Ms, kind: usize, object: DynamicObject, is_gone: bool, after_gap: bool) {
        let next = self.orders.len() as u64;
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let order = *self.orders.entry(uid).or_insert(next);
        self.take(Step {
            at,
            version: version(&object),
            kind,
            order,
            object,
            is_gone,
            after_gap,
        });
    }

    fn take(&mut self, step: Step) {
        let key = (step.kind, full_name(&step.object));
        self.last_version = self.last_version.max(step.version);
        step.show(step.at, &mut self.live);
        self.observe();
        self.steps.push(step.clone());
        if step.is_gone {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, step);
        }
    }

    /// Judges the run by the checkers of the simulated world. `each` gets every event, in the order in which they happened,
    /// with the cluster after it. The first events are those that the state at the beginning means.
    pub(crate) fn judge(&self, mut each: impl FnMut(&Mirror, &TruthEvent)) -> Result<Vec<Violation>> {
        let mut mirror = Mirror::new(Box::new(interpret));
        let mut checkers = Checkers::of_watches(Params::default());
        for step in &self.initial {
            step.show(step.at, &mut mirror);
        }
        for event in mirror.take_truth() {
            checkers.learn(&event);
            each(&mirror, &event);
        }
        let mut limits = Limits::of(mirror.store());
        let lines = power_lines(&self.power_log)?;
        let mut lines = lines.iter().peekable();
        let mut judge = |at, mirror: &mut Mirror, after_gap| {
            limits.look(mirror.store(), at);
            if let Some(params) = limits.take_new(mirror.store(), at) {
                *checkers.params() = params;
            }
            for event in mirror.take_truth() {
                match after_gap {
                    true => checkers.learn(&event),
                    false => drop(checkers.observe(&event)),
                }
                each(mirror, &event);
            }
        };
        for (step, at) in in_order(&self.steps) {
            while let Some(line) = lines.next_if(|line| line.told_at() <= at) {
                line.tell(&mut mirror);
                judge(line.told_at(), &mut mirror, false);
            }
            step.show(at, &mut mirror);
            judge(at, &mut mirror, step.after_gap);
        }
        for line in lines {
            line.tell(&mut mirror);
            judge(line.told_at(), &mut mirror, false);
        }
        Ok(checkers.violations().to_vec())
    }
}

/// The steps in the order of their writes, each with the time of its write. It was done before any watch showed a later
/// one, so a watch that is late makes no step late.
fn in_order(steps: &[Step]) -> Vec<(&Step, Ms)> {
    let mut steps: Vec<(&Step, Ms)> = steps.iter().map(|step| (step, step.at)).collect();
    steps.sort_by_key(|(step, _)| step.version);
    let mut earliest = Ms::MAX;
    for (_, at) in steps.iter_mut().rev() {
        earliest = earliest.min(*at);
        *at = earliest;
    }
    steps
}

impl Step {
    fn show(&self, at: Ms, mirror: &mut Mirror) {
        let kind = KINDS[self.kind].2;
        if kind == "Lease" {
            return mirror.lease_renewed(at, self.object.metadata.name.as_deref().unwrap_or_default());
        }
        if kind == "EndpointSlice" {
            let (service, ready) = translate::endpoints(&self.object);
            let namespace = self.object.metadata.namespace.as_deref().unwrap_or_default();
            return mirror.endpoints(at, namespace, service, if self.is_gone { 0 } else { ready });
        }
        let Some(object) = translate::object(kind, &self.object, self.order) else {
            return;
        };
        if self.is_gone {
            return mirror.remove(at, object);
        }
        let mut by = String::new();
        if let Object::Node(node) = &object {
            let old = mirror.store().node(&node.meta.name);
            by = translate::cordoned_by(old.map(|old| &**old), node);
        }
        if let Object::Pod(pod) = &object
            && pod.terminating()
            && translate::is_evicted(&self.object)
            && let Some(old) = mirror.store().pod(&pod.meta.namespace, &pod.meta.name)
            && old.meta.uid == pod.meta.uid
            && !old.terminating()
        {
            let eviction = Truth::Eviction {
                // Nobody else evicts in the testbed.
                by: junban_api::names::FIELD_MANAGER.to_owned(),
                pod: pod.meta.key().to_string(),
                uid: pod.meta.uid.to_string(),
                uid_given: None,
                dry_run: false,
                ready: old.status.ready && !old.ended(),
                answer: EvictionAnswer::Accepted,
            };
            mirror.tell(at, eviction);
        }
        mirror.put(at, object, &by);
    }
}

fn version(object: &DynamicObject) -> u64 {
    let version = object.metadata.resource_version.as_deref().unwrap_or_default();
    version.parse().unwrap_or_default()
}

/// `namespace/name`, or the name of an object without a namespace.
fn full_name(object: &DynamicObject) -> String {
    let name = object.metadata.name.clone().unwrap_or_default();
    match &object.metadata.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    }
}

#[cfg(test)]
mod tests;
