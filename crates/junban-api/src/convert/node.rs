//! Node to core.

use junban_core::cluster::{Node, Taint};
use junban_core::ids::{BootId, NodeName, NodeUid, SystemUuid};
use junban_core::journal::Journal;
use junban_core::mark::Mark;
use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Incomplete, foreign, meta, quantity};
use crate::names;

/// Reads a Node. `lease` is empty here, because the Lease comes from another watch ([`super::lease`]). The labels also
/// get [`names::FIELD_NAME`], for requirements on the field `metadata.name`.
pub fn read(node: &k8s::Node) -> Result<Node, Incomplete> {
    let meta = meta::read("Node", &node.metadata)?;
    let annotation = |key| node.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let spec = node.spec.as_ref();
    let status = node.status.as_ref();
    let info = status.and_then(|status| status.node_info.as_ref());
    let mut labels = node.metadata.labels.clone().unwrap_or_default();
    labels.insert(names::FIELD_NAME.to_owned(), meta.name.clone());
    let has = |label: &str| labels.contains_key(label);
    let taints: Vec<Taint> = spec
        .and_then(|spec| spec.taints.as_ref())
        .into_iter()
        .flatten()
        .map(taint)
        .collect();
    Ok(Node {
        name: NodeName::new(meta.name),
        uid: NodeUid::new(meta.uid),
        version: meta.version,
        created: meta.created,
        excluded: has(names::EXCLUDE),
        held: has(names::HOLD),
        control_plane: has(names::CONTROL_PLANE),
        etcd: has(names::ETCD),
        excluded_from_load_balancers: has(names::EXCLUDE_FROM_LOAD_BALANCERS),
        pending_taint: taints.iter().any(|taint| taint.key == names::PENDING),
        labels,
        unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or_default(),
        cordon_is_ours: cordon_is_ours(&node.metadata),
        taints,
        ready: is_ready(status),
        boot_id: info.and_then(|info| BootId::reported(&info.boot_id)),
        system_uuid: SystemUuid::new(info.map_or("", |info| &info.system_uuid)),
        lease: String::new(),
        allocatable: quantity::amounts(
            status.and_then(|status| status.allocatable.as_ref()),
            quantity::Round::Down,
        ),
        mark: annotation(names::MARK).map(Mark::parse),
        mark_text: annotation(names::MARK).map(str::to_owned),
        journal: annotation(names::BOOT).and_then(Journal::parse),
        // An administrator may write the time in any valid form. A text that is no time is no waiver: only Junban and
        // administrators can have written it.
        waived: annotation(names::WAIVED).and_then(|text| text.trim().parse().ok()),
        foreign_owner: foreign::owner(node),
    })
}

fn taint(taint: &k8s::Taint) -> Taint {
    Taint {
        key: taint.key.clone(),
        value: taint.value.clone().unwrap_or_default(),
        effect: taint.effect.clone(),
    }
}

fn is_ready(status: Option<&k8s::NodeStatus>) -> bool {
    status
        .and_then(|status| status.conditions.as_ref())
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether Junban's field manager owns `spec.unschedulable` (docs/design/ledger.md#whose-cordon).
fn cordon_is_ours(meta: &ObjectMeta) -> bool {
    meta.managed_fields.iter().flatten().any(|entry| {
        entry.manager.as_deref() == Some(names::FIELD_MANAGER)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0.pointer("/f:spec/f:unschedulable").is_some())
    })
}

#[cfg(test)]
#[path = "tests/node.rs"]
mod tests;
