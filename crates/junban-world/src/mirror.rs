//! The objects of a real cluster, as watches show them, and the truth that their changes mean. So the checkers judge a
//! real cluster as they judge this world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Budget, Ms, Node, Object, Owner, OwnerKey, OwnerKind, Pod, Store};
use crate::observed;
use crate::truth::{DownCause, Truth, TruthEvent};
use crate::world::Interpreter;

/// After a node is back, the statuses of its pods need this long.
const SHAKEN_MS: Ms = 15_000;
/// A controller sees the writes of two kinds in any order, if there was less time between them.
const WATCHES_APART_MS: Ms = 1_000;

pub struct Mirror {
    store: Store,
    truth: Vec<TruthEvent>,
    interpreter: Interpreter,
    /// The bootID that each Node showed when its Lease was renewed last, and when that was.
    leased: BTreeMap<String, (String, Ms)>,
    /// The machines that are down.
    down: BTreeMap<String, (Ms, DownCause)>,
    /// The nodes that a power action has hit since they were cordoned.
    powered: BTreeSet<String>,
    /// When each node was last down, NotReady or gone although no power action had hit it.
    away: BTreeMap<String, Ms>,
    /// UIDs of evicted pods.
    evicted: BTreeSet<String>,
    /// Workloads and Services that lost all their pods by themselves and have not served since.
    lost: BTreeSet<String>,
}

