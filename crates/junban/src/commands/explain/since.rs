//! Since when a gate is unmet. A condition of the object that causes it says this, or else the status of the entry. If
//! neither does, the gate cannot be unmet for longer than the entry exists.

use std::collections::BTreeMap;

use jiff::Timestamp;
use junban_api::names;
use junban_core::entry::Entry;
use junban_core::ids::NodeName;
use junban_core::reason::Reason;
use junban_kube::resource::Kind;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use serde::Serialize;
use serde_json::Value;

use crate::commands::session::Session;

/// When the conditions of node, queue and policy began, by the reason that they give.
#[derive(Default)]
pub(super) struct ConditionTimes(BTreeMap<Reason, Timestamp>);

/// What began at the time that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum SinceOf {
    /// The gate is unmet since then.
    Gate,
    /// The entry was created then. Nothing says since when the gate is unmet.
    Entry,
}

impl ConditionTimes {
    /// Leaves out what the user may not read, and what does not answer.
    pub(super) async fn read(session: &Session, node: &NodeName, policy: Option<&str>) -> Self {
        let nodes: Api<core::Node> = Api::all(session.connection.calls.clone());
        let node = session.answer(nodes.get(node.as_str())).await.ok();
        let mut times = Self::default();
        times.add(&serde_json::to_value(node).unwrap_or_default());
        for (kind, name) in [(Kind::Queue, Some(names::QUEUE)), (Kind::Policy, policy)] {
            let Some(name) = name else { continue };
            let api = kind.api(&session.connection.calls);
            if let Ok(object) = session.answer(api.get(name)).await {
                times.add(&serde_json::to_value(object).unwrap_or_default());
            }
        }
        times
    }

    fn add(&mut self, object: &Value) {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        for condition in conditions.into_iter().flatten() {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            let holds = text("status") == "True";
            let reason = match text("type") {
                // The reason in a policy's condition is Junban's own. In a Node's condition it is the kubelet's.
                names::READY if !holds && object["kind"] == Kind::Policy.as_str() => {
                    Reason::named(text("reason"))
                }
                names::READY if !holds => Some(Reason::NodeDown),
                name if holds => Reason::named(name),
                _ => None,
            };
            if let (Some(reason), Ok(at)) = (reason, text("lastTransitionTime").parse()) {
                self.0.insert(reason, at);
            }
        }
    }

    /// Since when one gate of an entry is unmet. `recorded`: the entry's status names this gate.
    pub(super) fn since(&self, entry: &Entry, gate: Reason, recorded: bool) -> (Timestamp, SinceOf) {
        let condition = self.0.get(&gate).copied();
        match condition.or(entry.record.since.filter(|_| recorded)) {
            Some(at) => (at, SinceOf::Gate),
            None => (entry.created, SinceOf::Entry),
        }
    }
}

#[cfg(test)]
mod tests;
