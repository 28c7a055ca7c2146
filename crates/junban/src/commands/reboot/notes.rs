//! The notes that `junban reboot` prints after what it did.

use std::collections::{BTreeMap, BTreeSet};

use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::derived::Derived;
use junban_core::gates::pause;
use junban_core::ids::PolicyName;
use junban_core::memory::Memory;
use junban_core::time::Now;

use crate::commands::columns::some;

/// What keeps the nodes of these policies waiting, although the command itself succeeded.
pub(super) fn waiting(cluster: &Cluster, policies: &BTreeSet<PolicyName>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(blocker) = pause::of(&cluster.queue) {
        notes.push(format!(
            "note: nothing starts: {blocker}\nhint: {}",
            blocker.hint()
        ));
    }
    let lacks_driver = |name: &&PolicyName| {
        let policy = cluster.policies.get(*name);
        let is_empty = policy.is_some_and(|policy| policy.reboot.ladder.is_empty());
        is_empty && !cluster.unreadable_policies.contains_key(name)
    };
    let without_driver: Vec<String> = policies
        .iter()
        .filter(lacks_driver)
        .map(ToString::to_string)
        .collect();
    if let Some(first) = without_driver.first() {
        notes.push(format!(
            "note: without a driver the nodes of policy {} wait (NoDriver)\nhint: set spec.reboot.ladder: kubectl edit rebootpolicy {first}",
            some(&without_driver, 5),
        ));
    }
    notes
}

/// Joining changes nothing, so a reason that was given with it is lost.
pub(super) fn dropped_reason(reason: &str, joined: bool, again: &str) -> Option<String> {
    let note =
        || format!("note: the reason is not kept for a goal or an entry that was joined\nhint: {again}");
    (joined && !reason.is_empty()).then(note)
}

pub(super) fn unreadable(policy: &str, why: &str) -> String {
    format!(
        "note: policy {policy} cannot be read, so nothing starts under it: {why}\nhint: kubectl get rebootpolicy {policy} -o yaml | junban lint -"
    )
}

/// Policies that govern a node. What the other policies lack keeps no node waiting.
pub(super) fn policies_with_nodes(cluster: &Cluster, now: Now) -> BTreeSet<PolicyName> {
    let derived = Derived::new(cluster, &Memory::default(), now);
    let governing = derived.governed.values().flatten();
    governing.map(|policy| policy.name.clone()).collect()
}

/// Nodes that a goal for all does not reach, and why.
pub(super) fn left_aside(cluster: &Cluster, now: Now) -> Vec<String> {
    let derived = Derived::new(cluster, &Memory::default(), now);
    let mut aside: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in cluster.nodes.values() {
        let why = match derived.governed.get(&node.name) {
            _ if node.excluded => format!("labelled {}", names::EXCLUDE),
            Some(Err(blocker)) => format!("{blocker}; hint: {}", blocker.hint()),
            _ => continue,
        };
        aside.entry(why).or_default().push(node.name.to_string());
    }
    let of_nodes = aside
        .into_iter()
        .map(|(why, nodes)| format!("note: not rebooted: {} ({why})", some(&nodes, 5)));
    let of_policies = cluster
        .unreadable_policies
        .iter()
        .map(|(policy, why)| unreadable(policy.as_str(), why));
    of_nodes.chain(of_policies).collect()
}

#[cfg(test)]
mod tests;
