//! Watches by kubectl alone: one list, then every event in the order of etcd, taken up again where it broke off.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use junban_testbed::process::tied;

/// What a watch says.
pub(super) enum Change {
    /// Everything there is: the first time, and after a gap.
    All(Vec<Value>),
    Put(Value),
    Gone(Value),
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

pub(super) struct Stream {
    kubectl: PathBuf,
    path: &'static str,
    stop: Arc<AtomicBool>,
}

/// Follows `path` on a thread of its own until `stop` is set and one more event came.
pub(super) fn follow(
    kubectl: PathBuf,
    path: &'static str,
    stop: Arc<AtomicBool>,
    mut sink: impl FnMut(Change) + Send + 'static,
) -> JoinHandle<()> {
    let stream = Stream { kubectl, path, stop };
    thread::spawn(move || {
        let mut version = None;
        while !stream.stop.load(Ordering::Relaxed) {
            version = match version {
                None => stream.list(&mut sink),
                Some(version) => stream.watch(version, &mut sink),
            };
            thread::sleep(Duration::from_millis(100));
        }
    })
}

impl Stream {
    fn list(&self, sink: &mut impl FnMut(Change)) -> Option<String> {
        let output = Command::new(&self.kubectl)
            .args(["get", "--raw", self.path])
            .output()
            .ok()?;
        let mut list: Value = serde_json::from_slice(&output.stdout).ok()?;
        let version = list["metadata"]["resourceVersion"].as_str()?.to_owned();
        let Value::Array(items) = list["items"].take() else {
            return None;
        };
        sink(Change::All(items));
        Some(version)
    }

    /// Returns where to go on, or nothing where a list is needed.
    fn watch(&self, mut version: String, sink: &mut impl FnMut(Change)) -> Option<String> {
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&resourceVersion={version}",
            self.path
        );
        let mut child = tied(&self.kubectl)
            .args(["get", "--raw", &path])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let lines = BufReader::new(child.stdout.take()?).lines();
        let mut well = true;
        for line in lines.map_while(Result::ok) {
            let Ok(event) = serde_json::from_str::<Event>(&line) else {
                break;
            };
            if let Some(seen) = event.object["metadata"]["resourceVersion"].as_str() {
                version = seen.to_owned();
            }
            match event.kind.as_str() {
                "ADDED" | "MODIFIED" => sink(Change::Put(event.object)),
                "DELETED" => sink(Change::Gone(event.object)),
                "BOOKMARK" => {}
                _ => well = false, // ERROR: the version is too old
            }
            if !well || self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        well.then_some(version)
    }
}
