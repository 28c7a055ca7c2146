use super::{Files, anchors, check};

const DRAIN: &str = "# Drain\n\n## Budgets\n<a id=\"case-1\"></a>\n\n```\n## no heading\n```\n";

/// What is found in one file beside a page of rules. `@` stands for the ending of a page: the citations of this
/// test are not to be found by the check itself.
fn found(path: &str, text: &str) -> Vec<String> {
    let files = [("docs/design/drain@", DRAIN), ("README@", "# A"), (path, text)];
    let files = files.map(|(path, text)| (path.replace('@', ".md"), text.replace('@', ".md")));
    check(&Files::from(files)).unwrap()
}

#[test]
fn a_page_that_does_not_exist_is_found_with_its_line_and_a_fix() {
    let problems = found("crates/a.rs", "\n/// Where the drain ends (drain@ 4, README@).\n");
    assert_eq!(problems.len(), 1, "{problems:?}");
    let fix = "drain@: this file does not exist: cite docs/design/drain@ with".replace('@', ".md");
    assert!(
        problems[0].starts_with(&format!("crates/a.rs:2: {fix}")),
        "{problems:?}"
    );
    for text in ["style@, shape 9", "docs/desing/drain@#budgets", "see docs/drain@"] {
        assert_eq!(found("a.go", text).len(), 1, "{text}");
    }
}

#[test]
fn an_anchor_that_the_page_does_not_have_is_found() {
    let problems = found("tests/scenarios/a.txt", "# docs/design/drain@#budget");
    assert!(
        problems[0].contains("no such heading: cite one that it has, for example #budgets"),
        "{problems:?}"
    );
    assert_eq!(found("a.rs", "docs/design/drain@#no-heading").len(), 1);
    assert_eq!(
        found(
            "docs/design/b@",
            "[one](drain@#gone) [two](../drain@) [three](#gone)"
        )
        .len(),
        3
    );
}

#[test]
fn a_citation_that_leads_somewhere_passes() {
    for (path, text) in [
        (
            "a.rs",
            "// docs/design/drain@#budgets. docs/design/drain@#case-1, docs/design/drain@",
        ),
        (
            "a.sh",
            "cat *@ docs/PAGE@#A; curl https://example.com/b@; cp a@x b",
        ),
        (
            "docs/design/b@",
            "# B b\n[a](drain@#drain), [b](./../design/drain@#budgets), [c](../../README@#a), [d](#b-b)",
        ),
        ("docs/a@", "[a](design/drain@#case-1), ../README@"),
    ] {
        assert_eq!(found(path, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn headings_have_the_anchors_that_github_gives_them() {
    let page =
        "# Junban's own pods\n## A [link](to.it) & `code`: x_y\n### One-two\n### One-two\n####### no\n#no\n";
    let expected = ["a-link--code-x_y", "junbans-own-pods", "one-two", "one-two-1"];
    assert_eq!(anchors(page).into_iter().collect::<Vec<_>>(), expected);
}
