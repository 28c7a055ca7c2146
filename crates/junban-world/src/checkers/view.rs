//! What the checkers know about the cluster. It comes from truth events alone, so the recorded history of a real run
//! gives the same view.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Map, Ms, Ready};
use crate::truth::{EntryFacts, PodFacts, PowerOutcome, Truth, TruthEvent};

/// A Node as the API shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeView {
    pub(super) uid: String,
    pub(super) control_plane: bool,
    pub(super) labels: Map,
    /// When each label changed last.
    pub(super) labelled_at: BTreeMap<String, Ms>,
    pub(super) boot_id: String,
    /// The bootID that the API showed when the Lease was renewed last.
    pub(super) lease_of_boot: String,
    /// Who cordoned it, while it is cordoned.
    pub(super) cordoned_by: Option<String>,
    pub(super) cordoned_at: Ms,
    pub(super) ready: Ready,
    pub(super) ready_since: Ms,
    /// The last driver call since the cordon that may have started something.
    pub(super) power: Option<PowerView>,
    /// The taints that keep pods out, but for the taint of a cordon.
    pub(super) taints: BTreeSet<String>,
    pub(super) allocatable: BTreeMap<String, i64>,
    /// The two of them at the cordon.
    pub(super) at_cordon: (BTreeSet<String>, BTreeMap<String, i64>),
}

impl NodeView {
    /// Whether it is cordoned or not Ready.
    pub(super) fn unavailable(&self) -> bool {
        self.cordoned_by.is_some() || self.ready != Ready::True
    }
}

#[derive(Debug, Clone)]
pub(super) struct PowerView {
    pub(super) at: Ms,
    pub(super) boot_id: String,
    /// The DaemonSets that had a Ready pod on the node.
    pub(super) daemons: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct PodView {
    pub(crate) facts: PodFacts,
    pub(super) ready_since: Ms,
    pub(super) bound_at: Ms,
    /// Whether somebody evicted or deleted it.
    pub(super) removed: bool,
}

impl PodView {
    /// Whether it is Ready and not terminating.
    pub(super) fn healthy(&self) -> bool {
        self.facts.ready && !self.facts.terminating
    }
}

/// A budget as the disruption controller computed it last.
#[derive(Debug, Clone, Default)]
pub(super) struct BudgetView {
    pub(super) needed: i64,
    pub(super) members: BTreeSet<String>,
}

/// The cluster after the events so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClusterView {
    pub(super) nodes: BTreeMap<String, NodeView>,
    /// The machines that are down, and since when.
    pub(super) machines_down: BTreeMap<String, Ms>,
    /// By UID.
    pub(crate) pods: BTreeMap<String, PodView>,
    pub(super) pods_by_node: BTreeMap<String, BTreeSet<String>>,
    pub(super) pods_by_owner: BTreeMap<String, BTreeSet<String>>,
    /// `namespace/name` to UID.
    pub(super) pod_uids: BTreeMap<String, String>,
    pub(super) budgets: BTreeMap<String, BudgetView>,
    /// Pod to the budgets that select it.
    pub(super) budgets_by_pod: BTreeMap<String, BTreeSet<String>>,
    /// The replicas and the `minReadySeconds` of each owner.
    pub(super) owners: BTreeMap<String, (i64, u64)>,
    /// Budget or owner to the time when one of its pods last became unready or vanished although nobody removed it.
    pub(super) last_failure: BTreeMap<String, Ms>,
    pub(super) entries: BTreeMap<String, EntryFacts>,
    /// Entries that somebody deleted, in their last state.
    pub(super) deleted: BTreeMap<String, EntryFacts>,
    /// Node to entry; `None` before the first note about the ledger.
    pub(super) slots: Option<BTreeMap<String, String>>,
    pub(super) paused_since: Option<Ms>,
}

