//! The gates between Queued and a slot: one file answers one question, in a fixed, numbered order. Never a bare
//! "no": each returns the reason with the object that causes it.

pub mod budgets;
pub mod capacity;
pub mod control_plane;
pub mod first_proof;
pub mod goal;
pub mod groups;
pub mod health;
pub mod limits;
pub mod node;
pub mod pause;

use std::collections::{BTreeMap, BTreeSet};

use crate::draft::Draft;
use crate::effect::BudgetKey;
use crate::entry::Phase;
use crate::facts::{Turn, group_of};
use crate::ids::{EntryUid, GroupName, NodeName, PolicyName};
use crate::node::Node;
use crate::policy::Policy;
use crate::queue::{Ledger, Queue};
use crate::reason::Blocker;

/// What has been taken, also by the grants of this very plan.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Nodes that hold places of `maxUnavailable`.
    pub places: BTreeSet<NodeName>,
    pub active: usize,
    pub active_of_policy: BTreeMap<PolicyName, u32>,
    pub open_groups: BTreeMap<PolicyName, BTreeSet<GroupName>>,
    /// Tokens reserved in this plan for pinned pods.
    pub reserved: BTreeMap<BudgetKey, u32>,
    /// Entries granted in this plan.
    pub granted: BTreeSet<EntryUid>,
    /// Whether a control-plane node, or a worker, is active.
    pub control_plane_active: bool,
    pub worker_active: bool,
    /// Whether a control-plane node waits for nothing but its turn, and that is the next.
    pub control_plane_next: bool,
    /// Limits as numbers of nodes.
    pub max_unavailable: usize,
    pub max_concurrent: usize,
}

impl Tally {
    pub fn new(draft: &Draft<'_>, queue: &Queue, ledger: &Ledger) -> Self {
        let facts = &draft.facts;
        let nodes = facts.counted.len();
        let mut tally = Self {
            places: facts.places.iter().map(|name| (*name).clone()).collect(),
            max_unavailable: limits::places(queue, nodes, limits::broken(draft)),
            max_concurrent: queue.max_concurrent.of_rounded_up(nodes).max(1),
            ..Self::default()
        };
        tally.places.extend(ledger.slots.keys().cloned());
        for turn in facts.turns.values() {
            let Some(node) = turn.node else { continue };
            if facts.is_active(turn) || draft.goes_back(turn) {
                tally.count(&turn.entry.spec.policy, node, turn.policy);
            }
        }
        for (node, mark) in &facts.orphans {
            tally.count(&mark.policy, node, draft.cluster.policies.get(&mark.policy));
        }
        tally
    }

    fn count(&mut self, name: &PolicyName, node: &Node, policy: Option<&Policy>) {
        self.active += 1;
        *self.active_of_policy.entry(name.clone()).or_insert(0) += 1;
        if node.control_plane {
            self.control_plane_active = true;
        } else {
            self.worker_active = true;
        }
        if let Some(policy) = policy
            && let Some(group) = group_of(policy, node)
        {
            self.open_groups
                .entry(policy.name.clone())
                .or_default()
                .insert(group);
        }
    }

    /// Takes everything that the start of this entry takes. Returns the reservations for its slot.
    pub fn grant(&mut self, draft: &Draft<'_>, turn: &Turn<'_>, node: &Node) -> Vec<String> {
        self.places.insert(node.name.clone());
        self.granted.insert(turn.entry.uid.clone());
        self.count(&turn.entry.spec.policy, node, turn.policy);
        let mut reserved = Vec::new();
        for (key, count) in budgets::pinned_needs(draft, node) {
            *self.reserved.entry(key.clone()).or_insert(0) += count;
            if let BudgetKey::Pdb(pdb) = &key
                && let Some(budget) = draft.cluster.budgets.get(pdb)
            {
                let digits: String = budget.uid.chars().take(8).collect();
                reserved.extend(std::iter::repeat_n(digits, count as usize));
            }
        }
        reserved
    }
}

/// Entries that wait for a start, by name.
pub fn queued<'a>(draft: &Draft<'a>) -> Vec<Turn<'a>> {
    let turns = draft.facts.turns.values();
    turns
        .filter(|turn| turn.phase() == Phase::Queued && turn.slot.is_none())
        .filter(|turn| {
            turn.node.is_some_and(|node| node.mark.is_none()) && !draft.has_moved(&turn.entry.name)
        })
        .copied()
        .collect()
}

