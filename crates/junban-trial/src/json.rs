//! Short ways to read the JSON of Kubernetes objects.

use serde_json::Value;

/// A text; empty if there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list; none if there is no list.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether the status of an object has this condition with the value `True`.
pub(crate) fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = items(&object["status"]["conditions"]);
    conditions
        .iter()
        .any(|one| one["type"] == kind && one["status"] == "True")
}
