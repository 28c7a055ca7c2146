//! Finds names that a line uses and the scenario does not have. A claim about a misspelt name could always hold, and an act
//! on it would do nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Claim, Condition};
use super::model::{Act, Kind, MANIFEST_POLICIES, Right, Scenario, Target, Wait, Workload};
use super::settings;
use super::words::{Mistake, hint, unknown};

type Mistakes = Vec<(usize, Mistake)>;

/// Every missing name with its line. `policy_lines` has the first line of each policy.
pub(super) fn missing(scenario: &Scenario, policy_lines: &BTreeMap<String, usize>) -> Mistakes {
    let mut mistakes = nodes(scenario);
    mistakes.extend(policies(scenario, policy_lines));
    for (line, act) in scenario.acts() {
        mistakes.extend(of_an_act(scenario, act).map(|mistake| (line, mistake)));
    }
    for (line, condition) in conditions(scenario) {
        mistakes.extend(of_a_condition(scenario, condition).map(|mistake| (line, mistake)));
    }
    for at in &scenario.workloads {
        let Some(owner) = &at.what.owner_pod else { continue };
        let earlier = scenario
            .workloads
            .iter()
            .filter(|other| other.line < at.line && other.what.kind == Kind::Pod);
        let known = earlier.map(|other| other.what.key.to_string());
        let owner = format!("{}/{owner}", at.what.key.namespace);
        let mistake = among(&owner, "a pod of an earlier line", known);
        mistakes.extend(mistake.map(|mistake| (at.line, mistake)));
    }
    for at in &scenario.budgets {
        let selects = format!("{}/{}", at.what.key.namespace, at.what.selects);
        let mistake = workload(scenario, &selects, |_| true);
        mistakes.extend(mistake.map(|mistake| (at.line, mistake)));
    }
    mistakes
}

fn conditions(scenario: &Scenario) -> impl Iterator<Item = (usize, &Condition)> {
    let steps = scenario.steps.iter().filter_map(|at| match &at.what.wait {
        Wait::Until(_, condition) => Some((at.line, condition)),
        Wait::For(_) => None,
    });
    let claims = scenario.never.iter().chain(&scenario.at_the_end);
    steps.chain(claims.map(|at| (at.line, &at.what)))
}

fn nodes(scenario: &Scenario) -> Mistakes {
    let nodes: BTreeSet<String> = scenario.nodes.names().into_iter().collect();
    let mut named: BTreeSet<(usize, String)> = BTreeSet::new();
    for workload in &scenario.workloads {
        let places = workload.what.on.iter().chain(&workload.what.only_on);
        named.extend(places.map(|node| (workload.line, node.clone())));
    }
    for (line, act) in scenario.acts() {
        named.extend(nodes_of(act).into_iter().map(|node| (line, node)));
    }
    for (line, condition) in conditions(scenario) {
        let nodes = condition.claims().filter_map(Claim::node);
        named.extend(nodes.map(|node| (line, node.to_owned())));
    }
    let orders = scenario.orders.iter();
    named.extend(orders.filter_map(|at| Some((at.line, at.what.node.clone()?))));
    let missing = named.into_iter().filter(|(_, node)| !nodes.contains(node));
    let mistake = |node: String| format!("`{node}` is not among the {} nodes of this scenario", nodes.len());
    missing.map(|(line, node)| (line, mistake(node))).collect()
}

fn nodes_of(act: &Act) -> Vec<String> {
    match act {
        Act::Reboot { target, .. } | Act::Cancel(target) | Act::DeleteEntries(target) => match target {
            Target::Nodes(nodes) => nodes.clone(),
            Target::All | Target::Selector(_) => vec![],
        },
        Act::Retry(node)
        | Act::Cordon(node)
        | Act::Uncordon(node)
        | Act::DeleteNode(node)
        | Act::RegisterNode(node)
        | Act::RebootMachine(node)
        | Act::PowerOff(node)
        | Act::Repair(node)
        | Act::Label { node, .. }
        | Act::Taint(node, _)
        | Act::Untaint(node, _)
        | Act::NextBootHas { node, .. }
        | Act::NextBootTaint(node, _)
        | Act::Annotate { node, .. } => vec![node.clone()],
        Act::Fault(fault) => vec![fault.node.clone()],
        Act::Refused(act) => nodes_of(act),
        _ => vec![],
    }
}

