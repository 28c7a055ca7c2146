//! Node affinity, flattened to terms of which any one must match.

use junban_core::selector::{Requirement, Selector};
use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement};

use super::selector;
use crate::names;

/// The terms; a term without requirements matches nothing and is left out, as in Kubernetes.
pub(super) fn terms(node_selector: &NodeSelector) -> Vec<Selector> {
    let terms = node_selector.node_selector_terms.iter().map(|term| {
        let labels = term
            .match_expressions
            .iter()
            .flatten()
            .map(|raw| requirement(&raw.key, raw));
        // metadata.name is the only field that there is.
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
        // Required, and nothing matches: not the same as no requirement at all.
        return vec![Selector {
            requirements: vec![selector::never(names::FIELD_NAME)],
        }];
    }
    terms
}

/// Gt and Lt compare numbers, which core does not: such a term matches no node, so its pod counts as one that fits
/// nowhere else. That delays a node at worst.
fn requirement(key: &str, raw: &NodeSelectorRequirement) -> Requirement {
    selector::requirement(key, &raw.operator, raw.values.iter().flatten().cloned())
        .unwrap_or_else(|_| selector::never(key))
}
