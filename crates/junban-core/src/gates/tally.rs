//! What the gates are asked about, and what is taken: places, limits, groups and tokens.

use std::collections::{BTreeMap, BTreeSet};

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::{Turn, group_of};
use crate::effect::BudgetKey;
use crate::ids::{EntryUid, GroupName, NodeName, PolicyName};
use crate::node::Node;
use crate::policy::Policy;
use crate::queue::{Ledger, Queue, Slot};
use crate::tokens::{Reservations, pinned_needs};

/// A node that may start, or one with a slot that may go on.
#[derive(Debug)]
pub struct Candidate<'t> {
    pub turn: &'t Turn<'t>,
    pub node: &'t Node,
    /// The policy by which the entry is rebooted, or why there is none.
    pub policy: Result<&'t Policy, Blocker>,
    pub tally: &'t Tally,
}

/// What is taken, including the grants of this plan.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Nodes that hold places of `maxUnavailable`.
    pub places: BTreeSet<NodeName>,
    pub active: usize,
    pub active_of_policy: BTreeMap<PolicyName, u32>,
    pub open_groups: BTreeMap<PolicyName, BTreeSet<GroupName>>,
    /// Tokens that the grants of this plan reserve for pinned pods.
    pub reservations: Reservations,
    /// Entries to which this plan granted a slot.
    pub granted: BTreeSet<EntryUid>,
    pub control_plane_active: bool,
    pub worker_active: bool,
    /// Whether a control-plane node waits only for its turn, and its turn is next.
    pub control_plane_next: bool,
    /// The limits as numbers of nodes.
    pub max_unavailable: usize,
    pub max_concurrent: usize,
}

impl Tally {
    pub fn new(plan: &PlanBuilder<'_>, queue: &Queue, ledger: &Ledger) -> Self {
        let derived = &plan.derived;
        let nodes = derived.counted;
        let mut tally = Self {
            places: derived.places.iter().map(|name| (*name).clone()).collect(),
            max_unavailable: queue.places(nodes, plan.broken()),
            max_concurrent: queue.max_concurrent.of_rounded_up(nodes).max(1),
            ..Self::default()
        };
        tally.places.extend(ledger.slots.keys().cloned());
        for turn in derived.turns.values() {
            let Some(node) = turn.node else { continue };
            if derived.is_active(turn) || plan.goes_back(turn) {
                tally.count(&turn.entry.spec.policy, node, turn.policy);
            }
        }
        for (node, mark) in &derived.orphans {
            tally.count(&mark.policy, node, plan.cluster.policies.get(&mark.policy));
        }
        tally
    }

    fn count(&mut self, name: &PolicyName, node: &Node, policy: Option<&Policy>) {
        self.active += 1;
        *self.active_of_policy.entry(name.clone()).or_insert(0) += 1;
        if node.is_control_plane() {
            self.control_plane_active = true;
        } else {
            self.worker_active = true;
        }
        if let Some(policy) = policy
            && let Some(group) = group_of(policy, node)
        {
            let open = self.open_groups.entry(policy.name.clone()).or_default();
            open.insert(group);
        }
    }

    /// Counts what the start of this entry takes, and returns its slot.
    pub fn grant(&mut self, plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> Slot {
        self.places.insert(node.name.clone());
        self.granted.insert(turn.entry.uid.clone());
        self.count(&turn.entry.spec.policy, node, turn.policy);
        let needs = pinned_needs(plan.cluster, plan.memory, &plan.placement, node);
        plan.placement.take(node);
        let mut reserved = Vec::new();
        for (key, count) in &needs {
            if let BudgetKey::Pdb(pdb) = key
                && let Some(budget) = plan.cluster.budgets.get(pdb)
            {
                let digits: String = budget.uid.chars().take(8).collect();
                reserved.extend(std::iter::repeat_n(digits, *count as usize));
            }
        }
        self.reservations.add(&node.name, needs);
        Slot {
            node_uid: node.uid.clone(),
            entry: turn.entry.name.clone(),
            entry_uid: turn.entry.uid.clone(),
            reserved,
        }
    }
}