/// A policy that is not in the manifests governs no node without these two fields.
fn policies(scenario: &Scenario, lines: &BTreeMap<String, usize>) -> Mistakes {
    let others = scenario.policies.iter();
    let others = others.filter(|(name, _)| !MANIFEST_POLICIES.contains(&name.as_str()));
    let incomplete = others.filter(|(_, settings)| {
        let has = |field: &str| settings.iter().any(|setting| setting.path == field);
        !(has("nodeSelector") && has("priority"))
    });
    incomplete
        .map(|(name, _)| {
            let hint = hint(name, &MANIFEST_POLICIES);
            let mistake = format!("the policy `{name}` needs `nodeSelector` and `priority`{hint}");
            (lines.get(name).copied().unwrap_or(1), mistake)
        })
        .collect()
}

fn of_an_act(scenario: &Scenario, act: &Act) -> Option<Mistake> {
    match act {
        Act::EditPolicy(name, _) | Act::DeletePolicy(name) | Act::ApplyPolicy(name) => {
            among(name, "a policy of this scenario", scenario.policy_names())
        }
        Act::EditBudget(budget, _) => {
            let of_workloads = scenario.workloads.iter().filter_map(|at| at.what.budget.as_ref());
            let known = of_workloads.chain(scenario.budgets.iter().map(|at| &at.what));
            let known = known.map(|budget| budget.key.to_string());
            among(&budget.to_string(), "a budget of this scenario", known)
        }
        Act::Scale(key, _) => workload(scenario, &key.to_string(), has_replicas),
        Act::DeletePod(key) => pod(scenario, &key.to_string()),
        Act::Deny(Right::DeletePodsIn(namespace)) => {
            let expected = "a namespace in `drain.deleteAfterDenial` of a policy";
            among(namespace, expected, settings::deletes_in(scenario))
        }
        _ => None,
    }
}

fn of_a_condition(scenario: &Scenario, condition: &Condition) -> Option<Mistake> {
    condition.claims().find_map(|claim| match claim {
        Claim::ReadyPods(name, _) => workload(scenario, name, |_| true),
        Claim::Disrupted(name, _) => workload(scenario, name, has_replicas),
        Claim::Pod(name, _) | Claim::PodOn(name, _) => pod(scenario, name),
        _ => None,
    })
}

fn has_replicas(workload: &Workload) -> bool {
    matches!(workload.kind, Kind::Deployment | Kind::StatefulSet)
}

fn workload(scenario: &Scenario, name: &str, fits: impl Fn(&Workload) -> bool) -> Option<Mistake> {
    let fitting = scenario.workloads.iter().filter(|at| fits(&at.what));
    let known = fitting.map(|at| at.what.key.to_string());
    among(name, "a workload of this scenario that fits here", known)
}

/// The name of a pod begins with the name of its workload; the rest is drawn.
fn pod(scenario: &Scenario, name: &str) -> Option<Mistake> {
    let belongs = |workload: &Workload| match workload.kind {
        Kind::Pod => name == workload.key.to_string(),
        _ => name.starts_with(&format!("{}-", workload.key)),
    };
    if scenario.workloads.iter().any(|at| belongs(&at.what)) {
        return None;
    }
    let known = scenario.workloads.iter().map(|at| first_pod(&at.what));
    among(name, "a pod of a workload of this scenario", known)
}

fn first_pod(workload: &Workload) -> String {
    match workload.kind {
        Kind::Pod => workload.key.to_string(),
        Kind::StatefulSet => format!("{}-0", workload.key),
        _ => format!("{}-...", workload.key),
    }
}

/// The mistake of a name that is not among those that are known.
fn among<N: AsRef<str>>(name: &str, expected: &str, known: impl IntoIterator<Item = N>) -> Option<Mistake> {
    let known: Vec<N> = known.into_iter().collect();
    let names: BTreeSet<&str> = known.iter().map(AsRef::as_ref).collect();
    let is_known = names.contains(name);
    (!is_known).then(|| unknown(name, expected, &Vec::from_iter(names)))
}
