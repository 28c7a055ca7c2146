//! Servers whose power command was killed: their entries may be Failed with the reason `PowerUnknown`. One
//! `junban retry` must bring such a server to the same end state as the others.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::say::say;
use super::testbed::InstalledTestbed;
use super::watcher::Watcher;
use crate::json::items;

const PATIENCE: Duration = Duration::from_secs(240);

/// Retries each of these servers once, and waits until they are back or until [`PATIENCE`] is over. Returns what
/// `junban explain` said of each server before.
pub(super) fn retry(
    bed: &InstalledTestbed,
    watcher: &Watcher,
    boots_before: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
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
    let is_back = |node: &String| {
        let seen = watcher.seen();
        let node_now = seen.nodes().get(node);
        node_now.is_some_and(|now| now.available() && boots_before.get(node) != Some(&now.boot))
    };
    while begun.elapsed() < PATIENCE && !explained.keys().all(is_back) {
        sleep(Duration::from_millis(200));
    }
    Ok(explained)
}