impl ClusterView {
    /// Applies one event.
    pub(crate) fn apply(&mut self, event: &TruthEvent) {
        let at = event.at;
        match &event.what {
            Truth::PodAdded(facts) | Truth::PodChanged(facts) => self.pod(at, facts),
            Truth::PodRemoval { uid, .. } => {
                if let Some(pod) = self.pods.get_mut(uid) {
                    pod.removed = true;
                }
            }
            Truth::PodGone { uid, .. } => self.pod_gone(at, uid),
            Truth::Budget {
                budget,
                needed,
                members,
                ..
            } => self.budget(budget, *needed, members),
            Truth::Owner {
                owner,
                replicas,
                min_ready_s,
            } => drop(self.owners.insert(owner.clone(), (*replicas, *min_ready_s))),
            Truth::OwnerGone { owner } => drop(self.owners.remove(owner)),
            Truth::Entry(entry) => drop(self.entries.insert(entry.uid.clone(), entry.clone())),
            Truth::EntryGone { entry } => {
                let gone = self.entries.remove(entry);
                self.deleted.extend(gone.map(|gone| (entry.clone(), gone)));
            }
            Truth::Slots { holders } => self.slots = Some(holders.clone()),
            Truth::Paused { paused } => {
                self.paused_since = paused.then(|| self.paused_since.unwrap_or(at));
            }
            other => self.node(at, other),
        }
    }

    fn node(&mut self, at: Ms, what: &Truth) {
        match what {
            Truth::NodeAdded {
                node,
                uid,
                boot_id,
                control_plane,
                ..
            } => {
                let view = NodeView {
                    uid: uid.clone(),
                    control_plane: *control_plane,
                    boot_id: boot_id.clone(),
                    lease_of_boot: boot_id.clone(),
                    ready_since: at,
                    ..NodeView::default()
                };
                self.nodes.insert(node.clone(), view);
            }
            Truth::NodeRemoved { node, .. } => drop(self.nodes.remove(node)),
            Truth::MachineDown { machine, .. } => drop(self.machines_down.insert(machine.clone(), at)),
            Truth::MachineUp { machine, .. } => drop(self.machines_down.remove(machine)),
            Truth::PowerCalled {
                node,
                boot_id,
                outcome,
                ..
            } if *outcome != PowerOutcome::NothingStarted => {
                let daemons = self.ready_daemons(node);
                let power = PowerView {
                    at,
                    boot_id: boot_id.clone(),
                    daemons,
                };
                if let Some(n) = self.nodes.get_mut(node) {
                    n.power = Some(power);
                }
            }
            Truth::NodeLabels { node, changed } => {
                let Some(n) = self.nodes.get_mut(node) else { return };
                for (key, value) in changed {
                    n.labelled_at.insert(key.clone(), at);
                    match value {
                        Some(v) => drop(n.labels.insert(key.clone(), v.clone())),
                        None => drop(n.labels.remove(key)),
                    }
                }
            }
            Truth::Cordon { node, cordoned, by } => {
                let Some(n) = self.nodes.get_mut(node) else { return };
                n.cordoned_by = cordoned.then(|| by.clone());
                n.cordoned_at = at;
                n.power = None;
                n.at_cordon = (n.taints.clone(), n.allocatable.clone());
            }
            Truth::NodeReady { node, ready } => {
                let Some(n) = self.nodes.get_mut(node) else { return };
                n.ready = *ready;
                n.ready_since = at;
            }
            Truth::NodeTaints { node, taints } => {
                let Some(n) = self.nodes.get_mut(node) else { return };
                n.taints = taints.iter().cloned().collect();
            }
            Truth::NodeAllocatable { node, allocatable } => {
                let Some(n) = self.nodes.get_mut(node) else { return };
                n.allocatable.clone_from(allocatable);
            }
            Truth::BootIdShown { node, boot_id } => {
                let Some(n) = self.nodes.get_mut(node) else { return };
                n.boot_id.clone_from(boot_id);
            }
            Truth::LeaseAfterBoot { node, boot_id } => {
                let Some(n) = self.nodes.get_mut(node) else { return };
                n.lease_of_boot.clone_from(boot_id);
            }
            _ => {}
        }
    }

