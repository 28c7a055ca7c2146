//! A reference to an object that causes something.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::ids::{EntryName, GroupName, NodeName, PdbKey, PodKey, PolicyName};
use crate::workload::{WorkloadKey, WorkloadKind};

/// An object by kind and name. Its text is `kind name` (`pdb shop/cart`, `node node-3`, `limit maxUnavailable`), and an
/// entry's status stores this text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ObjectRef {
    /// No object in particular.
    #[default]
    None,
    Cluster,
    Queue,
    /// A limit of the queue, by the name of its field.
    Limit(SmolStr),
    ControlPlane,
    /// An API server or etcd member, by its URL.
    Member(String),
    Policy(PolicyName),
    Entry(EntryName),
    Node(NodeName),
    /// Some nodes that cause it together.
    Nodes(Vec<NodeName>),
    Groups(Vec<GroupName>),
    Pod(PodKey),
    Pdb(PdbKey),
    Workload(WorkloadKey),
    Volume(String),
    /// A resource that runs out, by its name.
    Capacity(String),
    /// An object that has no kind here, or that another release wrote.
    Other(String),
}

impl ObjectRef {
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Cluster => f.write_str("cluster"),
            Self::Queue => f.write_str("queue default"),
            Self::Limit(field) => write!(f, "limit {field}"),
            Self::ControlPlane => f.write_str("control plane"),
            Self::Member(url) => f.write_str(url),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Entry(name) => write!(f, "entry {name}"),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Nodes(names) => write!(f, "node {}", listed(names)),
            Self::Groups(names) => write!(f, "group {}", listed(names)),
            Self::Pod(key) => write!(f, "pod {key}"),
            Self::Pdb(key) => write!(f, "pdb {key}"),
            Self::Workload(key) => write!(f, "{key}"),
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Capacity(resource) => write!(f, "capacity {resource}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// `a, b, c`.
pub(crate) fn listed<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl From<ObjectRef> for String {
    fn from(object: ObjectRef) -> Self {
        object.to_string()
    }
}

impl From<String> for ObjectRef {
    /// Reads what a status stores. Only kinds that can end a back-off are recognised.
    fn from(text: String) -> Self {
        let known = text.split_once(' ').and_then(|(kind, name)| {
            if kind == "volume" {
                return Some(Self::Volume(name.to_owned()));
            }
            let (namespace, name) = name.split_once('/')?;
            Some(match kind {
                "pod" => Self::Pod(PodKey::new(namespace, name)),
                "pdb" => Self::Pdb(PdbKey::new(namespace, name)),
                kind => Self::Workload(WorkloadKey::new(WorkloadKind::named(kind), namespace, name)),
            })
        });
        known.unwrap_or(Self::Other(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_stores_is_read_again() {
        let workload = |kind| ObjectRef::Workload(WorkloadKey::new(kind, "shop", "cart"));
        let objects = [
            ObjectRef::Pod(PodKey::new("shop", "cart-1")),
            ObjectRef::Pdb(PdbKey::new("shop", "cart")),
            ObjectRef::Volume("pv-1".into()),
            workload(WorkloadKind::StatefulSet),
            workload(WorkloadKind::Other("Cassandra".into())),
        ];
        for object in objects {
            assert_eq!(ObjectRef::from(object.to_string()), object);
        }
        let unknown = ObjectRef::Other("planet earth".into());
        assert_eq!(ObjectRef::from("planet earth".to_owned()), unknown);
    }
}
