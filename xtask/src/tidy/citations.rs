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
mod tests;
