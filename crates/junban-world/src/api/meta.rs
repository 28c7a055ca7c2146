//! What all objects share: metadata, keys, selectors.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Virtual milliseconds since the world began.
pub type Ms = u64;
/// A name or UID; a clone costs little.
pub type Name = Arc<str>;
pub type Map = BTreeMap<String, String>;

/// Namespace and name. Cluster-scoped objects have an empty namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ObjKey {
    pub namespace: Name,
    pub name: Name,
}

impl ObjKey {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The controller that owns an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRef {
    pub kind: OwnerKind,
    pub name: Name,
    pub uid: Name,
}

/// Kinds that own pods. A Deployment owns the ReplicaSet that owns the pods; a Node owns mirror pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerKind {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    ReplicationController,
    /// Any controller of a kind that the API server does not know; it has no scale subresource.
    Foreign,
    /// A pod that controls other pods. When it is gone, the garbage collector removes them.
    Pod,
    Node,
}

impl OwnerKind {
    /// The kind as the API spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::ReplicationController => "ReplicationController",
            Self::Foreign => "Foreign",
            Self::Pod => "Pod",
            Self::Node => "Node",
        }
    }
}

/// The metadata that this world reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    pub name: Name,
    pub namespace: Name,
    pub uid: Name,
    /// From one counter for the whole API server.
    pub resource_version: u64,
    pub generation: u64,
    pub labels: Map,
    pub annotations: Map,
    pub created: Ms,
    /// When somebody deleted the object; it stays until it has ended and no finalizer is left.
    pub deleted: Option<Ms>,
    pub owner: Option<OwnerRef>,
    pub finalizers: Vec<String>,
}

impl Meta {
    pub fn key(&self) -> ObjKey {
        ObjKey {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    In { key: String, values: Vec<String> },
    NotIn { key: String, values: Vec<String> },
    Exists { key: String },
    DoesNotExist { key: String },
}

/// A label selector. An empty one matches every object, as in policy/v1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    pub match_labels: Map,
    pub expressions: Vec<Expression>,
}

impl Selector {
    /// The selector that asks for one label.
    pub fn label(key: &str, value: &str) -> Self {
        Self {
            match_labels: Map::from([(key.into(), value.into())]),
            expressions: Vec::new(),
        }
    }

    pub fn matches(&self, labels: &Map) -> bool {
        contains(labels, &self.match_labels)
            && self.expressions.iter().all(|e| match e {
                Expression::In { key, values } => labels.get(key).is_some_and(|v| values.contains(v)),
                Expression::NotIn { key, values } => labels.get(key).is_none_or(|v| !values.contains(v)),
                Expression::Exists { key } => labels.contains_key(key),
                Expression::DoesNotExist { key } => !labels.contains_key(key),
            })
    }
}

/// Whether `labels` contain all of `wanted`.
pub fn contains(labels: &Map, wanted: &Map) -> bool {
    wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
}

/// An integer or a percentage, as in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOrPercent {
    Int(i64),
    Percent(i64),
}

impl IntOrPercent {
    /// The number itself, or the percentage of `total`, rounded up.
    pub fn of(self, total: i64) -> i64 {
        match self {
            Self::Int(n) => n,
            Self::Percent(p) => (p * total + 99).div_euclid(100),
        }
    }
}

#[cfg(test)]
mod tests;
