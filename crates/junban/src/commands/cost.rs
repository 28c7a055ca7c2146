//! What a goal costs: which workloads are interrupted, which nodes cannot be rebooted, and where pods stand too close
//! together for a quick drain.

use std::collections::{BTreeMap, BTreeSet};

use junban_core::cluster::Cluster;
use junban_core::derived::Derived;
use junban_core::duty::{Duty, duty};
use junban_core::effect::BudgetKey;
use junban_core::ids::NodeName;
use junban_core::node::Node;
use junban_core::pod::Pod;
use junban_core::policy::Policy;
use junban_core::tokens::{budget_of, impossible};
use serde::Serialize;

use super::columns::some;

/// Each line is a sentence that names the object and its owner.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cost {
    /// Single replicas without a budget: they are down from the eviction until their successor is Ready.
    pub(crate) interrupted: Vec<String>,
    /// Budgets that can never allow an eviction: the nodes of their pods are not cordoned.
    pub(crate) impossible: Vec<String>,
    /// Budgets that have more pods in one group than they allow disruptions: these pods leave one after the other.
    pub(crate) crowded: Vec<String>,
}

/// Pods of one budget and owner.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shared {
    budget: BudgetKey,
    owner: String,
}

/// Looks at the pods of these nodes that must leave.
pub(crate) fn of(cluster: &Cluster, derived: &Derived<'_>, nodes: &BTreeSet<NodeName>) -> Cost {
    let mut interrupted = BTreeSet::new();
    let mut impossible_budgets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut in_group: BTreeMap<(Shared, String), u32> = BTreeMap::new();
    for node in nodes.iter().filter_map(|name| cluster.nodes.get(name)) {
        let policy = derived.policy_of(&node.name);
        let group = group(policy, node);
        for pod in cluster.pods_of(&node.name) {
            if !matches!(duty(cluster, None, pod, policy), Duty::Evict) {
                continue;
            }
            match budget_of(cluster, pod) {
                Ok(BudgetKey::Pod(_)) => {
                    interrupted.insert(format!(
                        "{} (pod {} on node {})",
                        owner(cluster, pod),
                        pod.key,
                        node.name
                    ));
                }
                Ok(budget) => {
                    if let BudgetKey::Pdb(key) = &budget
                        && let Some(blocker) = cluster.budgets.get(key).and_then(impossible)
                    {
                        let owners = impossible_budgets.entry(blocker.to_string()).or_default();
                        owners.insert(owner(cluster, pod));
                        continue;
                    }
                    let shared = Shared {
                        budget,
                        owner: owner(cluster, pod),
                    };
                    *in_group.entry((shared, group.clone())).or_default() += 1;
                }
                Err(blocker) => {
                    let owners = impossible_budgets.entry(blocker.to_string()).or_default();
                    owners.insert(owner(cluster, pod));
                }
            }
        }
    }
    Cost {
        interrupted: interrupted.into_iter().collect(),
        impossible: impossible_budgets
            .into_iter()
            .map(|(why, owners)| {
                let owners: Vec<String> = owners.into_iter().collect();
                format!("{why} ({})", some(&owners, 3))
            })
            .collect(),
        crowded: crowded(cluster, derived, in_group),
    }
}

/// The place in which pods stand too close together: the group of the node, or without groups the node itself.
fn group(policy: Option<&Policy>, node: &Node) -> String {
    let rules = policy.and_then(|policy| policy.groups.as_ref());
    match rules.and_then(|rules| Some((&rules.by, node.labels.get(&rules.by)?))) {
        Some((by, value)) => format!("in {by}={value}"),
        None => format!("on node {}", node.name),
    }
}

fn crowded(
    cluster: &Cluster,
    derived: &Derived<'_>,
    in_group: BTreeMap<(Shared, String), u32>,
) -> Vec<String> {
    let mut groups: BTreeMap<Shared, Vec<String>> = BTreeMap::new();
    for ((shared, group), count) in in_group {
        let allowed = allowed(cluster, derived, &shared);
        if count > allowed {
            groups.entry(shared).or_default().push(format!("{count} {group}"));
        }
    }
    groups
        .into_iter()
        .map(|(shared, groups)| {
            let allowed = allowed(cluster, derived, &shared);
            let budget = match &shared.budget {
                BudgetKey::Pdb(key) => format!("pdb {key} allows {allowed}"),
                _ => format!("without a PodDisruptionBudget {allowed} may be disrupted"),
            };
            format!("{}: {}; {budget} at a time", shared.owner, some(&groups, 3))
        })
        .collect()
}

/// Disruptions at a time when every pod is healthy.
fn allowed(cluster: &Cluster, derived: &Derived<'_>, shared: &Shared) -> u32 {
    match &shared.budget {
        BudgetKey::Pdb(key) => cluster.budgets.get(key).map_or(0, |budget| {
            budget.expected_pods.saturating_sub(budget.desired_healthy)
        }),
        _ => {
            let replicas = cluster
                .workloads
                .values()
                .find(|workload| workload.key.to_string() == shared.owner)
                .and_then(|workload| workload.replicas)
                .unwrap_or(1);
            let limits = derived
                .governed
                .values()
                .filter_map(|governing| governing.as_ref().ok());
            let share = limits
                .map(|policy| {
                    policy
                        .drain
                        .unbudgeted_max_unavailable
                        .of_rounded_down(replicas as usize)
                })
                .min();
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
                "Interrupted, for they have one replica and no budget:",
                &self.interrupted,
            ),
            (
                "Never evicted, so their nodes are not rebooted before somebody acts:",
                &self.impossible,
            ),
            (
                "Close together (anti-affinity is missing), so they leave one after another:",
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
