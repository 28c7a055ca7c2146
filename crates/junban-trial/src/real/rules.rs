//! The rules of every scenario on the real control plane, judged from watches alone: no budget falls below its need, a
//! workload of two or more replicas keeps a Ready pod, no start exceeds a limit. If the file itself harms a workload or a
//! budget, only that workload or budget is not judged.

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
use crate::scenario::model::{Act, Fault, Key, MachineFault, Scenario};
use crate::scenario::settings;

pub(super) struct Rules {
    /// Namespaces of `deleteAfterDenial`. There a budget may fall below its need.
    deletes_in: BTreeSet<String>,
    limits: Limits,
    /// For each budget with a line of its own, the workload that it selects.
    selects: BTreeMap<String, String>,
    in_flight: InFlight,
    /// Workloads and budgets that have held their rule once. Before that their pods are still starting.
    have_held: BTreeSet<String>,
    /// Workloads and budgets that the file itself harms. They are not judged any more.
    harmed: BTreeSet<String>,
    /// For each workload, when one of its pods was last on a node that was NotReady or gone outside of a turn. The machine
    /// may have lost its power, or a kubelet its API server.
    shaken: BTreeMap<String, Duration>,
    /// Since when each rule looks broken. Different watches show the same moment at different times.
    doubted: BTreeMap<String, Duration>,
}

const PODS_READY: &str = "no budget falls below its need, and two replicas or more keep a Ready pod";
const WITHIN_LIMITS: &str = "no start exceeds a limit";

/// A rule that looks broken for this long is broken.
const DOUBTED_FOR: Duration = Duration::from_millis(300);

/// After a node is Ready again, the statuses of its pods need this long.
const SHAKEN_FOR: Duration = Duration::from_secs(15);

impl Rules {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut queue = json!({});
        settings::apply(&mut queue, &scenario.queue, 0);
        let selects = scenario.budgets.iter().map(|at| {
            let Key { namespace, name } = &at.what.key;
            (
                format!("{namespace}/{name}"),
                format!("{namespace}/{}", at.what.selects),
            )
        });
        Self {
            deletes_in: settings::deletes_in(scenario),
            limits: Limits::new(&queue),
            selects: selects.collect(),
            in_flight: InFlight::default(),
            have_held: BTreeSet::new(),
            harmed: BTreeSet::new(),
            shaken: BTreeMap::new(),
            doubted: BTreeMap::new(),
        }
    }

    /// Stops judging the workloads and budgets that an act of the file harms, and no others. A fault of a machine that
    /// Junban reboots harms none: the pods have left before.
    pub(super) fn forgive(&mut self, act: &Act, facts: &Facts) {
        let workloads_of = |is_one: &dyn Fn(&str, &PodFacts) -> bool| {
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
            }) => workloads_of(&|_, pod| pod.node == *node),
            Act::DeletePod(key) => workloads_of(&|pod, _| pod == key.to_string()),
            Act::Scale(workload, _) => vec![workload.to_string()],
            Act::EditBudget(budget, _) => vec![budget_id(&budget.to_string())],
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
                broken.push((id, PODS_READY, seen));
            }
        }
        for (workload, _) in facts.replicas.iter().filter(|(_, replicas)| **replicas >= 2) {
            if self.falls(workload, workload, facts.ready_pods(workload) > 0, at) {
                broken.push((workload.clone(), PODS_READY, format!("{workload}: no Ready pod")));
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

    /// Finds the workloads with a pod on a node that is down outside of a turn.
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

    /// Whether a rule that held does not hold any more, and Junban is the cause.
    fn falls(&mut self, id: &str, workload: &str, holds: bool, at: Duration) -> bool {
        let is_shaken = self
            .shaken
            .get(workload)
            .is_some_and(|when| at < *when + SHAKEN_FOR);
        if is_shaken {
            // It is judged again after it has held once more.
            self.have_held.remove(id);
            return false;
        }
        if holds {
            self.have_held.insert(id.to_owned());
        }
        let is_harmed = self.harmed.contains(workload) || self.harmed.contains(id);
        !holds && !is_harmed && self.have_held.contains(id)
    }
}

/// The name of a workload never has this form.
fn budget_id(name: &str) -> String {
    format!("budget {name}")
}

#[cfg(test)]
mod tests;
