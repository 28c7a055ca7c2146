use super::*;
use crate::resources;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn findings(text: &str) -> String {
    let lines: Vec<String> = lint(text, now())
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    lines.join("\n")
}

const POLICY: &str = "apiVersion: junban.dev/v1alpha1
kind: RebootPolicy
metadata: {name: workers}
spec: {nodeSelector: {matchLabels: {role: worker}}, priority: 0, reboot: {ladder: [{driver: command, command: [x]}]}}
";

fn policy(name: &str, spec: &str) -> String {
    let head = "apiVersion: junban.dev/v1alpha1\nkind: RebootPolicy\n";
    format!(
        "{head}metadata: {{name: {name}}}\nspec: {{reboot: {{ladder: [{{driver: command, command: [x]}}]}}, {spec}}}\n"
    )
}

#[test]
fn a_good_file_has_no_findings() {
    assert_eq!(findings(POLICY), "");
    assert_eq!(findings(&format!("# only words\n---\n{POLICY}---\n")), "");
}

#[test]
fn every_error_names_document_object_field_and_hint() {
    let text = format!(
        "{POLICY}---\n{}",
        policy(
            "late",
            "nodeSelector: {matchLabels: {a: b}}, priority: 1, minIntervall: 1h, drain: {timout: 5m, unbudgeted: {maxUnavailable: 101%}}"
        )
    );
    let expected = "error: document 2 (RebootPolicy late): spec.drain.unbudgeted.maxUnavailable: \"101%\" is neither a number from 0 nor a percentage from 1% to 100%
hint: write a number, or a percentage from 1% to 100%
error: document 2 (RebootPolicy late): spec.drain.timout: unknown field
hint: did you mean timeout?
error: document 2 (RebootPolicy late): spec.minIntervall: unknown field
hint: did you mean minInterval?";
    assert_eq!(findings(&text), expected);
}

