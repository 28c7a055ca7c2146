//! Since when a gate is unmet. A condition of the object that causes it says it, else the entry's status. Else the age of
//! the entry is an upper bound.

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

/// When the conditions of node, queue and policy began, by the reason that they stand for.
#[derive(Default)]
pub(super) struct Times(BTreeMap<Reason, Timestamp>);

/// What the time belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Of {
    /// The gate is unmet since then.
    Gate,
    /// The entry was made then. Nothing says since when the gate is unmet.
    Entry,
}

impl Times {
    /// Leaves out what the user may not read, and what does not answer.
    pub(super) async fn look(session: &Session, node: &NodeName, policy: Option<&str>) -> Self {
        let nodes: Api<core::Node> = Api::all(session.connection.calls.clone());
        let node = session.answer(nodes.get(node.as_str())).await.ok();
        let mut times = Self::default();
        times.read(&serde_json::to_value(node).unwrap_or_default());
        let ours = [(Kind::Queue, Some(names::QUEUE)), (Kind::Policy, policy)];
        for (kind, name) in ours {
            let Some(name) = name else { continue };
            let api = kind.api(&session.connection.calls);
            if let Ok(object) = session.answer(api.get(name)).await {
                times.read(&serde_json::to_value(object).unwrap_or_default());
            }
        }
        times
    }

    fn read(&mut self, object: &Value) {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        for condition in conditions.into_iter().flatten() {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            let holds = text("status") == "True";
            let reason = match text("type") {
                // The reason in a policy's condition is Junban's own. In a Node's condition it is the kubelet's.
                names::READY if !holds && object["kind"] == Kind::Policy.as_str() => reason(text("reason")),
                names::READY if !holds => Some(Reason::NodeDown),
                name if holds => reason(name),
                _ => None,
            };
            if let (Some(reason), Ok(at)) = (reason, text("lastTransitionTime").parse()) {
                self.0.insert(reason, at);
            }
        }
    }

    /// Since when one gate of an entry is unmet. `recorded`: the entry's status names this gate.
    pub(super) fn of(&self, entry: &Entry, gate: Reason, recorded: bool) -> (Timestamp, Of) {
        let told = self.0.get(&gate).copied();
        match told.or(entry.record.since.filter(|_| recorded)) {
            Some(at) => (at, Of::Gate),
            None => (entry.created, Of::Entry),
        }
    }
}

fn reason(name: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == name)
}

#[cfg(test)]
mod tests;
