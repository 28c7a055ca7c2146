//! Custom objects. The world does not read their spec and status; it only counts their versions and generations.

use serde_json::Value;

use super::meta::{Map, Meta};

/// A cluster-scoped object of a custom resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Custom {
    pub kind: String,
    pub meta: Meta,
    pub spec: Value,
    pub status: Value,
}

impl Custom {
    pub(crate) fn key(&self) -> (String, String) {
        (self.kind.clone(), self.meta.name.to_string())
    }
}

/// The content of a create request.
#[derive(Debug, Clone, Default)]
pub struct NewCustom {
    pub kind: String,
    pub name: String,
    pub labels: Map,
    pub annotations: Map,
    pub spec: Value,
}

/// Preconditions of a write; `None` checks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    pub uid: Option<String>,
    pub resource_version: Option<u64>,
}

impl Preconditions {
    /// The object must have this resource version.
    pub fn version(rv: u64) -> Self {
        Self {
            uid: None,
            resource_version: Some(rv),
        }
    }

    /// The object must have this UID.
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

/// Applies the merge patch `patch` (RFC 7386) to `target`.
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
