//! Rules that hold on the real control plane in every scenario, judged from watches alone: no budget below its need,
//! no workload of two or more replicas without a Ready pod, no node taken above the limits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::facts::BudgetState;
use crate::scenario::facts::Facts;
use crate::scenario::judge::Judge;
use crate::scenario::model::Scenario;
use crate::scenario::settings;

pub(super) struct Rules {
    /// A machine that fails takes pods with it: then nobody but the machine is to blame.
    machines_fail: bool,
    /// Namespaces in which a policy lets pods be deleted after a denial: there a budget does not hold.
    deletes_in: BTreeSet<String>,
    limits: Written,
    /// What was written before, and until when a controller may go by that.
    before: Option<(Duration, Written)>,
    marked: BTreeSet<String>,
    /// Workloads and budgets that were well at some time: before that they are only being made.
    were_well: BTreeSet<String>,
    /// When a node was last NotReady without a turn: an API server that went away under its kubelet.
    shaken: BTreeMap<String, Duration>,
    /// Since when a rule looks broken: watches of different kinds show one moment one after the other.
    doubted: BTreeMap<String, Duration>,
}

/// `maxUnavailable` and `failures.max` of the queue.
type Written = (Value, Value);

/// After an edit a controller may go by either text for so long.
const EDIT_KNOWN_AFTER: Duration = Duration::from_secs(10);

/// What looks broken for so long is.
const DOUBTED_FOR: Duration = Duration::from_millis(300);

/// After a node is Ready again its pods' statuses follow.
const SHAKEN_FOR: Duration = Duration::from_secs(15);

impl Rules {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut queue = json!({});
        settings::apply(&mut queue, &scenario.queue, 0);
        let never_ready = scenario.workloads.iter().any(|at| at.what.never_ready);
        let text = |act: &crate::scenario::model::Act| format!("{act:?}");
        let acts = scenario.steps.iter().map(|at| format!("{:?}", at.what));
        let given = scenario.given.iter().map(|at| text(&at.what));
        let harms = [
            "PowerOff",
            "RebootMachine",
            "Fault(",
            "DeletePod",
            "Scale",
            "EditBudget",
            "Node(",
        ];
        let harmed = acts
            .chain(given)
            .any(|act| harms.iter().any(|harm| act.contains(harm)));
        Self {
            deletes_in: settings::deletes_in(scenario),
            machines_fail: !scenario.faults.is_empty() || harmed || never_ready,
            limits: written(&queue),
            before: None,
            marked: BTreeSet::new(),
            were_well: BTreeSet::new(),
            shaken: BTreeMap::new(),
            doubted: BTreeMap::new(),
        }
    }

    pub(super) fn look(
        &mut self,
        facts: &Facts,
        budgets: Vec<BudgetState>,
        queue: Option<&Value>,
        at: Duration,
        judge: &mut Judge<'_>,
    ) {
        if let Some(limits) = queue.map(written).filter(|limits| *limits != self.limits) {
            let before = std::mem::replace(&mut self.limits, limits);
            self.before = Some((at + EDIT_KNOWN_AFTER, before));
        }
        self.limits(facts, at, judge);
        for (name, node) in &facts.nodes {
            if !node.ready && !node.marked {
                self.shaken.insert(name.clone(), at);
            }
        }
        let is_shaken = self.shaken.values().any(|when| at < *when + SHAKEN_FOR);
        if self.machines_fail || is_shaken {
            self.doubted.clear();
            return;
        }
        let mut broken = Vec::new();
        let deletes_in = &self.deletes_in;
        let holds = |name: &str| {
            !name
                .split_once('/')
                .is_some_and(|(namespace, _)| deletes_in.contains(namespace))
        };
        for (name, healthy, needed) in budgets.into_iter().filter(|(name, ..)| holds(name)) {
            let id = format!("budget {name}");
            if healthy >= needed {
                self.were_well.insert(id);
            } else if self.were_well.contains(&id) {
                broken.push((id, format!("{healthy} healthy, {needed} needed")));
            }
        }
        for (workload, _) in facts.replicas.iter().filter(|(_, replicas)| **replicas >= 2) {
            if facts.ready_pods(workload) > 0 {
                self.were_well.insert(workload.clone());
            } else if self.were_well.contains(workload) {
                broken.push((workload.clone(), "no Ready pod".to_owned()));
            }
        }
        self.doubted
            .retain(|id, _| broken.iter().any(|(still, _)| still == id));
        for (id, seen) in broken {
            let since = *self.doubted.entry(id.clone()).or_insert(at);
            if at >= since + DOUBTED_FOR {
                judge.fail(
                    at,
                    "no budget falls below its need, and two replicas or more keep a Ready pod",
                    format!("{id}: {seen}"),
                );
            }
        }
    }

    /// At the moment at which a node is marked.
    fn limits(&mut self, facts: &Facts, at: Duration, judge: &mut Judge<'_>) {
        let marked: BTreeSet<String> = facts
            .nodes
            .iter()
            .filter(|(_, node)| node.marked)
            .map(|(name, _)| name.clone())
            .collect();
        let new = marked.difference(&self.marked).count();
        self.marked = marked;
        if new == 0 {
            return;
        }
        let nodes = facts.nodes.len();
        let failed = facts
            .entries
            .iter()
            .filter(|entry| entry.phase == "Failed")
            .count();
        let down = facts
            .nodes
            .values()
            .filter(|node| !node.ready && !node.marked)
            .count();
        let broken = failed + down;
        let places = |(max_unavailable, failures_max): &Written| {
            let tolerated = broken.min(share(failures_max, nodes, 5).max(1));
            share(max_unavailable, nodes, 10).max(tolerated + 1)
        };
        let before = self.before.as_ref().filter(|(until, _)| at < *until);
        let places = places(&self.limits).max(before.map_or(0, |(_, before)| places(before)));
        let taken = facts.nodes.values().filter(|node| node.unavailable()).count();
        if taken > places {
            let seen = format!("{taken} of {nodes} nodes are unavailable, {places} may be");
            judge.fail(at, "no node is taken above the limits", seen);
        }
    }
}

fn written(queue: &Value) -> Written {
    (queue["maxUnavailable"].clone(), queue["failures"]["max"].clone())
}

/// A count, or a percentage rounded up; `default` percent where nothing is written.
fn share(value: &Value, of: usize, default: usize) -> usize {
    let percent = match value {
        Value::Number(number) => {
            return number
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(of);
        }
        Value::String(text) => text
            .strip_suffix('%')
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(default),
        _ => default,
    };
    (of * percent).div_ceil(100)
}
