//! Signs that another actor owns a node (drain.md, order around the drain). Junban leaves such a node alone.

use k8s_openapi::api::core::v1::Node;

use crate::names;

/// A NodeMaintenance object is seen by the taint that its operator puts on the node before it cordons, and takes away
/// when the object is deleted: its kind may not be installed, and to watch it would need one more right.
const TAINTS: [(&str, &str); 5] = [
    (names::CLUSTER_AUTOSCALER_DELETES, "the cluster autoscaler"),
    (names::KARPENTER_DISRUPTED, "Karpenter"),
    (names::KARPENTER_DISRUPTION, "Karpenter"),
    (names::NODE_MAINTENANCE, "a NodeMaintenance object"),
    (names::NODE_MAINTENANCE_OLD, "a NodeMaintenance object"),
];

/// Who owns the node, with the sign.
pub(super) fn owner(node: &Node) -> Option<String> {
    by_taint(node)
        .or_else(|| by_annotation(node))
        .or_else(|| by_condition(node))
}

fn by_taint(node: &Node) -> Option<String> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    taints.iter().find_map(|taint| {
        let (key, who) = TAINTS.iter().find(|(key, _)| *key == taint.key)?;
        Some(format!("{who} (taint {key})"))
    })
}

fn by_annotation(node: &Node) -> Option<String> {
    let annotations = node.metadata.annotations.as_ref()?;
    annotations
        .contains_key(names::KURED_IN_PROGRESS)
        .then(|| format!("kured (annotation {})", names::KURED_IN_PROGRESS))
}

/// Junban sets no node conditions, so every `MaintenanceInProgress` is somebody else's.
fn by_condition(node: &Node) -> Option<String> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .any(|condition| condition.type_ == "MaintenanceInProgress" && condition.status == "True")
        .then(|| "another maintenance tool (condition MaintenanceInProgress)".to_owned())
}
