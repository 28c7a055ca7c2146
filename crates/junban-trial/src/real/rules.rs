//! Rules that hold on the real control plane in every scenario, judged from watches alone: no budget below its need,
//! no workload of two or more replicas without a Ready pod, no node taken above the limits and no more in flight
//! than may be. What the file itself does to a workload or a budget takes that one out, and nothing else.

mod in_flight;
mod limits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use self::in_flight::{InFlight, Policies};
use self::limits::Limits;
use super::facts::BudgetState;
use crate::scenario::facts::{Facts, PodFacts};
use crate::scenario::judge::Judge;
use crate::scenario::model::{Act, Fault, MachineFault, Scenario};
use crate::scenario::settings;

pub(super) struct Rules {
    /// Namespaces in which a policy lets pods be deleted after a denial: there a budget does not hold.
    deletes_in: BTreeSet<String>,
    limits: Limits,
    /// The workload that each further budget selects.
    selects: BTreeMap<String, String>,
    in_flight: InFlight,
    /// Workloads and budgets that were well at some time: before that they are only being made.
    were_well: BTreeSet<String>,
    /// Workloads and budgets that the file itself does harm to: what becomes of them is not Junban's doing.
    harmed: BTreeSet<String>,
    /// When a pod of a workload was last on a node that was NotReady, or gone, without a turn: a machine that lost
    /// its power, or an API server that went away under a kubelet.
    shaken: BTreeMap<String, Duration>,
    /// Since when a rule looks broken: watches of different kinds show one moment one after the other.
    doubted: BTreeMap<String, Duration>,
}

const WELL: &str = "no budget falls below its need, and two replicas or more keep a Ready pod";
const WITHIN_LIMITS: &str = "no node is taken above the limits";

/// What looks broken for so long is.
const DOUBTED_FOR: Duration = Duration::from_millis(300);

/// After a node is Ready again its pods' statuses follow.
const SHAKEN_FOR: Duration = Duration::from_secs(15);

impl Rules {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut queue = json!({});
        settings::apply(&mut queue, &scenario.queue, 0);
        let selects = scenario.budgets.iter().map(|at| {
            let named = |name: &str| format!("{}/{name}", at.what.namespace);
            (named(&at.what.name), named(&at.what.selects))
        });
        Self {
            deletes_in: settings::deletes_in(scenario),
            limits: Limits::new(&queue),
            selects: selects.collect(),
            in_flight: InFlight::default(),
            were_well: BTreeSet::new(),
            harmed: BTreeSet::new(),
            shaken: BTreeMap::new(),
            doubted: BTreeMap::new(),
        }
    }

    /// What the file does to pods itself is not judged from then on: of the workloads that it concerns, no others.
    /// A fault of a machine that Junban takes down itself concerns none: its pods have left before.
    pub(super) fn forgive(&mut self, act: &Act, facts: &Facts) {
        let those = |is_one: &dyn Fn(&str, &PodFacts) -> bool| {
            let pods = facts.pods.iter().filter(|(name, pod)| is_one(name, pod));
            pods.map(|(_, pod)| pod.workload.clone()).collect::<Vec<_>>()
        };
        let harmed = match act {
            Act::PowerOff(node)
            | Act::RebootMachine(node)
            | Act::DeleteNode(node)
            | Act::Fault(MachineFault {
                node,
                fault: Fault::Dead,
            }) => those(&|_, pod| pod.node == *node),
            Act::DeletePod(namespace, name) => those(&|pod, _| pod == format!("{namespace}/{name}")),
            Act::Scale { namespace, name, .. } => vec![format!("{namespace}/{name}")],
            Act::EditBudget { namespace, name, .. } => vec![budget_id(&format!("{namespace}/{name}"))],
            _ => vec![],
        };
        self.harmed.extend(harmed);
    }

    pub(super) fn look(
        &mut self,
        facts: &Facts,
        budgets: Vec<BudgetState>,
        queue: Option<&Value>,
        policies: Policies,
        at: Duration,
        judge: &mut Judge<'_>,
    ) {
        if let Some(seen) = self.limits.look(facts, queue, at) {
            judge.fail(at, WITHIN_LIMITS, seen);
        }
        let exceeded = self.in_flight.look(facts, queue, policies, at);
        self.shake(facts, at);
        let mut broken = Vec::new();
        for (name, healthy, needed) in budgets {
            let workload = self.selects.get(&name).unwrap_or(&name).clone();
            let namespace = name.split('/').next().unwrap_or_default();
            if self.deletes_in.contains(namespace) {
                continue;
            }
            let id = budget_id(&name);
            if self.falls(&id, &workload, healthy >= needed, at) {
                let seen = format!("{id}: {healthy} healthy, {needed} needed");
                broken.push((id, WELL, seen));
            }
        }
        for (workload, _) in facts.replicas.iter().filter(|(_, replicas)| **replicas >= 2) {
            if self.falls(workload, workload, facts.ready_pods(workload) > 0, at) {
                broken.push((workload.clone(), WELL, format!("{workload}: no Ready pod")));
            }
        }
        broken.extend(
            exceeded
                .into_iter()
                .map(|seen| (seen.clone(), WITHIN_LIMITS, seen)),
        );
        self.doubted
            .retain(|id, _| broken.iter().any(|(still, ..)| still == id));
        for (id, rule, seen) in broken {
            let since = *self.doubted.entry(id).or_insert(at);
            if at >= since + DOUBTED_FOR {
                judge.fail(at, rule, seen);
            }
        }
    }

    /// Finds the workloads that a node without a turn takes with it.
    fn shake(&mut self, facts: &Facts, at: Duration) {
        let is_away = |node: &str| {
            let node = facts.nodes.get(node);
            node.is_none_or(|node| !node.ready && !node.marked)
        };
        for pod in facts.pods.values().filter(|pod| !pod.node.is_empty()) {
            if is_away(&pod.node) {
                self.shaken.insert(pod.workload.clone(), at);
            }
        }
    }

    /// Whether what was well is no more, and nobody else is to blame.
    fn falls(&mut self, id: &str, workload: &str, is_well: bool, at: Duration) -> bool {
        let is_shaken = self
            .shaken
            .get(workload)
            .is_some_and(|when| at < *when + SHAKEN_FOR);
        if is_shaken {
            // To be judged again it must first be well again.
            self.were_well.remove(id);
            return false;
        }
        if is_well {
            self.were_well.insert(id.to_owned());
        }
        let is_harmed = self.harmed.contains(workload) || self.harmed.contains(id);
        !is_well && !is_harmed && self.were_well.contains(id)
    }
}

/// No workload is named so.
fn budget_id(name: &str) -> String {
    format!("budget {name}")
}

#[cfg(test)]
mod tests;
