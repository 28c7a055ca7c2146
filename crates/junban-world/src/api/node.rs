//! Nodes, their Leases, and patches of a Node, which work as JSON patches do.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::meta::{Map, Meta, Ms, Name};

/// The label of control-plane nodes.
pub const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// The label of nodes that run an etcd member.
pub const ETCD: &str = "node-role.kubernetes.io/etcd";
/// The label that names a Node's rack.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The label that holds the Node's name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// The taint that a Node has while `spec.unschedulable` is true.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
pub(crate) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(crate) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: Effect,
}

impl Taint {
    /// `key=value:effect`, without `=value` if there is none.
    pub fn text(&self) -> String {
        let value = if self.value.is_empty() { "" } else { "=" };
        format!("{}{value}{}:{:?}", self.key, self.value, self.effect)
    }

    /// `key=value:effect`.
    pub fn new(key: &str, value: &str, effect: Effect) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            effect,
        }
    }
}

/// A toleration of a pod. `None` tolerates all keys, all values or all effects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toleration {
    pub key: Option<String>,
    pub value: Option<String>,
    pub effect: Option<Effect>,
}

impl Toleration {
    /// Tolerates every value and effect of `key`.
    pub fn key(key: &str) -> Self {
        Self {
            key: Some(key.into()),
            value: None,
            effect: None,
        }
    }

    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|k| *k == taint.key)
            && self.value.as_ref().is_none_or(|v| *v == taint.value)
            && self.effect.is_none_or(|e| e == taint.effect)
    }
}

/// The condition `Ready` of a Node. It is `Unknown` while the Lease is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Ready {
    True,
    False,
    #[default]
    Unknown,
}

/// What the kubelet reports about its Node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatus {
    pub ready: Ready,
    /// When `ready` changed last.
    pub ready_since: Ms,
    pub boot_id: String,
    pub system_uuid: String,
    /// CPU in milli-CPUs, memory in bytes, `pods` in pods.
    pub allocatable: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub meta: Meta,
    pub unschedulable: bool,
    /// The field manager that owns `spec.unschedulable`; `None` while the Node is schedulable.
    pub unschedulable_manager: Option<String>,
    pub taints: Vec<Taint>,
    pub status: NodeStatus,
}

impl Node {
    /// The taints that keep pods out, but for the taint of a cordon.
    pub(crate) fn taints_that_keep_out(&self) -> Vec<String> {
        let keep_out = |t: &&Taint| t.effect != Effect::PreferNoSchedule && t.key != UNSCHEDULABLE;
        self.taints.iter().filter(keep_out).map(Taint::text).collect()
    }

    pub fn is_control_plane(&self) -> bool {
        [CONTROL_PLANE, ETCD]
            .iter()
            .any(|role| self.meta.labels.contains_key(*role))
    }

    /// Whether the API shows `Ready` as true.
    pub fn is_ready(&self) -> bool {
        self.status.ready == Ready::True
    }
}

/// The Lease of a Node in `kube-node-lease`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub node: Name,
    pub resource_version: u64,
    pub renewed: Ms,
}

/// One operation of a patch of a Node. Either all operations of a patch take effect, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeOp {
    /// `metadata.resourceVersion` inside the patch: another version answers 409.
    ResourceVersion(u64),
    /// The `Test` operations: another value answers 422.
    TestResourceVersion(u64),
    TestUid(String),
    TestAnnotation(String, Option<String>),
    TestLabel(String, Option<String>),
    TestUnschedulable(bool),
    TestTaints(Vec<Taint>),
    SetAnnotation(String, String),
    /// Removing a key that is not there answers 422, as in RFC 6902.
    RemoveAnnotation(String),
    SetLabel(String, String),
    RemoveLabel(String),
    SetUnschedulable(bool),
    /// Replaces the whole list: the API has no patch of single taints.
    SetTaints(Vec<Taint>),
}

/// The Node after `manager` has patched it with `ops`. The caller writes it to the store.
pub(crate) fn apply(node: &Node, ops: &[NodeOp], manager: &str) -> Result<Node, ApiError> {
    let mut new = node.clone();
    for op in ops {
        apply_one(node, &mut new, op, manager)?;
    }
    Ok(new)
}

fn apply_one(old: &Node, new: &mut Node, op: &NodeOp, manager: &str) -> Result<(), ApiError> {
    let test = |ok: bool| {
        if ok {
            Ok(())
        } else {
            Err(ApiError::invalid(format!(
                "the server rejected our request: {op:?}"
            )))
        }
    };
    match op {
        NodeOp::ResourceVersion(rv) if *rv != old.meta.resource_version => {
            Err(ApiError::conflict(format!("nodes \"{}\"", old.meta.name)))
        }
        NodeOp::ResourceVersion(_) => Ok(()),
        NodeOp::TestResourceVersion(rv) => test(*rv == old.meta.resource_version),
        NodeOp::TestUid(uid) => test(**uid == *old.meta.uid),
        NodeOp::TestAnnotation(k, v) => test(new.meta.annotations.get(k) == v.as_ref()),
        NodeOp::TestLabel(k, v) => test(new.meta.labels.get(k) == v.as_ref()),
        NodeOp::TestUnschedulable(u) => test(*u == new.unschedulable),
        NodeOp::TestTaints(taints) => test(*taints == new.taints),
        NodeOp::SetAnnotation(k, v) => set(&mut new.meta.annotations, k, v),
        NodeOp::SetLabel(k, v) => set(&mut new.meta.labels, k, v),
        NodeOp::RemoveAnnotation(k) => test(new.meta.annotations.remove(k).is_some()),
        NodeOp::RemoveLabel(k) => test(new.meta.labels.remove(k).is_some()),
        NodeOp::SetUnschedulable(to) => {
            // A write that changes nothing takes over no field: `kubectl cordon` of a cordoned node
            // leaves the manager as it was.
            if new.unschedulable != *to {
                new.unschedulable = *to;
                new.unschedulable_manager = to.then(|| manager.to_owned());
            }
            Ok(())
        }
        NodeOp::SetTaints(taints) => {
            new.taints.clone_from(taints);
            Ok(())
        }
    }
}

fn set(map: &mut Map, key: &str, value: &str) -> Result<(), ApiError> {
    map.insert(key.into(), value.into());
    Ok(())
}