    fn pod(&mut self, at: Ms, facts: &PodFacts) {
        let uid = facts.uid.clone();
        let old = self.take_pod(&uid);
        if let Some(o) = &old
            && o.healthy()
            && !facts.ready
            && !o.removed
        {
            self.note_failure(at, &o.facts);
        }
        if old.as_ref().is_some_and(|o| o.facts.labels != facts.labels) {
            // Another budget may select it now. The API server looks at its labels; the disruption controller computes the
            // budgets anew in a moment, and with them their members here.
            for budget in self.budgets_by_pod.remove(&facts.pod).into_iter().flatten() {
                if let Some(budget) = self.budgets.get_mut(&budget) {
                    budget.members.remove(&facts.pod);
                }
            }
        }
        if let Some(node) = &facts.node {
            self.pods_by_node
                .entry(node.clone())
                .or_default()
                .insert(uid.clone());
        }
        if !facts.topmost.is_empty() {
            self.pods_by_owner
                .entry(facts.topmost.clone())
                .or_default()
                .insert(uid.clone());
        }
        self.pod_uids.insert(facts.pod.clone(), uid.clone());
        let ready_since = old
            .as_ref()
            .filter(|o| o.facts.ready == facts.ready)
            .map_or(at, |o| o.ready_since);
        let bound_at = old
            .as_ref()
            .filter(|o| o.facts.node == facts.node)
            .map_or(at, |o| o.bound_at);
        let removed = old.is_some_and(|o| o.removed) || facts.terminating;
        self.pods.insert(
            uid,
            PodView {
                facts: facts.clone(),
                ready_since,
                bound_at,
                removed,
            },
        );
    }

    fn pod_gone(&mut self, at: Ms, uid: &str) {
        if let Some(old) = self.take_pod(uid)
            && !old.removed
        {
            self.note_failure(at, &old.facts);
        }
    }

    /// Removes the pod from all maps.
    fn take_pod(&mut self, uid: &str) -> Option<PodView> {
        let old = self.pods.remove(uid)?;
        if let Some(set) = old.facts.node.as_ref().and_then(|n| self.pods_by_node.get_mut(n)) {
            set.remove(uid);
        }
        if let Some(set) = self.pods_by_owner.get_mut(&old.facts.topmost) {
            set.remove(uid);
        }
        if self.pod_uids.get(&old.facts.pod).is_some_and(|u| u == uid) {
            self.pod_uids.remove(&old.facts.pod);
        }
        Some(old)
    }

    fn note_failure(&mut self, at: Ms, facts: &PodFacts) {
        self.last_failure.insert(facts.topmost.clone(), at);
        for budget in self.budgets_by_pod.get(&facts.pod).into_iter().flatten() {
            self.last_failure.insert(budget.clone(), at);
        }
    }

    fn budget(&mut self, budget: &str, needed: i64, members: &[String]) {
        self.budget_gone(budget);
        for pod in members {
            self.budgets_by_pod
                .entry(pod.clone())
                .or_default()
                .insert(budget.to_owned());
        }
        let members = members.iter().cloned().collect();
        self.budgets
            .insert(budget.to_owned(), BudgetView { needed, members });
    }

    fn budget_gone(&mut self, budget: &str) {
        let Some(old) = self.budgets.remove(budget) else {
            return;
        };
        for pod in old.members {
            if let Some(set) = self.budgets_by_pod.get_mut(&pod) {
                set.remove(budget);
                if set.is_empty() {
                    self.budgets_by_pod.remove(&pod);
                }
            }
        }
    }

    pub(crate) fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a PodView> + use<'a> {
        self.pods_by_node
            .get(node)
            .into_iter()
            .flatten()
            .filter_map(|uid| self.pods.get(uid))
    }

    /// The pods whose topmost owner this is.
    pub(super) fn pods_of<'a>(&'a self, owner: &str) -> impl Iterator<Item = &'a PodView> + use<'a> {
        self.pods_by_owner
            .get(owner)
            .into_iter()
            .flatten()
            .filter_map(|uid| self.pods.get(uid))
    }

    fn ready_daemons(&self, node: &str) -> BTreeSet<String> {
        self.pods_on(node)
            .filter(|p| p.facts.owner_kind == "DaemonSet" && p.healthy())
            .map(|p| p.facts.topmost.clone())
            .collect()
    }

    /// Whether the node still has the slot of an entry that a person gave up while the node was down.
    pub(super) fn is_given_up(&self, node: &str) -> bool {
        let slot = self.slots.as_ref().and_then(|slots| slots.get(node));
        let entry = slot.and_then(|entry| self.entries.get(entry));
        entry.is_some_and(|entry| entry.phase == "Cancelled")
    }

    /// The node's entry that is in flight or Failed.
    pub(super) fn turn_of(&self, node: &str) -> Option<&EntryFacts> {
        self.entries
            .values()
            .find(|e| e.node == node && (e.in_flight() || e.phase == "Failed"))
    }
}
