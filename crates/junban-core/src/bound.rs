//! The least time that any scheduler could need, and which limit causes it (docs/design/performance.md#lower-bound).

use std::collections::BTreeMap;

use crate::builder::PlanBuilder;
use crate::derived::group_of;
use crate::duty::{is_pinned, must_leave};
use crate::entry::Phase;
use crate::ids::PdbKey;
use crate::node::Node;
use crate::queue::Queue;
use crate::tokens::{expected, impossible};

/// A node that is still to be rebooted. All times are in seconds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeTime {
    pub name: String,
    /// The least time in which its pods can leave.
    pub drain: f64,
    pub boot: f64,
    pub control_plane: bool,
    pub group: Option<String>,
}

/// Pods pinned to workers that share one budget.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PinnedBudget {
    pub name: String,
    /// How many disruptions the budget allows.
    pub allowed: u32,
    /// For each pinned pod its termination + the boot of its node + its start until Ready, and this start alone.
    pub holds: Vec<(f64, f64)>,
}

/// Pods that can move and share one budget.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MovableBudget {
    pub name: String,
    pub allowed: u32,
    /// How long a move holds its token.
    pub hold: f64,
    /// The least number of moves.
    pub moves: u32,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct BoundInput {
    pub nodes: Vec<NodeTime>,
    /// Workers that may be unavailable at a time.
    pub places: usize,
    /// How many groups may be open at a time, if the policy has groups.
    pub groups_at_once: Option<u32>,
    /// Whether no node is proven yet.
    pub first_proof: bool,
    pub pinned: Vec<PinnedBudget>,
    pub movable: Vec<MovableBudget>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Bound {
    pub seconds: u64,
    /// `path`, `limit maxUnavailable`, `groups` or `pdb shop/cart`.
    pub by: String,
}

/// The largest of path, limit, groups and budgets, plus first proof and control plane. It is rounded down.
pub fn lower_bound(input: &BoundInput) -> Option<Bound> {
    let time = |node: &NodeTime| node.drain + node.boot;
    let control_plane: f64 = input
        .nodes
        .iter()
        .filter(|node| node.control_plane)
        .map(time)
        .sum();
    let mut workers: Vec<&NodeTime> = input.nodes.iter().filter(|node| !node.control_plane).collect();
    if input.nodes.is_empty() {
        return None;
    }
    let mut first_proof = 0.0;
    if input.first_proof && workers.len() > 1 {
        workers.sort_by(|a, b| time(a).total_cmp(&time(b)).then(a.name.cmp(&b.name)));
        // At least the shortest turn passes before a second node may be powered. After that the others need at least
        // their boot, because they may have drained meanwhile.
        first_proof = time(workers[0]);
        workers.remove(0);
    }
    let mut bounds = vec![(longest(&workers, |node| node.boot), "path".to_owned())];
    if first_proof == 0.0 {
        bounds.push((longest(&workers, time), "path".to_owned()));
    }
    let places = input.places.max(1) as f64;
    let least = if first_proof > 0.0 {
        |node: &NodeTime| node.boot
    } else {
        |node: &NodeTime| node.drain + node.boot
    };
    bounds.push((
        workers.iter().map(|node| least(node)).sum::<f64>() / places,
        "limit maxUnavailable".to_owned(),
    ));
    bounds.push(groups(&workers, input.groups_at_once, least));
    for budget in &input.pinned {
        bounds.push((pinned(budget) - first_proof, format!("pdb {}", budget.name)));
    }
    for budget in &input.movable {
        bounds.push((movable(budget) - first_proof, format!("pdb {}", budget.name)));
    }
    // If bounds are equal, the first one: the path.
    let (seconds, by) = bounds.into_iter().rev().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let total = first_proof + seconds.max(0.0) + control_plane;
    Some(Bound {
        seconds: total.max(0.0).floor() as u64,
        by,
    })
}

fn longest(nodes: &[&NodeTime], time: impl Fn(&NodeTime) -> f64) -> f64 {
    nodes.iter().map(|node| time(node)).fold(0.0, f64::max)
}

fn groups(nodes: &[&NodeTime], at_once: Option<u32>, time: impl Fn(&NodeTime) -> f64) -> (f64, String) {
    let Some(at_once) = at_once else {
        return (0.0, "groups".to_owned());
    };
    let mut slowest: BTreeMap<&str, f64> = BTreeMap::new();
    for node in nodes {
        let group = node.group.as_deref().unwrap_or(node.name.as_str());
        let longest = slowest.entry(group).or_insert(0.0);
        *longest = longest.max(time(node));
    }
    (
        slowest.values().sum::<f64>() / f64::from(at_once.max(1)),
        "groups".to_owned(),
    )
}

/// (sum of the holds − allowed × longest start) ÷ allowed: the last start may fall after the run.
fn pinned(budget: &PinnedBudget) -> f64 {
    let allowed = f64::from(budget.allowed.max(1));
    let sum: f64 = budget.holds.iter().map(|(hold, _)| hold).sum();
    let last = budget.holds.iter().map(|(_, start)| *start).fold(0.0, f64::max);
    (sum - allowed * last) / allowed
}

/// (moves × hold − allowed × hold) ÷ allowed: the last moves may still be under way when their nodes go down.
fn movable(budget: &MovableBudget) -> f64 {
    let allowed = f64::from(budget.allowed.max(1));
    (f64::from(budget.moves) * budget.hold - allowed * budget.hold) / allowed
}

/// The least time in seconds that a move holds its token: the disruption controller does not see the successor earlier.
const MOVE_S: f64 = 1.0;
/// The least time in seconds from the cordon until a node is drained (docs/design/drain.md#drained).
const DRAIN_S: f64 = 5.0;

/// The bound of what is left. A boot counts the median of the boots proven so far, or else a fifth of `bootTimeout`.
/// Times that were not measured, as the start of a pod, count 0.
pub fn of_rest(plan: &PlanBuilder<'_>, queue: &Queue) -> Option<Bound> {
    let derived = &plan.derived;
    let mut proven: Vec<u64> = plan
        .cluster
        .entries
        .values()
        .filter_map(|entry| entry.record.boot_ms)
        .collect();
    proven.sort_unstable();
    let typical = proven.get(proven.len() / 2).map(|ms| *ms as f64 / 1_000.0);
    let mut input = BoundInput {
        places: queue.places(derived.counted, plan.broken()),
        first_proof: proven.is_empty(),
        ..BoundInput::default()
    };
    let mut budgets = BTreeMap::new();
    for turn in derived.turns.values() {
        let is_left = matches!(turn.phase(), Phase::Queued | Phase::Draining | Phase::Rebooting);
        let (Some(node), true) = (turn.node, is_left) else {
            continue;
        };
        let policy = derived.policy_of(&node.name);
        let guess = policy.map_or(300.0, |policy| policy.reboot.boot_timeout.as_secs_f64() / 5.0);
        let boot = typical.unwrap_or(guess);
        if let Some(groups) = policy.and_then(|policy| policy.groups.as_ref()) {
            input.groups_at_once = Some(groups.at_once);
        }
        if !node.is_control_plane() && turn.phase() != Phase::Rebooting {
            count_budgets(plan, node, boot, &mut budgets);
        }
        input.nodes.push(NodeTime {
            name: node.name.to_string(),
            drain: DRAIN_S,
            boot,
            control_plane: node.is_control_plane(),
            group: policy
                .and_then(|policy| group_of(policy, node))
                .map(|group| group.to_string()),
        });
    }
    for (key, (pinned, movable)) in budgets {
        let Some(budget) = plan.cluster.budgets.get(key) else {
            continue;
        };
        let name = key.to_string();
        let allowed = expected(plan.cluster, budget).saturating_sub(budget.desired_healthy);
        input.movable.push(MovableBudget {
            name: name.clone(),
            allowed,
            hold: MOVE_S,
            moves: movable,
        });
        input.pinned.push(PinnedBudget {
            name,
            allowed,
            holds: pinned,
        });
    }
    lower_bound(&input)
}

/// For each pinned pod of a budget how long it holds its token, and how many pods must move.
type Needs = (Vec<(f64, f64)>, u32);

/// Counts the Ready pods that must leave a node, by their budget. A budget that can never allow an eviction is left
/// out: its nodes do not start.
fn count_budgets<'a>(
    plan: &PlanBuilder<'a>,
    node: &Node,
    boot: f64,
    budgets: &mut BTreeMap<&'a PdbKey, Needs>,
) {
    let cluster = plan.cluster;
    for pod in cluster
        .pods_of(&node.name)
        .filter(|pod| pod.ready && !pod.terminating)
    {
        let mut selecting = cluster.budgets_of(pod);
        let (Some(budget), None) = (selecting.next(), selecting.next()) else {
            continue;
        };
        if impossible(cluster, budget).is_some() || !must_leave(cluster, plan.memory, pod, None) {
            continue;
        }
        let (pinned, movable) = budgets.entry(&budget.key).or_default();
        if is_pinned(cluster, node, pod) {
            pinned.push((boot, 0.0));
        } else {
            *movable += 1;
        }
    }
}

#[cfg(test)]
mod tests;
