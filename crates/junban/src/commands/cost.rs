//! What a goal costs: which workloads are interrupted, which nodes cannot be rebooted, and where too many pods of one
//! budget stand together for a quick drain.

use std::collections::{BTreeMap, BTreeSet};

use junban_core::blocker::Blocker;
use junban_core::cluster::Cluster;
use junban_core::derived::Derived;
use junban_core::duty::{Duty, duty};
use junban_core::effect::BudgetKey;
use junban_core::ids::NodeName;
use junban_core::memory::Memory;
use junban_core::node::Node;
use junban_core::opening;
use junban_core::placement::Placement;
use junban_core::pod::{Pod, PodPhase};
use junban_core::policy::Policy;
use junban_core::tokens::{budget_of, expected, impossible};
use junban_core::workload::WorkloadKey;
use serde::Serialize;

use super::columns::some;

/// Each line is a sentence that names the object and its owner.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cost {
    /// Single replicas without a budget: they are down from the eviction until their successor is Ready.
    pub(crate) interrupted: Vec<String>,
    /// Pods that no other node can take: they are down for the boot of their node.
    pub(crate) staying: Vec<String>,
    /// Budgets that can never allow an eviction: the nodes of their pods are not cordoned.
    pub(crate) impossible: Vec<String>,
    /// Budgets that have more pods in one group than they allow disruptions: these pods leave one after the other.
    pub(crate) crowded: Vec<String>,
}

/// The pods of one owner under one budget.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PodsOfOwner {
    budget: BudgetKey,
    owner: String,
}

/// What the reboots of these nodes cost.
pub(crate) fn of(cluster: &Cluster, derived: &Derived<'_>, nodes: &BTreeSet<NodeName>) -> Cost {
    let mut interrupted = BTreeSet::new();
    let memory = Memory::default();
    let placement = Placement::new(cluster, &memory);
    let mut staying = Vec::new();
    let mut never: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut in_groups: BTreeMap<PodsOfOwner, BTreeMap<String, u32>> = BTreeMap::new();
    for node in nodes.iter().filter_map(|name| cluster.nodes.get(name)) {
        let policy = derived.policy_of(&node.name);
        let group = group(policy, node);
        for pod in cluster.pods_of(&node.name) {
            // A pod that never started interrupts nothing.
            let runs = pod.phase == PodPhase::Running;
            if !(runs && matches!(duty(cluster, None, pod, policy), Duty::Evict)) {
                continue;
            }
            if let Some(why) = placement.stays_because(node, pod) {
                staying.push(format!("pod {} on node {}: {why}", pod.key, node.name));
            }
            let owner = owner(cluster, pod);
            let is_single = |owner: &WorkloadKey| memory.unreplaced.replicas(cluster, owner) < 2;
            match possible_budget(cluster, pod) {
                Ok(BudgetKey::Implied(owner)) if is_single(&owner) => {
                    interrupted.insert(format!("{owner} (pod {} on node {})", pod.key, node.name));
                }
                Ok(BudgetKey::Pod(_)) => {
                    interrupted.insert(format!("{owner} (pod {} on node {})", pod.key, node.name));
                }
                Ok(budget) => {
                    let groups = in_groups.entry(PodsOfOwner { budget, owner }).or_default();
                    *groups.entry(group.clone()).or_default() += 1;
                }
                // Its operator opens it under the cordon.
                Err(_) if policy.is_some_and(|policy| opening::of(cluster, pod, policy).is_some()) => {}
                Err(blocker) => {
                    never.entry(blocker.to_string()).or_default().insert(owner);
                }
            }
        }
    }
    Cost {
        interrupted: interrupted.into_iter().collect(),
        staying,
        impossible: never
            .into_iter()
            .map(|(why, owners)| {
                let owners: Vec<String> = owners.into_iter().collect();
                format!("{why} ({})", some(&owners, 3))
            })
            .collect(),
        crowded: in_groups
            .into_iter()
            .filter_map(|(pods, groups)| crowded(cluster, derived, &pods, groups))
            .collect(),
    }
}

/// The budget of a pod, or why the pod can never be evicted.
fn possible_budget(cluster: &Cluster, pod: &Pod) -> Result<BudgetKey, Blocker> {
    let budget = budget_of(cluster, pod)?;
    let never = match &budget {
        BudgetKey::Pdb(key) => cluster
            .budgets
            .get(key)
            .and_then(|budget| impossible(cluster, budget)),
        _ => None,
    };
    never.map_or(Ok(budget), Err)
}

/// The place in which pods stand too close together: the group of the node, or without groups the node itself.
fn group(policy: Option<&Policy>, node: &Node) -> String {
    let rules = policy.and_then(|policy| policy.groups.as_ref());
    match rules.and_then(|rules| Some((&rules.by, node.labels.get(&rules.by)?))) {
        Some((by, value)) => format!("in {by}={value}"),
        None => format!("on node {}", node.name),
    }
}

/// A sentence about the groups that have more of these pods than their budget allows disruptions, if there are any.
fn crowded(
    cluster: &Cluster,
    derived: &Derived<'_>,
    pods: &PodsOfOwner,
    groups: BTreeMap<String, u32>,
) -> Option<String> {
    let allowed = allowed(cluster, derived, pods);
    let groups = groups.into_iter().filter(|(_, count)| *count > allowed);
    let groups: Vec<String> = groups.map(|(group, count)| format!("{count} {group}")).collect();
    if groups.is_empty() {
        return None;
    }
    let budget = match &pods.budget {
        BudgetKey::Pdb(key) => format!("pdb {key} allows {allowed}"),
        _ => format!("without a PodDisruptionBudget {allowed} may be disrupted"),
    };
    Some(format!(
        "{}: {}; {budget} at a time",
        pods.owner,
        some(&groups, 3)
    ))
}

/// How many disruptions the budget allows at a time when every pod is healthy.
fn allowed(cluster: &Cluster, derived: &Derived<'_>, pods: &PodsOfOwner) -> u32 {
    match &pods.budget {
        BudgetKey::Pdb(key) => cluster.budgets.get(key).map_or(0, |budget| {
            expected(cluster, budget).saturating_sub(budget.desired_healthy)
        }),
        _ => {
            let replicas = cluster
                .workloads
                .values()
                .find(|workload| workload.key.to_string() == pods.owner)
                .and_then(|workload| workload.replicas)
                .unwrap_or(1);
            let policies = derived.governed.values().flatten();
            let limits = policies.map(|policy| &policy.drain.unbudgeted_max_unavailable);
            let share = limits.map(|limit| limit.of_rounded_down(replicas as usize)).min();
            u32::try_from(share.unwrap_or(1).max(1)).unwrap_or(u32::MAX)
        }
    }
}

fn owner(cluster: &Cluster, pod: &Pod) -> String {
    cluster
        .topmost_owner(pod)
        .map_or_else(|| format!("pod {}", pod.key), |owner| owner.to_string())
}

impl Cost {
    /// Text for people. Empty if there is nothing to say.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (heading, lines) in [
            (
                "Interrupted, because they have one replica and no budget:",
                &self.interrupted,
            ),
            (
                "Down for the boot of their node, because no other node can take them:",
                &self.staying,
            ),
            (
                "Never evicted, so their nodes are not rebooted until somebody acts:",
                &self.impossible,
            ),
            (
                "Close together (anti-affinity is missing), so they leave one after the other:",
                &self.crowded,
            ),
        ] {
            if !lines.is_empty() {
                text.push_str(&format!("\n{heading}\n  {}\n", lines.join("\n  ")));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
