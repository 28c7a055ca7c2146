//! `junban reboot --dry-run`: what would be rebooted, what would block it before any cordon, and what it would cost. It
//! asks the controller's gates, over a copy of the cluster in which the goal is set already.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use junban_api::convert::format_goal;
use junban_core::blocker::Blocker;
use junban_core::cluster::{Cluster, QueueView};
use junban_core::derived::Derived;
use junban_core::detail::Detail;
use junban_core::entry::{Entry, EntrySpec, Record};
use junban_core::explain::explain;
use junban_core::goal::entry_name;
use junban_core::ids::{EntryUid, NodeName, Version, natural};
use junban_core::memory::Memory;
use junban_core::node::Node;
use junban_core::object::ObjectRef;
use junban_core::policy::Policy;
use junban_core::reason::Reason;
use junban_core::time::Now;
use junban_core::verbs::reboot::{decide_all, decide_nodes};
use junban_kube::list_once::Scope;
use serde::Serialize;

use super::asked::Asked;
use super::notes::left_aside;
use crate::commands::columns::some;
use crate::commands::cost::{self, Cost};
use crate::commands::printer::Printer;
use crate::commands::problem::{Exit, Problem};
use crate::commands::session::Session;
use crate::commands::snapshot::{self, Snapshot};

/// Reasons that only say whose turn it is: every node waits for its turn.
const TURNS: [Reason; 11] = [
    Reason::LedgerRebuilding,
    Reason::NoPlace,
    Reason::QueueLimit,
    Reason::PolicyLimit,
    Reason::FirstProof,
    Reason::GroupClosed,
    Reason::ControlPlaneTurn,
    Reason::ControlPlaneChecking,
    Reason::QuorumTurn,
    Reason::AnotherEntry,
    Reason::NotDue,
];

pub(super) async fn run(
    session: &Session,
    asked: &Asked,
    again: bool,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let mut snapshot = Snapshot::take(session, Scope::Everything)
        .await?
        .require_nodes()?;
    let now = snapshot::now(&snapshot.cluster, session.now(), None);
    let forecast = forecast(&mut snapshot.cluster, now, asked, again)?;
    printer.value(&forecast, || forecast.describe())?;
    if let Some(note) = snapshot.note() {
        printer.message(&note);
    }
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Forecast {
    goal: String,
    /// Nodes that would be rebooted, with the policy that governs each.
    reboot: BTreeMap<String, String>,
    /// Nodes that would not be rebooted, with the reason.
    aside: Vec<String>,
    blocked: Vec<BlockedNodes>,
    cost: Cost,
}

/// Nodes, and what blocks them.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockedNodes {
    reason: String,
    object: String,
    message: String,
    hint: String,
    nodes: Vec<String>,
}

fn forecast(cluster: &mut Cluster, now: Now, asked: &Asked, again: bool) -> Result<Forecast, Problem> {
    let (goal, nodes, aside) = match asked {
        Asked::All => {
            let goal = decide_all(cluster, now, again)?.goal;
            let aside = left_aside(cluster, now);
            (goal, cluster.nodes.keys().cloned().collect(), aside)
        }
        Asked::Nodes(nodes) => {
            decide_nodes(cluster, now, nodes, "you", "")?;
            (now.wall, nodes.clone(), Vec::new())
        }
    };
    let reboot = set_goal(cluster, now, goal, &nodes, matches!(asked, Asked::All));
    let mut blocked = Vec::new();
    // A pause blocks all nodes. It is ended in the copy, so that it does not hide the other blockers.
    if let QueueView::Present(queue) = &mut cluster.queue
        && std::mem::take(&mut queue.paused)
    {
        let detail = Detail::PausedBecause(queue.pause_reason.clone());
        let pause = Blocker::new(Reason::Paused, ObjectRef::Queue, detail);
        blocked.push(BlockedNodes::new(&pause, Vec::new()));
    }
    let memory = Memory::default();
    let names: BTreeSet<NodeName> = reboot.keys().map(NodeName::new).collect();
    let mut by_blocker: BTreeMap<Blocker, BTreeSet<String>> = BTreeMap::new();
    for name in &names {
        for blocker in explain(cluster, &memory, now, name) {
            if !TURNS.contains(&blocker.reason) {
                by_blocker.entry(blocker).or_default().insert(name.to_string());
            }
        }
    }
    blocked.extend(
        by_blocker
            .into_iter()
            .map(|(blocker, nodes)| BlockedNodes::new(&blocker, nodes.into_iter().collect())),
    );
    let derived = Derived::new(cluster, &memory, now);
    Ok(Forecast {
        goal: format_goal(goal),
        cost: cost::of(cluster, &derived, &names),
        reboot,
        aside,
        blocked,
    })
}

