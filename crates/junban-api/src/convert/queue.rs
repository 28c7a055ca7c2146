//! RebootQueue to and from core.

use junban_core::ids::QueueUid;
use junban_core::queue::{ControlPlane, Ledger, Queue, QueueSummary, QuorumGroup, QuorumMembers};
use junban_core::selector::Selector;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::fields::{Fields, Unreadable, typed};
use super::{condition, meta, selector};
use crate::names;
use crate::resources::{LabelSelector, QuorumGroupSpec, RebootQueueSpec};

/// Reads the queue. A queue that cannot be read counts as paused.
pub fn read(object: &DynamicObject) -> Result<Queue, Unreadable> {
    let meta = meta::read("RebootQueue", &object.metadata)
        .map_err(|error| Unreadable::one("metadata", error, ""))?;
    let spec: RebootQueueSpec = typed(&object.data, "spec")?;
    let mut fields = Fields::default();
    if meta.name != names::QUEUE {
        fields.wrong(
            "metadata.name",
            "the queue must be named default: there is only one",
            "rename it to default",
        );
    }
    let status = object.data.get("status").unwrap_or(&Value::Null);
    let secret = spec.control_plane.etcd_client_secret;
    if !secret.is_empty() && !selector::is_subdomain(&secret) {
        fields.wrong(
            "spec.controlPlane.etcdClientSecret",
            format_args!("{secret:?} cannot be the name of a Secret"),
            "write only the name of the Secret: it is in Junban's namespace",
        );
    }
    let control_plane = ControlPlane {
        api_servers: urls(
            &mut fields,
            "spec.controlPlane.apiServers",
            spec.control_plane.api_servers,
        ),
        etcd: urls(&mut fields, "spec.controlPlane.etcd", spec.control_plane.etcd),
        etcd_client_secret: secret,
        allow_quorum_loss: spec.control_plane.allow_quorum_loss,
    };
    let per_node = usize::try_from(spec.history.per_node)
        .ok()
        .filter(|count| *count >= 1);
    let quorum_groups = spec.quorum_groups.into_iter().enumerate();
    let queue = Queue {
        resumed: spec.resumed == meta.uid,
        created: meta.created,
        uid: QueueUid::new(meta.uid),
        version: meta.version,
        generation: meta.generation,
        paused: spec.paused,
        pause_reason: spec.pause_reason,
        max_concurrent: fields.share("spec.maxConcurrent", &spec.max_concurrent, 1),
        max_unavailable: fields.share("spec.maxUnavailable", &spec.max_unavailable, 1),
        failures_max: fields.share("spec.failures.max", &spec.failures.max, 0),
        control_plane,
        history_per_node: fields.take(
            "spec.history.perNode",
            per_node.ok_or("is below 1"),
            "write 1 or more: the newest entry of a node is always kept",
            1,
        ),
        ledger: ledger(&mut fields, status),
        // Nothing is decided from the summary. If it cannot be read, it is written again.
        summary: serde_json::from_value(status.clone()).unwrap_or_default(),
        quorum_groups: quorum_groups
            .map(|(index, group)| quorum_group(&mut fields, &format!("spec.quorumGroups[{index}]"), group))
            .collect(),
    };
    fields.finish(queue)
}

fn quorum_group(fields: &mut Fields, path: &str, group: QuorumGroupSpec) -> QuorumGroup {
    let hint = "write the labels of the servers that carry the quorum";
    let mut selector = |field: &str, selector: &LabelSelector| {
        let path = format!("{path}.{field}");
        fields.take(&path, selector::own(selector), hint, Selector::default())
    };
    let members = match (&group.node_selector, &group.pod_selector) {
        (Some(nodes), None) => QuorumMembers::Nodes(selector("nodeSelector", nodes)),
        (None, Some(pods)) => QuorumMembers::Pods {
            namespace: group.namespace.clone().unwrap_or_default(),
            selector: selector("podSelector", pods),
        },
        _ => {
            let problem = "names both nodeSelector and podSelector, or neither";
            fields.wrong(path, problem, "write one of them");
            QuorumMembers::Nodes(Selector::default())
        }
    };
    match (&group.pod_selector, &group.namespace) {
        (Some(_), None) => {
            let path = format!("{path}.namespace");
            fields.wrong(
                &path,
                "is required with podSelector",
                "write the namespace of the pods",
            );
        }
        (None, Some(_)) => {
            let path = format!("{path}.namespace");
            fields.wrong(&path, "belongs to podSelector", "remove it, or write podSelector");
        }
        (_, Some(namespace)) if !selector::is_namespace(namespace) => {
            let path = format!("{path}.namespace");
            fields.wrong(
                &path,
                format_args!("{namespace:?} cannot be a namespace"),
                "write one name",
            );
        }
        _ => {}
    }
    QuorumGroup {
        name: group.name,
        members,
    }
}

/// The status to write. A condition that did not change keeps its time from `previous`.
pub fn status(
    ledger: Option<&Ledger>,
    summary: &QueueSummary,
    previous: &Value,
    now: jiff::Timestamp,
) -> Value {
    let mut status = serde_json::to_value(summary).unwrap_or_default();
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    if let Some(ledger) = ledger {
        status["ledger"] = json!(ledger);
    }
    let state = summary.state.as_str();
    // Also while the queue is paused.
    let halted = summary.trouble == "Halted";
    let wanted = [
        condition::Wanted::new(
            names::ACTIVE,
            matches!(state, "Active" | "Idle"),
            state,
            &summary.message,
        ),
        condition::Wanted::new(names::PAUSED, state == "Paused", state, &summary.message),
        condition::Wanted::new(
            names::HALTED,
            halted,
            if halted { "Halted" } else { state },
            &summary.message,
        ),
    ];
    status["conditions"] = condition::merge(previous, &wanted, summary.observed_generation, now);
    status
}

fn ledger(fields: &mut Fields, status: &Value) -> Option<Ledger> {
    let ledger = status.get("ledger").filter(|ledger| !ledger.is_null())?;
    let read: Result<Ledger, _> = serde_json::from_value(ledger.clone());
    let hint = "remove status.ledger: Junban rebuilds it from marks and entries";
    Some(fields.take("status.ledger", read, hint, Ledger::default()))
}

fn urls(fields: &mut Fields, path: &str, texts: Vec<String>) -> Vec<String> {
    let is_url = |text: &str| {
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let bare = host.map(|host| host.strip_suffix('/').unwrap_or(host));
        bare.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']))
    };
    let hint = "write https://HOST:PORT";
    fields.set(path, &texts, is_url, "is not the URL of a server", hint);
    texts
}
