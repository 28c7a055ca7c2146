//! Gives the table of cases to the offline lint. `cargo xtask api-check` gives the same files to a real API server, so
//! that the two verdicts stay equal.
//!
//! `NAME.accept.yaml` and `NAME.refuse.yaml` are objects to create. `NAME.from.yaml` is an existing object, and
//! `NAME.to.accept.yaml` or `NAME.to.refuse.yaml` is what it is changed to. Comments at the head of a file:
//!
//! | comment | meaning |
//! |---|---|
//! | `# field: PATH` | the refusal names this field (or one below it) |
//! | `# exception: lint only: WHY` | the server accepts it |
//! | `# exception: server only: WHY` | the lint accepts it |
//! | `# subresource: status` | the change is a write of the status |
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use junban_api::lint::check_object;
use serde_json::Value;

struct Case {
    name: String,
    text: String,
}

impl Case {
    fn head(&self, key: &str) -> Option<&str> {
        let comments = self.text.lines().take_while(|line| line.starts_with('#'));
        comments
            .filter_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(':'))
            .map(str::trim)
            .next()
    }

    fn object(&self) -> Value {
        serde_saphyr::from_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

fn cases() -> BTreeMap<String, Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .strip_suffix(".yaml")
                .unwrap()
                .to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (name.clone(), Case { name, text })
        })
        .collect()
}

#[test]
fn the_lint_judges_every_case_as_its_name_says() {
    let cases = cases();
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        let (stem, verdict) = name.rsplit_once('.').unwrap();
        if verdict == "from" {
            continue;
        }
        let old = stem
            .strip_suffix(".to")
            .map(|stem| cases[&format!("{stem}.from")].object());
        let errors = check_object(&case.object(), old.as_ref());
        let server_only = case
            .head("exception")
            .is_some_and(|text| text.starts_with("server only"));
        let refused = !errors.is_empty();
        match verdict {
            "accept" if refused => wrong.push(format!("{name}: refused: {errors:?}")),
            "refuse" if !refused && !server_only => wrong.push(format!("{name}: accepted")),
            "refuse" if refused => {
                let field = case.head("field").unwrap_or_default();
                if !errors.iter().any(|error| error.path.starts_with(field)) {
                    wrong.push(format!("{name}: names {errors:?}, not {field}"));
                }
            }
            "accept" | "refuse" => {}
            _ => wrong.push(format!("{name}: the name says neither accept nor refuse")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// For every rule, bound and enum of a spec there is a refused case that names the field.
#[test]
fn every_field_with_a_rule_has_a_refused_case() {
    let mut guarded = BTreeSet::new();
    for crd in junban_api::resources::crds() {
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        collect(&kind, "spec", &schema["properties"]["spec"], &mut guarded);
    }
    let refused: BTreeSet<(String, String)> = cases()
        .values()
        .filter(|case| case.name.ends_with(".refuse"))
        .map(|case| {
            let kind = case.object()["kind"].as_str().unwrap().to_owned();
            (kind, without_indices(case.head("field").unwrap_or_default()))
        })
        .collect();
    // A case for a rule on an object names the field that breaks the rule.
    let is_refused = |kind: &str, path: &str| {
        refused.iter().any(|(other, field)| {
            other == kind
                && field
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    // The cases of selectors name the selector, whatever part of it is wrong. Not every place needs cases of its own.
    let missing: Vec<_> = guarded
        .iter()
        .filter(|(kind, path)| {
            !path.contains("Selector.")
                && !path.contains("selector.")
                && !path.contains("jobs.evict.")
                && !is_refused(kind, path)
        })
        // Free text has one bound, which one case tests.
        .filter(|(_, path)| !matches!(path.rsplit('.').next(), Some("reason" | "requestedBy")))
        .collect();
    assert!(missing.is_empty(), "no refused case for {missing:?}");
}

fn collect(kind: &str, path: &str, schema: &Value, into: &mut BTreeSet<(String, String)>) {
    const BOUNDS: [&str; 9] = [
        "enum",
        "maxItems",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "maxLength",
        "x-kubernetes-validations",
    ];
    if BOUNDS.iter().any(|bound| schema.get(bound).is_some()) {
        into.insert((kind.to_owned(), path.to_owned()));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        collect(kind, &format!("{path}.{name}"), inner, into);
    }
    if let Some(items) = schema.get("items") {
        collect(kind, path, items, into);
    }
}

fn without_indices(path: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            _ if !inside => plain.push(letter),
            _ => {}
        }
    }
    plain
}

#[test]
fn every_exception_says_which_side_and_why() {
    for case in cases().values() {
        if let Some(text) = case.head("exception") {
            let why = text
                .strip_prefix("lint only: ")
                .or_else(|| text.strip_prefix("server only: "));
            assert!(why.is_some_and(|why| why.len() > 10), "{}", case.name);
        }
    }
}
