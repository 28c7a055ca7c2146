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

/// Two policies with equal selectors and equal priorities. Whether other selectors overlap depends on the nodes.
fn conflict(earlier: &Document, later: &Document) -> Option<Finding> {
    let part = |document: &Document, name: &str| document.object["spec"][name].clone();
    let is_policy = |document: &Document| document.kind == "RebootPolicy";
    let tie = part(earlier, "priority") == part(later, "priority")
        && part(earlier, "nodeSelector") == part(later, "nodeSelector");
    if !(is_policy(earlier) && is_policy(later) && tie) || part(later, "nodeSelector").is_null() {
        return None;
    }
    let problem = format!(
        "selects the same nodes with the same priority as {} (document {}): neither acts (PolicyConflict)",
        earlier.name, earlier.number
    );
    Some(later.finding(
        Severity::Warning,
        "spec.priority",
        &problem,
        "give one of them another priority",
    ))
}
