//! A Node as the cache shows it.

use std::collections::BTreeMap;

use crate::ids::{BootId, NodeName, NodeUid, SystemUuid, Version};
use crate::journal::Journal;
use crate::mark::Mark;
use crate::selector::Labels;
use crate::taint::Taint;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub name: NodeName,
    pub uid: NodeUid,
    pub version: Version,
    pub created: Timestamp,
    pub labels: Labels,
    pub unschedulable: bool,
    /// Whether Junban's own field manager owns `spec.unschedulable` (managedFields).
    pub cordon_is_ours: bool,
    pub taints: Vec<Taint>,
    /// `junban.dev/exclude`: never touched, counts nowhere.
    pub excluded: bool,
    /// `junban.dev/hold`: not started for now, counts.
    pub held: bool,
    /// `node-role.kubernetes.io/control-plane`.
    pub control_plane: bool,
    /// The exclude-from-external-load-balancers label is there.
    pub excluded_from_load_balancers: bool,
    /// The steering taint `junban.dev/pending` is there.
    pub pending_taint: bool,
    pub ready: bool,
    /// `None`: not reported yet.
    pub boot_id: Option<BootId>,
    pub system_uuid: SystemUuid,
    /// `renewTime` of the node's Lease, as text: only its change is looked at, never its value as a time.
    pub lease: String,
    /// By resource name: cpu in millicores, memory and others in their base unit.
    pub allocatable: BTreeMap<String, i64>,
    /// `Err`: an annotation that does not parse: the node counts as marked by somebody and is not touched.
    pub mark: Option<Result<Mark, String>>,
    /// The annotation's value exactly as read: what a `test` compares.
    pub mark_text: Option<String>,
    pub journal: Option<Journal>,
    /// `junban.dev/waived`: no goal up to then is this node's any more.
    pub waived: Option<Timestamp>,
    /// Whether other tools' signs say that another actor owns this node, and which (drain.md, order).
    pub foreign_owner: Option<String>,
}
