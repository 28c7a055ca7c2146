use junban_core::cluster::Taint;
use junban_core::effect::NodeWrite;
use junban_core::ids::Version;
use junban_core::journal::Journal;
use serde_json::from_value;

use super::*;

fn node() -> Node {
    let object = from_value(json!({
        "metadata": {"name": "node-1", "uid": "u1", "resourceVersion": "42", "annotations": {"a": "b"}, "labels": {"c": "d"}},
    }));
    junban_api::convert::node::read(&object.unwrap()).unwrap()
}

fn patch(changes: Vec<NodeChange>) -> NodePatch {
    NodePatch {
        node: "node-1".into(),
        uid: "u1".into(),
        version: None,
        mark_is: None,
        unschedulable_is: None,
        changes,
        what: NodeWrite::Start,
        not_after: None,
        why: None,
    }
}

fn uid() -> Value {
    json!({"op": "test", "path": "/metadata/uid", "value": "u1"})
}

#[test]
fn a_cordon_tests_everything_that_was_decided_upon() {
    let mut patch = patch(vec![
        NodeChange::Unschedulable(true),
        NodeChange::ExcludeFromLoadBalancers(true),
    ]);
    patch.version = Some(Version(42));
    patch.mark_is = Some(None);
    patch.unschedulable_is = Some(false);
    let expected = json!([
        uid(),
        {"op": "test", "path": "/metadata/resourceVersion", "value": "42"},
        {"op": "test", "path": "/metadata/annotations/junban.dev~1mark", "value": null},
        {"op": "test", "path": "/spec/unschedulable", "value": null},
        {"op": "add", "path": "/spec/unschedulable", "value": true},
        {"op": "add", "path": "/metadata/labels/node.kubernetes.io~1exclude-from-external-load-balancers", "value": ""},
    ]);
    assert_eq!(operations(&patch, &node(), Shape::USUAL), Some(expected));
}

#[test]
fn giving_back_tests_the_mark_as_it_was_read_and_removes_only_what_exists() {
    let mut node = node();
    node.mark_text = Some("{\"id\":\"x\"}".into());
    node.excluded_from_load_balancers = true;
    let mut patch = patch(vec![
        NodeChange::Mark(None),
        NodeChange::Unschedulable(false),
        NodeChange::ExcludeFromLoadBalancers(false),
    ]);
    patch.mark_is = Some(node.mark_text.clone());
    patch.unschedulable_is = Some(true);
    let expected = json!([
        uid(),
        {"op": "test", "path": "/metadata/annotations/junban.dev~1mark", "value": "{\"id\":\"x\"}"},
        {"op": "test", "path": "/spec/unschedulable", "value": true},
        {"op": "remove", "path": "/metadata/annotations/junban.dev~1mark"},
        {"op": "add", "path": "/spec/unschedulable", "value": false},
        {"op": "remove", "path": "/metadata/labels/node.kubernetes.io~1exclude-from-external-load-balancers"},
    ]);
    assert_eq!(operations(&patch, &node, Shape::USUAL), Some(expected));
    node.excluded_from_load_balancers = false;
    let operations = operations(&patch, &node, Shape::USUAL).unwrap();
    assert_eq!(operations.as_array().unwrap().len(), 5);
}

#[test]
fn a_node_without_annotations_gets_the_map() {
    let journal = Journal::parse("b1 - 1970-01-01T00:00:00Z").unwrap();
    let mut patch = patch(vec![NodeChange::Journal(journal)]);
    let bare = Shape {
        annotations: false,
        labels: false,
    };
    let expected = json!([
        uid(),
        {"op": "test", "path": "/metadata/annotations", "value": null},
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/junban.dev~1boot", "value": "b1 - 1970-01-01T00:00:00Z"},
    ]);
    assert_eq!(operations(&patch, &node(), bare), Some(expected));
    patch.mark_is = Some(Some("{}".into()));
    assert_eq!(
        operations(&patch, &node(), bare),
        None,
        "a Node without annotations has no mark"
    );
}

#[test]
fn taints_are_changed_one_by_one_at_the_version_at_which_they_were_seen() {
    let taint = |key: &str| Taint {
        key: key.into(),
        value: String::new(),
        effect: "NoSchedule".into(),
    };
    let mut node = node();
    let mut patch = patch(vec![NodeChange::PendingTaint(true)]);
    assert_eq!(operations(&patch, &node, Shape::USUAL), None, "without a version");
    patch.version = Some(Version(42));
    let pending = json!({"key": "junban.dev/pending", "effect": "PreferNoSchedule"});
    let last = |patch: &NodePatch, node: &Node| {
        let operations = operations(patch, node, Shape::USUAL).unwrap();
        operations.as_array().unwrap().last().unwrap().clone()
    };
    assert_eq!(
        last(&patch, &node),
        json!({"op": "add", "path": "/spec/taints", "value": [pending]})
    );
    node.taints = vec![taint("other")];
    assert_eq!(
        last(&patch, &node),
        json!({"op": "add", "path": "/spec/taints/-", "value": pending})
    );
    node.taints = vec![taint("other"), taint("junban.dev/pending")];
    patch.changes = vec![NodeChange::PendingTaint(false)];
    assert_eq!(
        last(&patch, &node),
        json!({"op": "remove", "path": "/spec/taints/1"})
    );
    node.version = Version(43);
    assert_eq!(
        operations(&patch, &node, Shape::USUAL),
        None,
        "the indices are those of another version"
    );
}
