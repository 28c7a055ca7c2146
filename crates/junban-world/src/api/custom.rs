//! Custom objects: opaque spec and status, with the bookkeeping of the API server.

use serde_json::Value;

use super::meta::{Map, Meta};

/// An object of a custom resource. Cluster-scoped.
#[derive(Debug, Clone, PartialEq)]
pub struct Custom {
    pub kind: String,
    pub meta: Meta,
    pub spec: Value,
    pub status: Value,
}

/// What a create carries.
#[derive(Debug, Clone, Default)]
pub struct NewCustom {
    pub kind: String,
    pub name: String,
    pub labels: Map,
    pub annotations: Map,
    pub spec: Value,
}

/// Preconditions of a write; `None` asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    pub uid: Option<String>,
    pub resource_version: Option<u64>,
}

impl Preconditions {
    /// On this resource version only.
    pub fn version(rv: u64) -> Self {
        Self {
            uid: None,
            resource_version: Some(rv),
        }
    }

    /// On this UID only.
    pub fn uid(uid: &str) -> Self {
        Self {
            uid: Some(uid.into()),
            resource_version: None,
        }
    }

    pub(crate) fn met(&self, meta: &Meta) -> bool {
        self.uid.as_deref().is_none_or(|u| *u == *meta.uid)
            && self.resource_version.is_none_or(|rv| rv == meta.resource_version)
    }
}

/// `target` after the merge patch `patch` (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_sets_replaces_and_removes() {
        let mut v = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut v, &json!({"a": {"b": null, "e": 3}, "d": [2]}));
        assert_eq!(v, json!({"a": {"c": 2, "e": 3}, "d": [2]}));
    }
}
