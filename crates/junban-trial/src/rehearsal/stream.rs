//! Watches that kubectl makes: one list, then every event in the order of etcd. A watch that breaks off continues at its
//! last version.

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

/// One message of a watch.
pub(super) enum Change {
    /// All objects: the first message, and the message after a gap.
    All(Vec<Value>),
    Put(Value),
    Gone(Value),
}

impl Change {
    /// The objects that are there, and an object that is gone.
    pub(super) fn split(self) -> (Vec<Value>, Option<Value>) {
        match self {
            Self::All(items) => (items, None),
            Self::Put(item) => (vec![item], None),
            Self::Gone(item) => (vec![], Some(item)),
        }
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

struct Stream {
    kubectl: PathBuf,
    path: &'static str,
    stop: Arc<AtomicBool>,
}

/// Follows `path` on its own thread. It ends at the next event after `stop` is set.
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

    /// Returns the version at which to continue, or `None` if a new list is needed.
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
        let mut is_valid = true;
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
                _ => is_valid = false, // ERROR: the version is too old
            }
            if !is_valid || self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        is_valid.then_some(version)
    }
}
