//! Finds what is wrong between the documents of one file.

use super::document::Document;
use super::finding::{Finding, Severity};

/// Finds policies that conflict, and objects that are in the file twice.
pub(super) fn check(documents: &[Document], findings: &mut Vec<Finding>) {
    for (index, document) in documents.iter().enumerate() {
        for earlier in &documents[..index] {
            if let Some(finding) = duplicate(earlier, document).or_else(|| conflict(earlier, document)) {
                findings.push(finding);
            }
        }
    }
}

fn duplicate(earlier: &Document, later: &Document) -> Option<Finding> {
    let same = earlier.kind == later.kind
        && earlier.name == later.name
        && earlier.object["apiVersion"] == later.object["apiVersion"]
        && earlier.object["metadata"]["namespace"] == later.object["metadata"]["namespace"];
    if !same || later.name.is_empty() {
        return None;
    }
    let problem = format!("is in document {} as well: the last one counts", earlier.number);
    Some(later.finding(Severity::Warning, "metadata.name", &problem, "remove one of them"))
}

/// Two policies of one priority that select the same nodes. If one of them selects only nodes that the other one selects
/// as well, it is an error. If it depends on the nodes, it is a warning.
fn conflict(earlier: &Document, later: &Document) -> Option<Finding> {
    if earlier.object["spec"]["priority"] != later.object["spec"]["priority"] {
        return None;
    }
    let (one, two) = (earlier.node_selector()?, later.node_selector()?);
    if !one.may_overlap(&two) {
        return None;
    }
    let (severity, verb, hint) = if one.is_within(&two) || two.is_within(&one) {
        (
            Severity::Error,
            "selects nodes of",
            "give one of them another priority, or selectors that exclude each other",
        )
    } else {
        (
            Severity::Warning,
            "may select nodes of",
            "if a node has the labels of both, give one of them another priority",
        )
    };
    let problem = format!(
        "{verb} {} (document {}) with the same priority: neither acts on such a node (PolicyConflict)",
        earlier.name, earlier.number
    );
    Some(later.finding(severity, "spec.priority", &problem, hint))
}
