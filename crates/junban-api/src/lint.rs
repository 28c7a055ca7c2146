//! The offline check of a file of Junban's objects: the same verdict as the API server's, and more words.
//!
//! Each document is taken as the server takes it: nulls dropped, defaults filled, unknown fields refused at every
//! depth, the schema's bounds; then `convert`, which names what is wrong in its own words; then the CEL rules
//! (whose offline evaluator runs CEL only, hence this order). One table of cases, `tests/cases`, is put to both
//! and holds them equal. Reads no clock and no cluster.

mod across;
mod document;
mod finding;
mod schema;

use jiff::Timestamp;
use serde_json::Value;

pub use document::check_object;
pub use finding::{Finding, Severity};

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// In the order of the documents; a file that is not YAML is one finding.
    pub findings: Vec<Finding>,
    /// Objects of Junban's: without one nothing was checked.
    pub objects: usize,
}

/// Checks a file of one or more YAML documents, and of Lists, as kubectl prints them, each item. `now` tells which
/// goals lie in the future.
pub fn lint(text: &str, now: Timestamp) -> Checked {
    let documents: Vec<Value> = match serde_saphyr::from_multiple(text) {
        Ok(documents) => documents,
        Err(error) => {
            return Checked {
                findings: vec![not_yaml(&error)],
                objects: 0,
            };
        }
    };
    let numbered = (1..).zip(documents);
    let objects = numbered.flat_map(|(number, document)| {
        let items = document::items(document).into_iter();
        items.map(move |item| document::Document::new(number, item))
    });
    let objects: Vec<_> = objects.collect();
    let mut findings = Vec::new();
    for object in &objects {
        object.check(now, &mut findings);
    }
    across::check(&objects, &mut findings);
    findings.sort_by_key(|finding| finding.document);
    Checked {
        findings,
        objects: objects.iter().filter(|object| object.is_ours()).count(),
    }
}

/// Whether a file may be applied.
pub fn is_clean(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity != Severity::Error)
}

fn not_yaml(error: &serde_saphyr::Error) -> Finding {
    Finding {
        severity: Severity::Error,
        document: 1,
        object: String::new(),
        path: String::new(),
        problem: format!("the file is not YAML: {error}"),
        hint: "mend the line named above".to_owned(),
    }
}

#[cfg(test)]
mod tests;
