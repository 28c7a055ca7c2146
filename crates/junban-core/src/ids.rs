//! Names and identities, each of its own type, so that a node's name cannot be used as its UID.
//!
//! A plan looks up tens of thousands of names. Text of up to 23 bytes is stored in the id itself and longer text is
//! shared, so a comparison is fast and a copy never allocates.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        impl $name {
            pub fn new(text: impl Into<SmolStr>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
    )*};
}

string_id! {
    /// `metadata.name` of a Node.
    NodeName
    /// `metadata.uid` of a Node. Another UID under the same name is another node.
    NodeUid
    /// `status.nodeInfo.bootID`, which changes with every boot. It is never empty: see [`BootId::reported`].
    BootId
    /// `status.nodeInfo.systemUUID`: the identity of the machine.
    SystemUuid
    /// `metadata.name` of a RebootPolicy.
    PolicyName
    /// `metadata.name` of a NodeReboot.
    EntryName
    /// `metadata.uid` of a NodeReboot.
    EntryUid
    /// `metadata.uid` of the RebootQueue.
    QueueUid
    /// `metadata.uid` of a Pod.
    PodUid
    /// The random id of a mark.
    MarkId
    /// The group of a node: the value of the policy's group label.
    GroupName
}

impl BootId {
    /// `None` if the kubelet has not reported yet: then the bootID is empty and proves nothing.
    pub fn reported(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }
}

macro_rules! namespaced_key {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name {
            pub namespace: SmolStr,
            pub name: SmolStr,
        }

        impl $name {
            pub fn new(namespace: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
                Self { namespace: namespace.into(), name: name.into() }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.namespace, self.name)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.namespace, self.name)
            }
        }
    )*};
}

namespaced_key! {
    /// A Pod by namespace and name.
    PodKey
    /// A PodDisruptionBudget by namespace and name.
    PdbKey
    /// A PersistentVolumeClaim by namespace and name.
    ClaimKey
}

/// A key by which names sort as people read them: node-2 before node-10.
pub fn natural(name: &str) -> (String, u64, String) {
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name[head.len()..].parse().unwrap_or(0);
    (head.to_owned(), number, name.to_owned())
}

/// `metadata.resourceVersion`. The versions of one resource type compare as numbers: KEP-5504 guarantees this from
/// Kubernetes 1.35, and it is true of every earlier release with etcd. So a cache can keep the newer one of a watch
/// event and the answer to Junban's own write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

/// How an object that was read compares with the known object of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// It is older, so the known object stays.
    Old,
    /// It is the known object.
    Same,
    /// It is newer, or the first one.
    News,
}

impl Version {
    pub fn freshness(self, known: Option<Self>) -> Freshness {
        match known {
            Some(known) if self < known => Freshness::Old,
            Some(known) if self == known => Freshness::Same,
            _ => Freshness::News,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_at_the_end_of_names_sort_as_numbers() {
        let mut names = ["node-10", "node-2", "cp-1"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["cp-1", "node-2", "node-10"]);
    }

    #[test]
    fn only_a_newer_version_is_news() {
        let freshness = [4, 5, 6].map(|read| Version(read).freshness(Some(Version(5))));
        assert_eq!(freshness, [Freshness::Old, Freshness::Same, Freshness::News]);
        assert_eq!(Version(1).freshness(None), Freshness::News);
    }
}
