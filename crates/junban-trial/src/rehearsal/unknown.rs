//! Servers whose power command was killed: their entries may be Failed with the reason `PowerUnknown`. One
//! `junban retry` must bring such a server to the same end state as the others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::say::say;
use crate::json::items;
use crate::scenario::facts::NodeFacts;
use crate::testbed::Testbed;
use crate::watched::Watched;

const PATIENCE: Duration = Duration::from_secs(240);

/// Retries each of these servers once, and waits until they are back or until [`PATIENCE`] is over. Returns what
/// `junban explain` said of each server before.
pub(super) fn retry(bed: &Testbed, watched: &mut Watched) -> Result<BTreeMap<String, String>> {
    let said = bed.junban(&["list", "-o", "json"])?;
    let list: Value = serde_json::from_slice(&said.stdout).context("the answer of `junban list`")?;
    let mut explained = BTreeMap::new();
    for entry in items(&list["items"]) {
        let is_unknown = entry["status"]["phase"] == "Failed" && entry["status"]["reason"] == "PowerUnknown";
        if let Some(node) = entry["spec"]["nodeName"].as_str().filter(|_| is_unknown) {
            explained.insert(node.to_owned(), bed.explain(node)?);
        }
    }
    for node in explained.keys() {
        say(&format!("junban retry {node}"))?;
        bed.junban(&["retry", node])?;
    }
    let begun = Instant::now();
    let is_back = |watched: &Watched| {
        let nodes = watched.facts().nodes;
        explained
            .keys()
            .all(|node| nodes.get(node).is_some_and(NodeFacts::is_back))
    };
    while begun.elapsed() < PATIENCE && !is_back(watched) {
        watched.wait_out(Duration::from_millis(200))?;
    }
    Ok(explained)
}