impl Mirror {
    /// `interpreter` says what a change of a custom object means.
    pub fn new(interpreter: Interpreter) -> Self {
        Self {
            store: Store::new(0),
            truth: Vec::new(),
            interpreter,
            leased: BTreeMap::new(),
            down: BTreeMap::new(),
            powered: BTreeSet::new(),
            away: BTreeMap::new(),
            evicted: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The events since the last call.
    pub fn take_truth(&mut self) -> Vec<TruthEvent> {
        std::mem::take(&mut self.truth)
    }

    /// Adds an event that no object shows, such as a power action.
    pub fn tell(&mut self, at: Ms, what: Truth) {
        match &what {
            Truth::PowerCalled { node, .. } => drop(self.powered.insert(node.clone())),
            Truth::Cordon { node, .. } => drop(self.powered.remove(node)),
            Truth::MachineDown { machine, cause, .. } => {
                self.down.insert(machine.clone(), (at, *cause));
                self.note_away(at, machine);
            }
            Truth::Eviction { uid, .. } => drop(self.evicted.insert(uid.clone())),
            _ => {}
        }
        self.truth.push(TruthEvent { at, what });
    }

    /// An object was added or changed. If a Node was cordoned or uncordoned, `by` did it.
    pub fn put(&mut self, at: Ms, object: Object, by: &str) {
        match object {
            Object::Node(new) => {
                let name = new.meta.name.clone();
                let old = self.store.nodes.get(&name).cloned();
                if old.is_some() {
                    self.note_away(at, &name);
                }
                let new = self.store.put(at, Arc::unwrap_or_clone(new));
                self.node_changed(at, old.as_deref(), Some(&new), by);
                self.note_away(at, &name);
            }
            Object::Pod(new) => {
                let key = new.meta.key();
                let old = self.store.pods.get(&key).cloned();
                if let Some(other) = old.filter(|old| old.meta.uid != new.meta.uid) {
                    self.remove(at, Object::Pod(other));
                }
                let old = self.store.pods.get(&key).cloned();
                let new = self.store.put_pod(at, Arc::unwrap_or_clone(new));
                self.pod_changed(at, old.as_ref(), Some(&new));
            }
            Object::Owner(new) => {
                let old = self.store.owners.get(&new.key()).cloned();
                let new = self.store.put_owner(at, Arc::unwrap_or_clone(new));
                let state = |owner: &Owner| (owner.replicas, owner.min_ready_s);
                let is_news = old.is_none_or(|old| state(&old) != state(&new));
                if let Some(event) = observed::owner(&new).filter(|_| is_news) {
                    self.tell(at, event);
                }
            }
            Object::Budget(new) => {
                let new = self.store.put(at, Arc::unwrap_or_clone(new));
                self.tell_budget(at, &new);
            }
            Object::Attachment(new) => drop(self.store.put(at, Arc::unwrap_or_clone(new))),
            Object::Custom(new) => {
                let old = self.store.customs.get(&new.key()).cloned();
                let new = self.store.put(at, Arc::unwrap_or_clone(new));
                self.tell_all(at, (self.interpreter)(old.as_deref(), Some(&new)));
            }
            Object::Lease(_) | Object::Volume(_) | Object::Claim(_) | Object::Service(_) => {}
        }
    }

    /// An object was deleted.
    pub fn remove(&mut self, at: Ms, object: Object) {
        match object {
            Object::Node(node) => {
                let old = self.store.remove::<Node>(at, &node.meta.name);
                self.node_changed(at, old.as_deref(), None, "");
                self.note_away(at, &node.meta.name);
            }
            Object::Pod(pod) => {
                let old = self.store.remove_pod(at, &pod.meta.key());
                self.pod_changed(at, old.as_ref(), None);
            }
            Object::Owner(owner) => {
                let key = owner.key();
                if self.store.remove_owner(at, &key).is_some() {
                    self.tell(at, observed::owner_gone(&key));
                }
            }
            Object::Budget(budget) => {
                if self.store.budgets.remove(&budget.meta.key()).is_some() {
                    self.tell(at, observed::budget(&budget, vec![]));
                }
            }
            Object::Attachment(old) => {
                if self.store.attachments.remove(&old.meta.name).is_some() {
                    let node = old.node.to_string();
                    self.tell(at, Truth::Detached { node });
                }
            }
            Object::Custom(old) => {
                if let Some(old) = self.store.customs.remove(&old.key()) {
                    self.tell_all(at, (self.interpreter)(Some(&old), None));
                }
            }
            Object::Lease(_) | Object::Volume(_) | Object::Claim(_) | Object::Service(_) => {}
        }
    }

    fn tell_all(&mut self, at: Ms, events: Vec<Truth>) {
        for event in events {
            self.tell(at, event);
        }
    }

    fn node_changed(&mut self, at: Ms, old: Option<&Node>, new: Option<&Node>, by: &str) {
        let events = observed::node(old, new, by);
        let is_booted = |event: &Truth| matches!(event, Truth::BootIdShown { .. });
        let booted = new.filter(|_| events.iter().any(is_booted));
        self.tell_all(at, events);
        if let Some(node) = booted {
            self.machine_up(at, node);
            let renewed = self.leased.get(&*node.meta.name);
            if let Some(renewed) = renewed.map(|(_, renewed)| *renewed)
                && at < renewed + WATCHES_APART_MS
            {
                self.lease_renewed(at, &node.meta.name);
            }
        }
    }

    fn machine_up(&mut self, at: Ms, node: &Node) {
        if self.down.remove(&*node.meta.name).is_some() {
            let (machine, boot_id) = (node.meta.name.to_string(), node.status.boot_id.clone());
            self.tell(at, Truth::MachineUp { machine, boot_id });
        }
    }

    /// The kubelet of this node has renewed its Lease.
    pub fn lease_renewed(&mut self, at: Ms, node: &str) {
        let Some(node) = self.store.nodes.get(node).cloned() else {
            return;
        };
        let name = node.meta.name.to_string();
        let boot_id = node.status.boot_id.clone();
        // A machine with its old bootID can only be seen to be up by its Lease.
        let down = self.down.get(&name);
        if down.is_some_and(|(since, _)| since + WATCHES_APART_MS < at) {
            self.machine_up(at, &node);
        }
        let before = self.leased.insert(name.clone(), (boot_id.clone(), at));
        if before.is_none_or(|(before, _)| before != boot_id) {
            self.tell(at, Truth::LeaseAfterBoot { node: name, boot_id });
        }
    }

    fn pod_changed(&mut self, at: Ms, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        let Some(pod) = new.or(old) else { return };
        if let Some(event) = observed::pod(&self.store, old, new) {
            self.tell(at, event);
        }
        if old.is_none() || new.is_none() {
            let budgets: Vec<_> = self.store.budgets_of(pod).into_iter().cloned().collect();
            for budget in budgets {
                self.tell_budget(at, &budget);
            }
        }
        let owner = self.store.topmost(pod).filter(|owner| owner.scalable()).cloned();
        if let Some(owner) = owner {
            self.tell_serving(at, &owner, None);
        }
    }

    /// The API shows this many ready endpoints of a Service. A Service has the name of its workload.
    pub fn endpoints(&mut self, at: Ms, namespace: &str, name: &str, ready: u64) {
        let kinds = [OwnerKind::Deployment, OwnerKind::StatefulSet];
        let keys = kinds.map(|kind| OwnerKey::new(kind, namespace, name));
        let owner = keys.iter().find_map(|key| self.store.owners.get(key)).cloned();
        if let Some(owner) = owner {
            self.tell_serving(at, &owner, Some(ready));
        }
    }

    fn tell_budget(&mut self, at: Ms, budget: &Budget) {
        let selector = budget.selector.as_ref();
        let pods = selector.map(|selector| self.store.pods_selected(&budget.meta.namespace, selector));
        let members = pods.into_iter().flatten().map(|pod| pod.meta.key().to_string());
        let event = observed::budget(budget, members.collect());
        self.tell(at, event);
    }

    /// A pod is lost if its node was away, or if somebody deleted it who did not ask the Eviction API.
    fn tell_serving(&mut self, at: Ms, owner: &Owner, endpoints: Option<u64>) {
        let is_shaken = |node: &str| {
            let last = self.away.get(node);
            self.is_away(node) || last.is_some_and(|last| at < last + SHAKEN_MS)
        };
        let is_lost = |pod: &Pod| match pod.terminating() {
            true => !self.evicted.contains(&*pod.meta.uid),
            false => pod.node.as_ref().is_some_and(|node| is_shaken(node)),
        };
        let (mut serving, mut lost) = (0, 0);
        for pod in self.store.pods() {
            if self
                .store
                .topmost(pod)
                .is_some_and(|top| top.meta.uid == owner.meta.uid)
            {
                serving += u64::from(pod.status.ready && !pod.terminating());
                lost += u64::from(is_lost(pod));
            }
        }
        let mut service = owner.meta.key().to_string();
        if let Some(ready) = endpoints {
            service += " by its endpoints";
            serving = ready;
        }
        if serving > 0 {
            self.lost.remove(&service);
        } else if lost > 0 {
            self.lost.insert(service.clone());
        } else {
            lost = u64::from(self.lost.contains(&service));
        }
        let serving = Truth::Serving {
            service,
            serving,
            wanted: u64::try_from(owner.replicas).unwrap_or_default(),
            lost,
        };
        self.tell(at, serving);
    }

    /// Whether the node is down, NotReady or gone, and no power action has hit it.
    fn is_away(&self, node: &str) -> bool {
        let fell_over = |(_, cause): &(Ms, DownCause)| *cause != DownCause::Power;
        let is_unready = self.store.nodes.get(node).is_none_or(|node| !node.is_ready());
        self.down.get(node).is_some_and(fell_over) || is_unready && !self.powered.contains(node)
    }

    fn note_away(&mut self, at: Ms, node: &str) {
        if self.is_away(node) {
            self.away.insert(node.to_owned(), at);
        }
    }
}
