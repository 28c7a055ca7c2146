//! Node affinity, as a list of terms. A node fits if at least one term matches.

use junban_core::selector::{Requirement, Selector};
use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement};

use super::selector;
use crate::names;

/// The terms. A term without requirements matches nothing and is left out, as in Kubernetes.
pub(super) fn terms(node_selector: &NodeSelector) -> Vec<Selector> {
    let terms = node_selector.node_selector_terms.iter().map(|term| {
        let labels = term
            .match_expressions
            .iter()
            .flatten()
            .map(|raw| requirement(&raw.key, raw));
        // Kubernetes allows only the field metadata.name.
        let fields = term
            .match_fields
            .iter()
            .flatten()
            .map(|raw| requirement(names::FIELD_NAME, raw));
        Selector {
            requirements: labels.chain(fields).collect(),
        }
    });
    let terms: Vec<Selector> = terms.filter(|term| !term.is_empty()).collect();
    if terms.is_empty() {
        // The affinity is required and matches no node. An empty list would mean that every node fits.
        return vec![Selector {
            requirements: vec![selector::never(names::FIELD_NAME)],
        }];
    }
    terms
}

/// A requirement that the API server would refuse matches no node.
fn requirement(key: &str, raw: &NodeSelectorRequirement) -> Requirement {
    let mut values = raw.values.iter().flatten();
    let number = values.next().and_then(|value| value.parse().ok());
    match (raw.operator.as_str(), number) {
        ("Gt", Some(bound)) => Requirement::Gt(key.to_owned(), bound),
        ("Lt", Some(bound)) => Requirement::Lt(key.to_owned(), bound),
        _ => selector::requirement(key, &raw.operator, raw.values.iter().flatten().cloned())
            .unwrap_or_else(|_| selector::never(key)),
    }
}
