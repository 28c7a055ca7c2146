//! A Node's patch as JSON (RFC 6902): all tests, then all changes, in one request.
//!
//! The API server treats such a patch like this (we have seen each):
//! - A `test` for null passes if the field is absent, but not if its parent is absent.
//! - `unschedulable: false` is stored as absent.
//! - To remove an absent field is an error.
//! - Every error and every failed test is a 422.

use junban_api::names;
use junban_core::cluster::Node;
use junban_core::effect::{NodeChange, NodePatch};
use serde_json::{Map, Value, json};

/// Which maps of a Node's metadata exist. The API server drops empty ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) annotations: bool,
    pub(crate) labels: bool,
}

impl Shape {
    /// Every Node that a kubelet has registered has both.
    pub(crate) const USUAL: Shape = Shape {
        annotations: true,
        labels: true,
    };
}

/// The operations of a patch. Removals, and indices into the taints, depend on what `node`, the Node as last seen,
/// has. `None`: we know already that the patch cannot succeed.
pub(crate) fn operations(patch: &NodePatch, node: &Node, shape: Shape) -> Option<Value> {
    let mut operations = tests(patch, shape)?;
    let needs = |wanted: fn(&NodeChange) -> bool| patch.changes.iter().any(wanted);
    if !shape.annotations
        && needs(|change| {
            matches!(
                change,
                NodeChange::Mark(Some(_)) | NodeChange::Journal(_) | NodeChange::Waive(_)
            )
        })
    {
        operations.push(test("/metadata/annotations", Value::Null));
        operations.push(add("/metadata/annotations", Value::Object(Map::new())));
    }
    if !shape.labels && needs(|change| matches!(change, NodeChange::ExcludeFromLoadBalancers(true))) {
        operations.push(test("/metadata/labels", Value::Null));
        operations.push(add("/metadata/labels", Value::Object(Map::new())));
    }
    for change in &patch.changes {
        operations.extend(self::change(change, patch, node)?);
    }
    Some(Value::Array(operations))
}

fn tests(patch: &NodePatch, shape: Shape) -> Option<Vec<Value>> {
    let mut tests = vec![test("/metadata/uid", json!(patch.uid))];
    if let Some(version) = patch.version {
        tests.push(test("/metadata/resourceVersion", json!(version.0.to_string())));
    }
    match &patch.mark_is {
        None => {}
        Some(Some(_)) if !shape.annotations => return None,
        Some(None) if !shape.annotations => tests.push(test("/metadata/annotations", Value::Null)),
        Some(text) => tests.push(test(&annotation(names::MARK), json!(text))),
    }
    if let Some(unschedulable) = patch.unschedulable_is {
        // `false` is stored as absent.
        let value = if unschedulable {
            Value::Bool(true)
        } else {
            Value::Null
        };
        tests.push(test("/spec/unschedulable", value));
    }
    Some(tests)
}

fn change(change: &NodeChange, patch: &NodePatch, node: &Node) -> Option<Vec<Value>> {
    let label = format!("/metadata/labels/{}", escape(names::EXCLUDE_FROM_LOAD_BALANCERS));
    Some(match change {
        NodeChange::Mark(Some(mark)) => vec![add(&annotation(names::MARK), json!(mark.to_annotation()))],
        NodeChange::Mark(None) if node.mark_text.is_none() => vec![],
        NodeChange::Mark(None) => vec![remove(&annotation(names::MARK))],
        NodeChange::Journal(journal) => vec![add(&annotation(names::BOOT), json!(journal.to_string()))],
        NodeChange::Waive(time) => vec![add(&annotation(names::WAIVED), json!(time.to_string()))],
        // `add` also replaces a value. False is stored as absent.
        NodeChange::Unschedulable(value) => vec![add("/spec/unschedulable", Value::Bool(*value))],
        NodeChange::ExcludeFromLoadBalancers(true) => vec![add(&label, json!(""))],
        NodeChange::ExcludeFromLoadBalancers(false) if node.excluded_from_load_balancers => {
            vec![remove(&label)]
        }
        NodeChange::ExcludeFromLoadBalancers(false) => vec![],
        NodeChange::PendingTaint(there) => pending_taint(*there, patch, node)?,
    })
}

/// Others write the taints at the same time. So single elements are changed, at indices that are right for exactly one
/// resourceVersion.
fn pending_taint(there: bool, patch: &NodePatch, node: &Node) -> Option<Vec<Value>> {
    if patch.version != Some(node.version) {
        return None;
    }
    let at = node.taints.iter().position(|taint| taint.key == names::PENDING);
    let taint = json!({"key": names::PENDING, "effect": names::PENDING_EFFECT});
    Some(match (there, at) {
        (true, Some(_)) | (false, None) => vec![],
        (true, None) if node.taints.is_empty() => vec![add("/spec/taints", json!([taint]))],
        (true, None) => vec![add("/spec/taints/-", taint)],
        (false, Some(at)) => {
            let path = format!("/spec/taints/{at}");
            vec![test(&format!("{path}/key"), json!(names::PENDING)), remove(&path)]
        }
    })
}

fn annotation(key: &str) -> String {
    format!("/metadata/annotations/{}", escape(key))
}

/// Escapes a key for a JSON pointer (RFC 6901).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn test(path: &str, value: Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

fn add(path: &str, value: Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

#[cfg(test)]
mod tests;
