//! Checks a file of Junban's objects without a cluster. The verdict is the same as the API server's, with better
//! messages.
//!
//! Each document is handled as the server handles it: nulls are dropped, defaults are filled in, unknown fields are
//! refused at every depth, and the bounds of the schema are checked. Then `convert` reads it and gives messages of its
//! own. Then the CEL rules run (their offline evaluator checks nothing else, so they come last). One table of cases,
//! `tests/cases`, is given to the lint and to a real server, and holds their verdicts equal. The lint reads no clock.

mod across;
mod document;
mod finding;
mod schema;

use jiff::Timestamp;
use serde_json::Value;

pub use document::check_object;
pub use finding::{Finding, Severity};

/// What was found in a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// In the order of the documents. A file that is not YAML has one finding.
    pub findings: Vec<Finding>,
    /// How many objects of Junban the file has. 0: nothing was checked.
    pub objects: usize,
}

/// Checks a file of one or more YAML documents. A List, as kubectl prints it, is checked item by item. `now` decides
/// which goals lie in the future.
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
        hint: "correct the line named above".to_owned(),
    }
}

#[cfg(test)]
mod tests;
