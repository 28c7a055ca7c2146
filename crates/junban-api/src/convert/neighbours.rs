//! What a pod demands of the pods around it: affinity to pods, and topology spread.

use std::collections::BTreeSet;

use junban_core::cluster::{Neighbours, PodGroup, PodTerm, Spread};
use junban_core::selector::{Labels, Requirement, Selector};
use k8s_openapi::api::core::v1 as k8s;

use super::selector;

/// Reads what a scheduler must meet. Preferences are left out.
pub(super) fn read(spec: &k8s::PodSpec, namespace: &str, labels: &Labels) -> Neighbours {
    let affinity = spec.affinity.as_ref();
    let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    let near = near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref());
    let apart = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let apart = apart.and_then(|apart| apart.required_during_scheduling_ignored_during_execution.as_ref());
    // Junban does not know the labels of namespaces. For anti-affinity a selector of namespaces counts as every namespace,
    // for affinity as none: the scheduler never forbids more than that.
    let near = near
        .into_iter()
        .flatten()
        .map(|term| pod_term(term, namespace, false));
    let apart = apart
        .into_iter()
        .flatten()
        .map(|term| pod_term(term, namespace, true));
    let constraints = spec.topology_spread_constraints.iter().flatten();
    let hard = constraints.filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule");
    Neighbours {
        affinity: near.collect(),
        anti_affinity: apart.collect(),
        spread: hard
            .map(|constraint| spread(constraint, namespace, labels))
            .collect(),
    }
}

fn pod_term(term: &k8s::PodAffinityTerm, namespace: &str, all_if_unknown: bool) -> PodTerm {
    let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
    let by_labels = term.namespace_selector.as_ref();
    if namespaces.is_empty() && by_labels.is_none() {
        namespaces.insert(namespace.to_owned());
    }
    // The empty selector selects every namespace.
    let selects_all = by_labels.is_some_and(|by| selector::kubernetes(by).is_empty());
    let all = selects_all || (by_labels.is_some() && all_if_unknown);
    PodTerm {
        pods: PodGroup {
            namespaces: (!all).then_some(namespaces),
            selector: pods(term.label_selector.as_ref()),
        },
        topology_key: term.topology_key.clone(),
    }
}

/// A selector of pods. An absent one matches no pod.
fn pods(selector: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector>) -> Selector {
    selector.map_or_else(
        || Selector {
            requirements: vec![selector::never("")],
        },
        selector::kubernetes,
    )
}

fn spread(constraint: &k8s::TopologySpreadConstraint, namespace: &str, labels: &Labels) -> Spread {
    let mut selector = pods(constraint.label_selector.as_ref());
    // Only pods with the same values of these labels count, for example those of the same revision.
    for key in constraint.match_label_keys.iter().flatten() {
        let value = labels.get(key);
        let same = value.map(|value| Requirement::In(key.clone(), [value.clone()].into()));
        selector.requirements.extend(same);
    }
    let at_least = |number: i32, least: i32| number.max(least);
    Spread {
        pods: PodGroup {
            namespaces: Some([namespace.to_owned()].into()),
            selector,
        },
        topology_key: constraint.topology_key.clone(),
        max_skew: i64::from(at_least(constraint.max_skew, 1)),
        min_domains: usize::try_from(at_least(constraint.min_domains.unwrap_or(1), 1)).unwrap_or(1),
        honors_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
        honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
    }
}

#[cfg(test)]
#[path = "tests/neighbours.rs"]
mod tests;
