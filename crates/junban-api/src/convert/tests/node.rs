use serde_json::json;

use super::*;

fn node(more: serde_json::Value) -> Node {
    let mut object = json!({
        "metadata": {"name": "node-1", "uid": "u1", "resourceVersion": "7", "labels": {"role": "worker"}},
        "spec": {},
        "status": {
            "nodeInfo": {
                "bootID": "b1", "systemUUID": "s1", "architecture": "", "containerRuntimeVersion": "", "kernelVersion": "",
                "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
            },
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "3800m", "memory": "1Gi", "pods": "110"},
        },
    });
    merge(&mut object, more);
    read(&serde_json::from_value(object).unwrap()).unwrap()
}

fn merge(into: &mut serde_json::Value, more: serde_json::Value) {
    match (into, more) {
        (serde_json::Value::Object(into), serde_json::Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(json!(null)), value);
            }
        }
        (into, more) => *into = more,
    }
}

#[test]
fn what_a_kubelet_reports_is_read() {
    let node = node(json!({}));
    assert_eq!(node.boot_id, Some("b1".into()));
    assert_eq!(node.system_uuid.as_str(), "s1");
    assert!(node.ready && !node.unschedulable && !node.cordon_is_ours);
    assert_eq!(node.allocatable["cpu"], 3800);
    assert_eq!(node.labels[names::FIELD_NAME], "node-1");
    assert_eq!(
        (node.mark, node.journal, node.waived, node.foreign_owner),
        (None, None, None, None)
    );
}

#[test]
fn an_empty_boot_id_is_none() {
    assert_eq!(
        node(json!({"status": {"nodeInfo": {"bootID": ""}}})).boot_id,
        None
    );
    assert_eq!(node(json!({"status": null})).boot_id, None);
}

#[test]
fn a_cordon_is_ours_only_while_our_manager_owns_the_field() {
    let by = |manager: &str, subresource: &str| {
        let entry = json!({
            "manager": manager, "operation": "Update", "subresource": subresource,
            "fieldsV1": {"f:spec": {"f:unschedulable": {}}},
        });
        node(json!({"metadata": {"managedFields": [entry]}, "spec": {"unschedulable": true}})).cordon_is_ours
    };
    assert!(by("junban", ""));
    assert!(!by("kubectl-cordon", "") && !by("junban", "status") && !by("junban-goal", ""));
    let other_field = json!({"manager": "junban", "fieldsV1": {"f:spec": {"f:taints": {}}}});
    assert!(!node(json!({"metadata": {"managedFields": [other_field]}})).cordon_is_ours);
}

#[test]
fn a_mark_that_cannot_be_read_is_kept_as_text() {
    let node = node(
        json!({"metadata": {"annotations": {names::MARK: "{oops", names::WAIVED: "2026-11-23T09:00:00Z"}}}),
    );
    assert!(node.mark.unwrap().is_err());
    assert_eq!(node.mark_text.as_deref(), Some("{oops"));
    assert_eq!(node.waived, Some("2026-11-23T09:00:00Z".parse().unwrap()));
}

#[test]
fn a_mark_of_a_newer_release_is_kept_as_text() {
    let node = node(json!({"metadata": {"annotations": {names::MARK: r#"{"format":2}"#}}}));
    let error = node.mark.unwrap().unwrap_err();
    assert!(error.contains("written by a newer release"), "{error}");
    assert_eq!(node.mark_text.as_deref(), Some(r#"{"format":2}"#));
}

#[test]
fn a_waiver_may_have_any_valid_form_of_a_time() {
    let waived = |text: &str| node(json!({"metadata": {"annotations": {names::WAIVED: text}}})).waived;
    let time = "2026-11-23T09:00:00Z".parse().unwrap();
    for text in [
        "2026-11-23T09:00:00Z",
        "2026-11-23T10:00:00+01:00",
        " 2026-11-23T09:00:00.000Z ",
    ] {
        assert_eq!(waived(text), Some(time), "{text}");
    }
    assert_eq!(waived("for ever"), None);
}

#[test]
fn signs_of_another_owner_are_recognised() {
    let taint =
        |key: &str| node(json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}})).foreign_owner;
    for key in [
        "ToBeDeletedByClusterAutoscaler",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
        "medik8s.io/drain",
        "kubevirt.io/drain",
    ] {
        assert!(taint(key).unwrap().contains(key));
    }
    assert_eq!(taint("node.kubernetes.io/unschedulable"), None);
    let kured =
        node(json!({"metadata": {"annotations": {names::KURED_IN_PROGRESS: "2026-11-23T09:00:00Z"}}}));
    assert!(kured.foreign_owner.unwrap().starts_with("kured"));
    let condition = json!({"type": "MaintenanceInProgress", "status": "True"});
    let maintained = node(json!({"status": {"conditions": [condition]}}));
    assert!(maintained.foreign_owner.is_some() && !maintained.ready);
}

#[test]
fn a_node_without_a_uid_is_incomplete() {
    let node = k8s::Node {
        metadata: ObjectMeta {
            name: Some("node-1".into()),
            ..ObjectMeta::default()
        },
        ..k8s::Node::default()
    };
    assert_eq!(read(&node).unwrap_err().to_string(), "Node node-1 has no uid");
}
