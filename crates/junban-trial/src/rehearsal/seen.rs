//! What a run showed: the rules that were broken, the turns and the budgets.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use junban_world::{Mirror, Store, Truth, TruthEvent};

use super::budgets::{AppsByNode, Budgets};
use super::turns::LoggedTurn;
use super::workload::{APP, NAMESPACE};
use crate::watched::{WATCHES_LATE_MS, Watched};

#[derive(Default)]
pub(super) struct Seen {
    pub(super) budgets: Budgets,
    /// Rules that were broken, in words.
    pub(super) broken: Vec<String>,
    pub(super) turns: Vec<LoggedTurn>,
    /// How many volumes were detached.
    pub(super) detached: usize,
    pub(super) most_unavailable: usize,
    /// When each node with a slot got it.
    slots: BTreeMap<String, f64>,
    /// The node of each pod, by UID.
    pods: BTreeMap<String, String>,
}

impl Seen {
    pub(super) fn of(watched: &Watched) -> Result<Self> {
        let mut seen = Self::default();
        let violations = watched.judge(|cluster, event| seen.see(cluster, event))?;
        let in_words = |violation: &junban_world::Violation| {
            let at = seconds(violation.at.saturating_sub(watched.began()));
            format!("{}: {}, after {at:.3} s", violation.rule, violation.text)
        };
        seen.broken = violations.iter().map(in_words).collect();
        Ok(seen)
    }

    fn see(&mut self, cluster: &Mirror, event: &TruthEvent) {
        let at = seconds(event.at);
        let store = cluster.store();
        match &event.what {
            Truth::Slots { holders } => {
                self.slots.retain(|node, _| holders.contains_key(node));
                for node in holders.keys() {
                    self.slots.entry(node.clone()).or_insert(at);
                }
            }
            Truth::Cordon {
                node, cordoned: true, ..
            } => {
                self.turns.push(LoggedTurn {
                    node: node.clone(),
                    control_plane: store.node(node).is_some_and(|node| node.is_control_plane()),
                    granted: self.slots.get(node).copied().unwrap_or(at),
                    cordoned: at,
                    apps: apps_by_node(store),
                    ..LoggedTurn::default()
                });
                let unavailable = store
                    .nodes()
                    .filter(|node| node.unschedulable || !node.is_ready());
                self.most_unavailable = self.most_unavailable.max(unavailable.count());
            }
            Truth::Cordon { node, .. } => {
                if let Some(turn) = self.turn(node) {
                    turn.restored = Some(at);
                }
            }
            Truth::PowerCalled { node, .. } => {
                let at = seconds(event.at - WATCHES_LATE_MS);
                if let Some(turn) = self.turn(node) {
                    turn.powered.get_or_insert(at);
                }
            }
            Truth::PodAdded(pod) | Truth::PodChanged(pod) => {
                self.pods
                    .extend(pod.node.clone().map(|node| (pod.uid.clone(), node)));
            }
            Truth::PodGone { uid, .. } => {
                if let Some(node) = self.pods.remove(uid) {
                    self.left(&node, at);
                }
            }
            Truth::Detached { node } => {
                self.detached += 1;
                self.left(node, at);
            }
            // A budget has the name of its app.
            Truth::Budget { budget, allowed, .. } => self.budgets.see(app(budget), at, *allowed > 0),
            Truth::Serving {
                service,
                serving,
                wanted,
                ..
            } if store.budget(NAMESPACE, app(service)).is_none() => {
                self.implied_budget(app(service), at, *serving, *wanted);
            }
            _ => {}
        }
    }

    /// The turn of the node that is under way.
    fn turn(&mut self, node: &str) -> Option<&mut LoggedTurn> {
        let turn = self.turns.iter_mut().rev().find(|turn| turn.node == node);
        turn.filter(|turn| turn.restored.is_none())
    }

    /// A pod or a volume left the node.
    fn left(&mut self, node: &str, at: f64) {
        if let Some(turn) = self.turn(node).filter(|turn| turn.powered.is_none()) {
            turn.last_gone = Some(at);
        }
    }

    /// An app without a budget has an implied one: a tenth of its pods may be disrupted, rounded down but at least 1, and
    /// never its last Ready pod (docs/design/drain.md#implied-budgets).
    fn implied_budget(&mut self, app: &str, at: f64, healthy: u64, replicas: u64) {
        if replicas >= 2 {
            let may_be = (replicas / 10).max(1);
            let allows = replicas.saturating_sub(healthy) < may_be && healthy > 1;
            self.budgets.see(app, at, allows);
        }
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

/// The name after the namespace.
fn app(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, name)| name)
}

fn apps_by_node(store: &Store) -> AppsByNode {
    let apps = |node: &str| -> BTreeSet<String> {
        let pods = store.pods_on(node);
        pods.filter_map(|pod| pod.meta.labels.get(APP).cloned()).collect()
    };
    let nodes = store.nodes();
    nodes
        .map(|node| (node.meta.name.to_string(), apps(&node.meta.name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn an_app_without_a_budget_has_an_implied_one() {
        let allows = |replicas, healthy| {
            let mut seen = Seen::default();
            seen.implied_budget("web", 0.0, healthy, replicas);
            seen.budgets.last("web")
        };
        assert_eq!(allows(15, 15), Some(true));
        assert_eq!(allows(15, 14), Some(false));
        assert_eq!(allows(20, 19), Some(true));
        assert_eq!(allows(2, 2), Some(true));
        assert_eq!(allows(1, 1), None);
    }
}
