//! When a node is marked, no more nodes are unavailable than `maxUnavailable` and `failures.max` of the queue allow.

use std::collections::BTreeSet;
use std::time::Duration;

use junban_world::IntOrPercent;
use serde_json::Value;

use crate::scenario::facts::Facts;
use crate::scenario::settings;

/// After an edit a controller may still use the text from before, for this long.
pub(super) const EDIT_KNOWN_AFTER: Duration = Duration::from_secs(10);

/// `maxUnavailable` and `failures.max`.
type Texts = (Value, Value);

pub(super) struct Limits {
    texts: Texts,
    /// The texts before the last edit, and until when a controller may use them.
    before: Option<(Duration, Texts)>,
    marked: BTreeSet<String>,
}

impl Limits {
    /// `queue` is the spec of the queue.
    pub(super) fn new(queue: &Value) -> Self {
        Self {
            texts: texts(queue),
            before: None,
            marked: BTreeSet::new(),
        }
    }

    /// Returns what was seen if a node was marked and too many nodes are unavailable. Without a queue the last limits
    /// hold.
    pub(super) fn look(&mut self, facts: &Facts, queue: Option<&Value>, at: Duration) -> Option<String> {
        if let Some(now) = queue.map(texts).filter(|now| *now != self.texts) {
            let before = std::mem::replace(&mut self.texts, now);
            self.before = Some((at + EDIT_KNOWN_AFTER, before));
        }
        let marked = facts.nodes_that(|node| node.marked);
        let is_new = !marked.is_subset(&self.marked);
        self.marked = marked;
        if !is_new {
            return None;
        }
        let nodes = facts.nodes.len();
        let failed = facts.entries.iter().filter(|entry| entry.is_failed());
        let down = facts.nodes.values().filter(|node| !node.ready && !node.marked);
        let broken = failed.count() + down.count();
        let places = |(max_unavailable, failures_max): &Texts| {
            let tolerated = broken.min(share(failures_max, nodes, 5).max(1));
            share(max_unavailable, nodes, 10).max(tolerated + 1)
        };
        let before = self.before.as_ref().filter(|(until, _)| at < *until);
        let places = places(&self.texts).max(before.map_or(0, |(_, before)| places(before)));
        let taken = facts.nodes.values().filter(|node| node.unavailable()).count();
        (taken > places).then(|| format!("{taken} of {nodes} nodes are unavailable, {places} may be"))
    }
}

fn texts(queue: &Value) -> Texts {
    (queue["maxUnavailable"].clone(), queue["failures"]["max"].clone())
}

/// A number, or a percentage of `of`, rounded up. `default` is the percentage where the field is absent.
pub(super) fn share(value: &Value, of: usize, default: i64) -> usize {
    let share = settings::share(value).unwrap_or(IntOrPercent::Percent(default));
    let total = i64::try_from(of).unwrap_or(i64::MAX);
    usize::try_from(share.of(total)).unwrap_or_default()
}
