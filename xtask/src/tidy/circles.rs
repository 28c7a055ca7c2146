//! No files of a crate import each other in a circle: such files can only be understood together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Result;

use super::files::Files;
use super::imports::{Imports, imports};
use super::modules::folders;

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for folder in folders(files) {
        let imports = imports(files, folder)?;
        let circles = circles(&imports);
        problems.extend(
            circles
                .iter()
                .map(|circle| format!("{folder}/src: {}", shown(circle, &imports))),
        );
    }
    Ok(problems)
}

/// Circles, each as the list of its files, the short ones first. An import that stands in a circle stands in one of
/// these.
fn circles(imports: &Imports) -> Vec<Vec<&str>> {
    let mut graph: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in imports.keys() {
        graph.entry(from).or_default().push(to);
    }
    let ways_back = imports.keys().filter_map(|(from, to)| way(&graph, to, from));
    let mut circles: Vec<Vec<&str>> = ways_back.collect();
    circles.sort_by_key(Vec::len);
    let mut listed = BTreeSet::new();
    circles.retain(|circle| {
        let pairs = pairs(circle);
        let last_first = (circle[circle.len() - 1], circle[0]);
        let is_new = !listed.contains(&last_first);
        if is_new {
            listed.extend(pairs);
        }
        is_new
    });
    circles
}

/// Each file of a circle with the one that it imports.
fn pairs<'a>(circle: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let next = circle.iter().cycle().skip(1);
    circle.iter().zip(next).map(|(from, to)| (*from, *to)).collect()
}

/// The shortest way along imports from one file to another.
fn way<'a>(graph: &BTreeMap<&'a str, Vec<&'a str>>, from: &'a str, to: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![from]]);
    let mut seen = BTreeSet::from([from]);
    while let Some(way) = ways.pop_front() {
        let last = way[way.len() - 1];
        if last == to {
            return Some(way);
        }
        for next in graph.get(last).into_iter().flatten() {
            if seen.insert(next) {
                ways.push_back([way.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

fn shown(circle: &[&str], imports: &Imports) -> String {
    let mut shown = circle[0].to_owned();
    for (from, to) in pairs(circle) {
        let names = &imports[&(from.to_owned(), to.to_owned())];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        shown += &format!(" -> {to} ({})", names.join(", "));
    }
    shown
}

#[cfg(test)]
mod tests;