#[test]
fn policies_of_one_priority_that_select_the_same_nodes_are_found_however_they_are_written() {
    let found = |one: &str, other: &str, priority: u32| {
        let first = policy("one", &format!("priority: 0, nodeSelector: {one}"));
        let second = policy("two", &format!("priority: {priority}, nodeSelector: {other}"));
        let found = lint(&format!("{first}---\n{second}"), now()).findings;
        found
            .into_iter()
            .map(|finding| finding.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let workers = "{matchLabels: {role: worker}}";
    let by_expression = "{matchExpressions: [{key: role, operator: In, values: [worker]}]}";
    let error = "error: document 2 (RebootPolicy two): spec.priority: selects nodes of one (document 1) with the same \
                 priority: neither acts on such a node (PolicyConflict)\nhint: give one of them another priority, or \
                 selectors that exclude each other";
    assert_eq!(found(workers, workers, 0), error);
    assert_eq!(found(workers, by_expression, 0), error);
    assert_eq!(found(workers, "{matchLabels: {role: worker, zone: a}}", 0), error);
    let warning = "warning: document 2 (RebootPolicy two): spec.priority: may select nodes of one (document 1) with the \
                   same priority: neither acts on such a node (PolicyConflict)\nhint: if a node has the labels of both, \
                   give one of them another priority";
    assert_eq!(found(workers, "{matchLabels: {zone: a}}", 0), warning);
    for (other, priority) in [
        (workers, 1),
        ("{matchLabels: {role: db}}", 0),
        ("{matchExpressions: [{key: role, operator: DoesNotExist}]}", 0),
    ] {
        assert_eq!(found(workers, other, priority), "", "{other}");
    }
}

#[test]
fn a_wrong_type_says_what_to_write_and_hides_no_other_error() {
    let text = policy(
        "p",
        "priority: 0, nodeSelector: {matchLabels: {a: b}}, minInterval: 90, bootedAfter: tomorrow, drain: {timeout: 1s, bare: true}",
    );
    let found = findings(&text);
    for line in [
        "spec.minInterval: is 90, not string\nhint: write a duration, for example 90s, 30m or 1h30m",
        "spec.drain.bare: is true, not string\nhint: put it in quotes",
        "spec.bootedAfter: \"tomorrow\" is not a time in UTC with whole seconds\nhint: write UTC with Z, for example ",
        "spec.drain.timeout: 1s is below 10s",
    ] {
        assert!(found.contains(line), "{line}\nis not in\n{found}");
    }
}

#[test]
fn the_same_object_twice_gives_a_warning() {
    let text = format!("{POLICY}---\n{POLICY}");
    assert!(findings(&text).contains("metadata.name: is in document 1 as well"));
}

#[test]
fn an_empty_selector_is_an_error() {
    for selector in ["{}", "{matchLabels: {}}", "null"] {
        let found = lint(
            &policy("p", &format!("priority: 0, nodeSelector: {selector}")),
            now(),
        )
        .findings;
        assert!(!is_clean(&found), "{selector}");
        assert!(found[0].path.starts_with("spec.nodeSelector"), "{}", found[0]);
    }
}

#[test]
fn a_goal_in_the_future_is_only_an_info() {
    let goal = |time: &str| {
        lint(
            &policy(
                "p",
                &format!("priority: 0, nodeSelector: {{matchLabels: {{a: b}}}}, bootedAfter: {time}"),
            ),
            now(),
        )
        .findings
    };
    let found = goal("2026-11-23T12:00:01Z");
    assert_eq!((found.len(), found[0].severity), (1, Severity::Info));
    assert_eq!(goal("2026-11-23T12:00:00Z"), []);
}

#[test]
fn other_kinds_are_reported_as_not_checked() {
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";
    assert_eq!(
        findings(other),
        "info: document 1 (ConfigMap x): is not an object of Junban: not checked"
    );
    let misspelt = POLICY.replace("RebootPolicy", "RebootPolice");
    assert!(findings(&misspelt).contains("hint: did you mean RebootPolicy?"));
    assert!(!is_clean(&lint("just: words\n", now()).findings));
}

/// What `kubectl get rebootpolicies -o yaml` prints.
#[test]
fn the_items_of_a_list_are_checked() {
    let item = |name: &str, spec: &str| {
        format!(
            "- {{apiVersion: junban.dev/v1alpha1, kind: RebootPolicy, metadata: {{name: {name}, uid: u}}, spec: {spec}, status: {{done: 1}}}}\n"
        )
    };
    let ladder = "reboot: {ladder: [{driver: command, command: [x]}]}";
    let good = format!("{{nodeSelector: {{matchLabels: {{a: b}}}}, priority: 0, {ladder}}}");
    let bad = format!(
        "{{nodeSelector: {{matchLabels: {{a: b}}}}, priority: 1, drain: {{jobs: {{evict: {{matchLabels: {{not a key: x}}}}}}}}, {ladder}}}"
    );
    for head in [
        "apiVersion: v1\nkind: List",
        "apiVersion: junban.dev/v1alpha1\nkind: RebootPolicyList",
    ] {
        let text = format!(
            "{head}\nmetadata: {{resourceVersion: ''}}\nitems:\n{}{}",
            item("good", &good),
            item("bad", &bad)
        );
        assert_eq!(lint(&text, now()).objects, 2);
        let expected = "error: document 1 (RebootPolicy bad): spec.drain.jobs.evict: \"not a key\" cannot be the key of a label\nhint: write labels of the pods to evict";
        assert_eq!(findings(&text), expected);
    }
}

#[test]
fn a_file_without_an_object_of_junban_counts_none() {
    for text in [
        "",
        "---\n",
        "apiVersion: v1\nkind: List\nitems: []\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
    ] {
        let checked = lint(text, now());
        assert!(checked.objects == 0 && is_clean(&checked.findings), "{checked:?}");
    }
    assert_eq!(lint(POLICY, now()).objects, 1);
}

#[test]
fn labels_and_annotations_must_be_text() {
    for part in ["labels", "annotations"] {
        let with =
            |words: &str| POLICY.replace("{name: workers}", &format!("{{name: workers, {part}: {words}}}"));
        assert_eq!(findings(&with("{x: \"1\"}")), "");
        let wrong = format!(
            "error: document 1 (RebootPolicy workers): metadata.{part}: x: 1 is not text\nhint: put it in quotes"
        );
        assert_eq!(findings(&with("{x: 1}")), wrong);
        assert!(findings(&with("[x]")).contains("is not a map"));
    }
}

#[test]
fn a_file_that_is_not_yaml_gives_one_error() {
    for text in ["a: [", "a: 1\na: 2\n", "\tx"] {
        let found = lint(text, now()).findings;
        assert_eq!(found.len(), 1, "{text:?} {found:?}");
        assert_eq!(found[0].severity, Severity::Error);
    }
}

#[test]
fn the_default_manifests_are_clean() {
    for text in [
        include_str!("../../../../manifests/defaults/queue.yaml"),
        include_str!("../../../../manifests/defaults/policies.yaml"),
    ] {
        let found = lint(text, now()).findings;
        assert!(
            found.iter().all(|finding| finding.severity == Severity::Info),
            "{found:?}"
        );
    }
}

/// The lint must check every keyword that our schemas use: else it would accept what a server refuses.
#[test]
fn the_lint_knows_every_keyword_of_the_schemas() {
    fn walk(schema: &Value, seen: &mut Vec<String>) {
        for (key, value) in schema.as_object().unwrap() {
            assert!(schema::KEYWORDS.contains(&key.as_str()), "{key} in {schema}");
            match key.as_str() {
                "properties" => value
                    .as_object()
                    .unwrap()
                    .values()
                    .for_each(|inner| walk(inner, seen)),
                "items" | "additionalProperties" => walk(value, seen),
                "pattern" => {
                    regex::Regex::new(value.as_str().unwrap()).unwrap();
                    seen.push(value.to_string());
                }
                _ => {}
            }
        }
    }
    let mut patterns = Vec::new();
    for (kind, ..) in crate::names::KINDS {
        let schema = resources::schema(kind).unwrap();
        let spec = &schema["properties"]["spec"];
        walk(spec, &mut patterns);
        walk(&schema["properties"]["status"], &mut patterns);
    }
    assert!(patterns.len() > 10);
}
