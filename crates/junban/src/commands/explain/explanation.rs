//! What `junban explain` says about a node.

use junban_api::convert::format_goal;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::NodeName;
use serde::Serialize;

use super::since::SinceOf;
use crate::commands::leader::NoLeader;

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) no_leader: Option<NoLeader>,
    pub(super) node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<String>,
    pub(super) attempt: u32,
    /// When the entry's phase and reason began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    /// One sentence.
    pub(super) summary: String,
    pub(super) hint: String,
    pub(super) unmet: Vec<Unmet>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Unmet {
    pub(super) reason: String,
    pub(super) object: String,
    pub(super) message: String,
    pub(super) hint: String,
    pub(super) needs_somebody: bool,
    pub(super) since: String,
    pub(super) since_of: SinceOf,
}

impl Explanation {
    /// An explanation without a summary. It has the facts of the entry, if there is one.
    pub(super) fn new(node: &NodeName, entry: Option<&Entry>) -> Self {
        let text = |text: fn(&Entry) -> String| entry.map(text);
        Self {
            node: node.to_string(),
            entry: text(|entry| entry.name.to_string()),
            policy: text(|entry| entry.spec.policy.to_string()),
            goal: text(|entry| format_goal(entry.spec.booted_after)),
            phase: text(|entry| entry.record.phase.to_string()),
            attempt: entry.map_or(0, |entry| entry.record.attempt),
            since: entry.and_then(|entry| entry.record.since).map(format_goal),
            ..Self::default()
        }
    }

    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(none) = &self.no_leader {
            text.push_str(&format!("{}\nAs the last controller left it:\n", none.describe()));
        }
        text.push_str(&format!("Node {}: {}", self.node, self.summary));
        if let Some(since) = &self.since {
            text.push_str(&format!("\n  since:  {since}"));
        }
        if let (Some(entry), Some(goal)) = (&self.entry, &self.goal) {
            let policy = self.policy.as_deref().unwrap_or("-");
            text.push_str(&format!(
                "\n  entry:  {entry}\n  policy: {policy}\n  goal:   {goal}"
            ));
        }
        if self.attempt > 0 {
            text.push_str(&format!("\n  power actions: {}", self.attempt));
        }
        if !self.hint.is_empty() {
            text.push_str(&format!("\n  hint: {}", self.hint));
        }
        if !self.unmet.is_empty() {
            let failed = self.phase.as_deref() == Some(Phase::Failed.as_str());
            text.push_str(if failed {
                "\n\nWhy:"
            } else {
                "\n\nWhat it waits for:"
            });
        }
        for unmet in &self.unmet {
            text.push_str(&format!("\n  {}", unmet.reason));
            if !unmet.object.is_empty() {
                text.push_str(&format!(" [{}]", unmet.object));
            }
            if unmet.needs_somebody {
                text.push_str(" (needs somebody)");
            }
            text.push_str(&format!(": {}\n    since: {}", unmet.message, unmet.since));
            if unmet.since_of == SinceOf::Entry {
                text.push_str(" at the earliest, when its entry was created");
            }
            if !unmet.hint.is_empty() {
                text.push_str(&format!("\n    hint: {}", unmet.hint));
            }
        }
        text
    }
}
