//! A citation names a page that exists, and an anchor that is a heading or an `<a id="...">` of that page.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::files::Files;

const PAGE: &str = ".md";
/// The folder of the rules that code cites.
const RULES: &str = "docs/design/";

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let pages: BTreeMap<&str, BTreeSet<String>> = files
        .iter()
        .filter(|(path, _)| path.ends_with(PAGE))
        .map(|(path, text)| (path.as_str(), anchors(text)))
        .collect();
    let mut problems = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            for citation in citations(line, path.ends_with(PAGE)) {
                if let Some(problem) = problem(&pages, path, &citation) {
                    problems.push(format!("{path}:{}: {}: {problem}", number + 1, citation.text));
                }
            }
        }
    }
    Ok(problems)
}

struct Citation<'a> {
    text: &'a str,
    page: &'a str,
    anchor: Option<&'a str>,
    /// The target of a Markdown link: it starts at the folder of the page that has the link.
    is_link: bool,
}

fn citations(line: &str, is_markdown: bool) -> Vec<Citation<'_>> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices(PAGE) {
        let of_name = |sign: char| sign.is_alphanumeric() || "_-./".contains(sign);
        let begin = line[..at].trim_end_matches(of_name).len();
        let (name, after) = (&line[begin..at], &line[at + PAGE.len()..]);
        let is_address = name.starts_with("//");
        // A pattern such as `*` before the ending names no page, and `PAGE` stands for any page.
        let is_pattern = name.is_empty() || name.ends_with('/') || name.ends_with("PAGE");
        if !is_address && !is_pattern && !after.starts_with(of_anchor) {
            found.push(citation(line, begin, at + PAGE.len()));
        }
    }
    // A link within its page.
    for (at, _) in line.match_indices("](#").filter(|_| is_markdown) {
        found.push(citation(line, at + 2, at + 2));
    }
    found
}

/// The citation of the page that stands from `begin` to `end`, and its anchor.
fn citation(line: &str, begin: usize, end: usize) -> Citation<'_> {
    let anchor = line[end..].strip_prefix('#').map(|rest| {
        let length = rest.find(|sign| !of_anchor(sign)).unwrap_or(rest.len());
        &rest[..length]
    });
    let anchor = anchor.filter(|anchor| !anchor.is_empty());
    Citation {
        text: &line[begin..end + anchor.map_or(0, |anchor| 1 + anchor.len())],
        page: &line[begin..end],
        anchor,
        is_link: line[..begin].ends_with("]("),
    }
}

fn of_anchor(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_' || sign == '-'
}

/// What is wrong with a citation that stands in the file `path`, and how to fix it.
fn problem(pages: &BTreeMap<&str, BTreeSet<String>>, path: &str, citation: &Citation<'_>) -> Option<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let from_folder = match citation.page {
        "" => path.to_owned(),
        page => joined(folder, page),
    };
    let from_root = (!citation.is_link).then(|| citation.page.to_owned());
    let mut candidates = [Some(from_folder), from_root].into_iter().flatten();
    let Some((page, anchors)) = candidates.find_map(|page| pages.get_key_value(&*page)) else {
        let name = citation.page.rsplit('/').next().unwrap_or_default();
        let fix = match pages.keys().find(|page| **page == format!("{RULES}{name}")) {
            Some(page) => format!("cite {page} with an anchor of it"),
            None => format!("cite {RULES}PAGE{PAGE}#ANCHOR, or delete the citation"),
        };
        return Some(format!("this file does not exist: {fix}"));
    };
    let anchor = citation.anchor.filter(|anchor| !anchors.contains(*anchor))?;
    let in_common = |other: &str| {
        anchor
            .chars()
            .zip(other.chars())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let nearest = anchors.iter().max_by_key(|other| in_common(other));
    let nearest = nearest
        .map(|other| format!(", for example #{other}"))
        .unwrap_or_default();
    Some(format!(
        "{page} has no such heading: cite one that it has{nearest}, or add `<a id=\"{anchor}\"></a>` to it"
    ))
}

/// The path from the root of the checkout, for a path from a folder.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchors of a page: its headings as GitHub names them, and explicit ids.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut is_code = false;
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if is_code {
            continue;
        }
        let ids = line.split("<a id=\"").skip(1);
        anchors.extend(ids.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        let title = line.trim_start_matches('#');
        let depth = line.len() - title.len();
        if (1..=6).contains(&depth) && title.starts_with(' ') {
            let slug = slug(title);
            let numbered = (1..).map(|number| format!("{slug}-{number}"));
            // GitHub numbers headings that have the same text.
            let free = [slug.clone()]
                .into_iter()
                .chain(numbered)
                .find(|slug| !anchors.contains(slug));
            anchors.extend(free);
        }
    }
    anchors
}

/// GitHub's rule: lower case; only letters, digits, `_` and `-`; a hyphen for each space; of a link only its text.
fn slug(title: &str) -> String {
    let mut text = title.split("<a ").next().unwrap_or(title).trim().to_lowercase();
    while let Some((begin, end)) = text
        .find("](")
        .and_then(|at| Some((at, at + text[at..].find(')')?)))
    {
        text.replace_range(begin..=end, "");
    }
    let kept = text.chars().filter(|sign| of_anchor(*sign) || *sign == ' ');
    kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
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
        let page = "# Junban's own pods\n## A [link](to.it) & `code`: x_y\n### One-two\n### One-two\n####### no\n#no\n";
        let expected = ["a-link--code-x_y", "junbans-own-pods", "one-two", "one-two-1"];
        assert_eq!(anchors(page).into_iter().collect::<Vec<_>>(), expected);
    }
}
