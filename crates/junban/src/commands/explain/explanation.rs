//! What `junban explain` says about a node.

use junban_core::entry::Phase;
use serde::Serialize;

use super::since::Of;

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
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
    /// What the time belongs to.
    pub(super) since_of: Of,
}

impl Explanation {
    pub(super) fn describe(&self) -> String {
        let mut text = format!("Node {}: {}", self.node, self.summary);
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
            let whose = if unmet.object.is_empty() {
                String::new()
            } else {
                format!(" [{}]", unmet.object)
            };
            let who = if unmet.needs_somebody {
                " (needs somebody)"
            } else {
                ""
            };
            text.push_str(&format!("\n  {}{whose}{who}: {}", unmet.reason, unmet.message));
            text.push_str(&match unmet.since_of {
                Of::Gate => format!("\n    since: {}", unmet.since),
                Of::Entry => format!(
                    "\n    since: {} at the earliest, when its entry was made",
                    unmet.since
                ),
            });
            if !unmet.hint.is_empty() {
                text.push_str(&format!("\n    hint: {}", unmet.hint));
            }
        }
        text
    }
}
