//! Servers whose power command was killed: their entries may be Failed with reason `PowerUnknown`, and one `retry`
//! must bring them to the same end as the others.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::bed::Bed;
use super::say;
use super::watcher::Watcher;

const PATIENCE: Duration = Duration::from_secs(240);

/// Retries them once and waits until they are back, or for so long. Returns what `junban explain` said before.
pub(super) fn retry(
    bed: &Bed,
    watcher: &Watcher,
    boots_before: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let said = bed.junban(&["list", "-o", "json"])?;
    let list: Value = serde_json::from_slice(&said.stdout).context("the answer of `junban list`")?;
    let mut explained = BTreeMap::new();
    for entry in list["items"].as_array().into_iter().flatten() {
        let is_unknown = entry["status"]["phase"] == "Failed" && entry["status"]["reason"] == "PowerUnknown";
        if let Some(node) = entry["spec"]["nodeName"].as_str().filter(|_| is_unknown) {
            let said = bed.junban(&["explain", node])?;
            let text = String::from_utf8_lossy(&said.stdout).into_owned();
            explained.insert(node.to_owned(), text);
        }
    }
    for node in explained.keys() {
        say(&format!("junban retry {node}"))?;
        bed.junban(&["retry", node])?;
    }
    let begun = Instant::now();
    let is_back = |node: &String| {
        let sight = watcher.look();
        let seen = sight.nodes().get(node);
        seen.is_some_and(|seen| seen.ready && !seen.cordoned && boots_before.get(node) != Some(&seen.boot))
    };
    while begun.elapsed() < PATIENCE && !explained.keys().all(is_back) {
        sleep(Duration::from_millis(200));
    }
    Ok(explained)
}