/// Sets the goal in the copy, and makes the entries that the controller would make. Returns the nodes that would be
/// rebooted, with the policy of each.
fn set_goal(
    cluster: &mut Cluster,
    now: Now,
    goal: Timestamp,
    nodes: &[NodeName],
    by_goal: bool,
) -> BTreeMap<String, String> {
    if by_goal {
        for policy in cluster.policies.values_mut() {
            policy.booted_after = Some(goal);
        }
    }
    let (entries, reboot) = {
        let memory = Memory::default();
        let derived = Derived::new(cluster, &memory, now);
        let mut entries = Vec::new();
        let mut reboot = BTreeMap::new();
        for node in nodes.iter().filter_map(|name| cluster.nodes.get(name)) {
            let Some(policy) = derived.policy_of(&node.name) else {
                continue;
            };
            let has_turn = derived.open_turn(&node.name).is_some();
            let done = derived.has_booted_since(node, goal);
            let waived = derived.is_waived(node, goal);
            if node.excluded || (by_goal && (done || waived) && !has_turn) {
                continue;
            }
            reboot.insert(node.name.to_string(), policy.name.to_string());
            if !has_turn {
                entries.push(entry(node, policy, goal, by_goal));
            }
        }
        (entries, reboot)
    };
    for entry in entries {
        cluster.apply_entry(entry);
    }
    reboot
}

fn entry(node: &Node, policy: &Policy, goal: Timestamp, by_goal: bool) -> Entry {
    Entry {
        name: entry_name(&node.name, &node.uid, &policy.name, goal),
        uid: EntryUid::new(format!("dry run, node {}", node.name)),
        version: Version(u64::MAX),
        generation: 1,
        created: goal,
        spec: EntrySpec {
            requested_by: if by_goal { String::new() } else { "you".to_owned() },
            priority: policy.priority,
            ..EntrySpec::new(node.name.clone(), node.uid.clone(), policy.name.clone(), goal)
        },
        record: Record::default(),
    }
}

impl BlockedNodes {
    fn new(blocker: &Blocker, nodes: Vec<String>) -> Self {
        Self {
            reason: blocker.reason.to_string(),
            object: blocker.object.to_string(),
            message: blocker.to_string(),
            hint: blocker.hint().to_owned(),
            nodes,
        }
    }
}

impl Forecast {
    fn describe(&self) -> String {
        let mut by_policy: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (node, policy) in &self.reboot {
            by_policy.entry(policy).or_default().push(node.clone());
        }
        let mut text = format!(
            "Would be rebooted, with the goal {}: {} nodes\n",
            self.goal,
            self.reboot.len()
        );
        for (policy, mut nodes) in by_policy {
            nodes.sort_by_key(|name| natural(name));
            text.push_str(&format!(
                "  policy {policy}: {} ({})\n",
                nodes.len(),
                some(&nodes, 8)
            ));
        }
        for aside in &self.aside {
            text.push_str(&format!("  {aside}\n"));
        }
        if !self.blocked.is_empty() {
            text.push_str("\nWould wait, before any cordon:\n");
        }
        for blocked in &self.blocked {
            let nodes = if blocked.nodes.is_empty() {
                "all".to_owned()
            } else {
                some(&blocked.nodes, 5)
            };
            text.push_str(&format!("  {}: {} [{nodes}]\n", blocked.reason, blocked.message));
            if !blocked.hint.is_empty() {
                text.push_str(&format!("    hint: {}\n", blocked.hint));
            }
        }
        text.push_str(&self.cost.describe());
        text.push_str("\nNothing was changed.");
        text
    }
}

#[cfg(test)]
mod tests;