/// The order in which starts are tried: workers, control planes, workers that were released once; then the higher
/// priority of the entry, then fewest scarce budgets, then name.
pub fn in_order(draft: &Draft<'_>, turns: &mut [Turn<'_>]) {
    turns.sort_by_cached_key(|turn| {
        let control_plane = turn.node.is_some_and(|node| node.control_plane);
        let released = control_plane::was_released(turn.entry);
        let scarce = turn.node.map_or(0, |node| budgets::scarce(draft, node));
        let priority = std::cmp::Reverse(turn.entry.spec.priority);
        (
            released && !control_plane,
            control_plane,
            priority,
            scarce,
            natural(turn.entry.spec.node.as_str()),
        )
    });
}

/// node-2 before node-10.
fn natural(name: &str) -> (String, u64, String) {
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (
        head.to_owned(),
        name[head.len()..].parse().unwrap_or(0),
        name.to_owned(),
    )
}

/// The first gate that is not met of those that look at no pod: they are asked of every entry at every plan. What
/// stops everything (pause, health) is asked before, once.
pub fn first_without_pods(
    draft: &mut Draft<'_>,
    tally: &Tally,
    turn: &Turn<'_>,
    node: &Node,
) -> Option<Blocker> {
    let policy = match goal::policy(draft, turn, node) {
        Ok(policy) => policy,
        Err(blocker) => return Some(blocker),
    };
    node::check(draft, turn, node)
        .or_else(|| goal::check(draft, turn, node, policy))
        .or_else(|| limits::check(draft, tally, node, policy))
        .or_else(|| first_proof::before_start(draft, tally, turn))
        .or_else(|| groups::check(tally, node, policy))
        .or_else(|| control_plane::check(draft, tally, turn, node))
}

/// The first gate that is not met of those that look at the node's pods.
pub fn first_of_pods(draft: &mut Draft<'_>, tally: &Tally, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    let policy = turn.governing?;
    budgets::check(draft, tally, turn, node, policy).or_else(|| capacity::check(draft, node))
}

/// The first gate that has closed between a grant and its cordon. Places and order are not asked again: the slot holds
/// them.
pub fn closed_since_grant(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    let unmet = pause::check(draft)
        .or_else(|| health::check(draft))
        .or_else(|| node::check(draft, turn, node));
    if unmet.is_some() {
        return unmet;
    }
    let policy = match goal::policy(draft, turn, node) {
        Ok(policy) => policy,
        Err(blocker) => return Some(blocker),
    };
    let unmet = goal::check(draft, turn, node, policy);
    unmet
        .or_else(|| node.control_plane.then(|| control_plane::before(draft)).flatten())
        .or_else(|| first_of_pods(draft, &Tally::default(), turn, node))
}

/// The first gate that is not met between a drained node and its power action. Asked before pinned pods leave as well:
/// they are down from then on.
pub fn before_power(draft: &mut Draft<'_>, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    if let Some(blocker) = first_proof::before_power(draft, turn) {
        return Some(blocker);
    }
    node.control_plane.then(|| control_plane::before(draft)).flatten()
}

/// Every gate that is not met, for `explain`.
pub fn all_unmet(draft: &mut Draft<'_>, tally: &Tally, turn: &Turn<'_>, node: &Node) -> Vec<Blocker> {
    let mut unmet = Vec::new();
    let policy = goal::policy(draft, turn, node);
    unmet.extend(pause::check(draft));
    unmet.extend(health::check(draft));
    unmet.extend(node::check(draft, turn, node));
    match policy {
        Err(blocker) => unmet.push(blocker),
        Ok(policy) => {
            unmet.extend(goal::check(draft, turn, node, policy));
            unmet.extend(limits::check(draft, tally, node, policy));
            unmet.extend(first_proof::before_start(draft, tally, turn));
            unmet.extend(groups::check(tally, node, policy));
            unmet.extend(control_plane::check(draft, tally, turn, node));
            unmet.extend(budgets::all(draft, tally, turn, node, policy));
            unmet.extend(capacity::check(draft, node));
        }
    }
    unmet
}
