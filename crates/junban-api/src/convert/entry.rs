//! NodeReboot to and from core. The status is core's record in its serde form.

use jiff::Timestamp;
use junban_core::entry::{Entry, EntrySpec, Phase, Record};
use junban_core::ids::{EntryName, EntryUid, NodeName, NodeUid, PolicyName};
use junban_core::reason::Class;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

use super::fields::{Fields, Unreadable, typed};
use super::{condition, format_goal, meta};
use crate::names;
use crate::resources::NodeRebootSpec;

pub fn read(object: &DynamicObject) -> Result<Entry, Unreadable> {
    let meta =
        meta::read("NodeReboot", &object.metadata).map_err(|error| Unreadable::one("metadata", error, ""))?;
    let spec: NodeRebootSpec = typed(&object.data, "spec")?;
    let mut fields = Fields::default();
    for (path, text) in [
        ("spec.nodeName", &spec.node_name),
        ("spec.nodeUID", &spec.node_uid),
        ("spec.policy", &spec.policy),
    ] {
        if text.is_empty() {
            fields.wrong(
                path,
                "is empty",
                "create entries with junban reboot NODE, which fills it in",
            );
        }
    }
    let record = match object.data.get("status") {
        None | Some(Value::Null) => Record::default(),
        Some(status) => fields.take(
            "status",
            Record::read(status),
            "only Junban writes the status: do not edit it",
            Record::default(),
        ),
    };
    let retries = u32::try_from(spec.retries).map_err(|_| format!("{} is below 0", spec.retries));
    let entry = Entry {
        name: EntryName::new(meta.name),
        uid: EntryUid::new(meta.uid),
        version: meta.version,
        generation: meta.generation,
        created: meta.created,
        spec: EntrySpec {
            node: NodeName::new(spec.node_name),
            node_uid: NodeUid::new(spec.node_uid),
            policy: PolicyName::new(spec.policy),
            booted_after: fields.goal("spec.bootedAfter", &spec.booted_after),
            reason: spec.reason,
            requested_by: spec.requested_by,
            priority: spec.priority,
            cancel: spec.cancel,
            retries: fields.take("spec.retries", retries, "write a number from 0", 0),
        },
        record,
    };
    fields.finish(entry)
}

/// The object to create: without a status, with labels for selectors.
pub fn object(name: &EntryName, spec: &EntrySpec) -> Value {
    let mut labels = Map::new();
    for (key, value) in [
        (names::NODE, spec.node.as_str()),
        (names::POLICY, spec.policy.as_str()),
    ] {
        if value.len() <= 63 {
            labels.insert(key.to_owned(), json!(value));
        }
    }
    json!({
        "apiVersion": names::API_VERSION,
        "kind": "NodeReboot",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "nodeName": spec.node,
            "nodeUID": spec.node_uid,
            "policy": spec.policy,
            "bootedAfter": format_goal(spec.booted_after),
            "reason": spec.reason,
            "requestedBy": spec.requested_by,
            "priority": spec.priority,
            "cancel": spec.cancel,
            "retries": spec.retries,
        },
    })
}

/// The status to write: the record, and conditions. A condition that did not change keeps its time from `previous`.
pub fn status(record: &Record, previous: &Value, now: Timestamp) -> Value {
    let mut status = serde_json::to_value(record).unwrap_or_default();
    let reason = record
        .reason
        .map_or(record.phase.as_str(), |reason| reason.as_str());
    let waits = record
        .reason
        .is_some_and(|reason| reason.class() != Class::Progress);
    let blocked = waits && matches!(record.phase, Phase::Queued | Phase::Draining);
    let wanted = [
        condition::Wanted::new(names::BLOCKED, blocked, reason, &record.message),
        condition::Wanted::new(
            names::SUCCEEDED,
            record.phase == Phase::Succeeded,
            reason,
            &record.message,
        ),
        condition::Wanted::new(
            names::FAILED,
            record.phase == Phase::Failed,
            reason,
            &record.message,
        ),
    ];
    status["conditions"] = condition::merge(previous, &wanted, record.observed_generation, now);
    status
}
