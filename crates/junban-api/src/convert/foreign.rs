//! Signs that another actor owns a node. Junban leaves such a node alone (docs/design/drain.md#order-around-the-drain).

use k8s_openapi::api::core::v1::Node;

use crate::names;

/// Taints and their owners. A NodeMaintenance object itself is not watched: its kind may not be installed, and that would
/// need one more right. Its operator sets a taint before it cordons the node, and removes it when the object is deleted.
const TAINTS: [(&str, &str); 5] = [
    (names::CLUSTER_AUTOSCALER_DELETES, "the cluster autoscaler"),
    (names::KARPENTER_DISRUPTED, "Karpenter"),
    (names::KARPENTER_DISRUPTION, "Karpenter"),
    (names::NODE_MAINTENANCE, "a NodeMaintenance object"),
    (names::NODE_MAINTENANCE_OLD, "a NodeMaintenance object"),
];

/// Who owns the node, and by which sign.
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

/// Junban sets no conditions on nodes, so each `MaintenanceInProgress` comes from somebody else.
fn by_condition(node: &Node) -> Option<String> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .any(|condition| condition.type_ == "MaintenanceInProgress" && condition.status == "True")
        .then(|| "another maintenance tool (condition MaintenanceInProgress)".to_owned())
}
