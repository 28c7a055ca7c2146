use junban_core::cluster::WorkloadKind;
use junban_core::selector::Requirement;
use serde_json::{Value, json};

use super::*;

fn pod(spec: Value, status: Value) -> Pod {
    with(json!({}), spec, status)
}

fn with(metadata: Value, mut spec: Value, status: Value) -> Pod {
    let mut object = json!({
        "metadata": {"namespace": "shop", "name": "cart-1", "uid": "u1", "resourceVersion": "9"},
        "status": status,
    });
    for (key, value) in metadata.as_object().unwrap() {
        object["metadata"][key] = value.clone();
    }
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "main"}]);
    }
    object["spec"] = spec;
    read(&serde_json::from_value(object).unwrap(), "junban").unwrap()
}

fn asks(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}})
}

#[test]
fn requests_are_what_a_scheduler_counts() {
    let spec = json!({
        "containers": [
            {"name": "a", "resources": asks("100m", "1Gi")},
            {"name": "b", "resources": asks("200m", "1Gi")},
        ],
        "initContainers": [
            {"name": "big", "resources": asks("50m", "3Gi")},
            {"name": "sidecar", "restartPolicy": "Always", "resources": asks("10m", "1Gi")},
        ],
        "overhead": {"cpu": "5m"},
    });
    let requests = pod(spec, json!({})).requests;
    assert_eq!(requests["cpu"], 100 + 200 + 10 + 5);
    assert_eq!(requests["memory"], 3 << 30);
    assert_eq!(requests["pods"], 1);
}

#[test]
fn a_request_of_the_whole_pod_replaces_the_sum() {
    let spec = json!({
        "containers": [{"name": "a", "resources": asks("100m", "1Gi")}],
        "resources": {"requests": {"cpu": "1"}},
    });
    let requests = pod(spec, json!({})).requests;
    assert_eq!((requests["cpu"], requests["memory"]), (1000, 1 << 30));
}

#[test]
fn a_container_that_is_being_resized_counts_with_the_largest_of_its_requests() {
    let spec = || json!({"containers": [{"name": "a", "resources": asks("300m", "1Gi")}]});
    let status = |conditions: Value| {
        json!({
            "conditions": conditions,
            "containerStatuses": [{
                "name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "allocatedResources": {"cpu": "200m", "memory": "2Gi"},
                "resources": asks("100m", "1Gi"),
            }],
        })
    };
    let growing = pod(spec(), status(json!([]))).requests;
    assert_eq!((growing["cpu"], growing["memory"]), (300, 2 << 30));
    let pending = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
    let never = pod(spec(), status(pending)).requests;
    assert_eq!((never["cpu"], never["memory"]), (200, 2 << 30));
}

#[test]
fn phases_are_read() {
    let phase = |phase: &str| pod(json!({}), json!({"phase": phase})).phase;
    assert_eq!(phase("Pending"), PodPhase::Pending);
    assert_eq!(phase("Running"), PodPhase::Running);
    assert_eq!(phase("Unknown"), PodPhase::Running);
    assert_eq!(phase("Succeeded"), PodPhase::Finished);
    assert_eq!(phase("Failed"), PodPhase::Finished);
}

#[test]
fn a_pod_fits_nowhere_if_the_scheduler_says_so() {
    let fits_nowhere = |reason: &str| {
        let scheduled = json!({"type": "PodScheduled", "status": "False", "reason": reason});
        pod(json!({}), json!({"conditions": [scheduled]})).fits_nowhere
    };
    assert!(fits_nowhere("Unschedulable"));
    assert!(!fits_nowhere("SchedulingGated"));
    assert!(!pod(json!({}), json!({"phase": "Pending"})).fits_nowhere);
}

#[test]
fn the_controller_of_a_pod_is_the_owner_that_controls_it() {
    let owner = |api: &str, kind: &str, controls: bool| {
        let owner = json!({"apiVersion": api, "kind": kind, "name": "x", "uid": "y", "controller": controls});
        with(json!({"ownerReferences": [owner]}), json!({}), json!({}))
    };
    let kind = |api, kind| owner(api, kind, true).owner.unwrap().kind;
    assert_eq!(kind("apps/v1", "ReplicaSet"), WorkloadKind::ReplicaSet);
    assert_eq!(
        kind("v1", "ReplicationController"),
        WorkloadKind::ReplicationController
    );
    assert_eq!(
        kind("apps.kruise.io/v1", "StatefulSet"),
        WorkloadKind::Other("statefulset".into())
    );
    assert_eq!(owner("apps/v1", "ReplicaSet", false).owner, None);
    assert!(owner("v1", "Node", true).is_mirror);
}

#[test]
fn volumes_are_read() {
    let spec = json!({"volumes": [
        {"name": "scratch", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-cart-1"}},
        {"name": "tmp", "ephemeral": {}},
        {"name": "config", "configMap": {"name": "c"}},
    ]});
    let spared = json!({"annotations": {names::SAFE_TO_EVICT_LOCAL_VOLUMES: "other, scratch"}});
    assert_eq!(
        with(spared, spec.clone(), json!({})).empty_dirs,
        Vec::<String>::new()
    );
    let pod = pod(spec, json!({}));
    assert_eq!(pod.empty_dirs, ["scratch"]);
    let claims: Vec<String> = pod.claims.iter().map(ToString::to_string).collect();
    assert_eq!(claims, ["shop/data-cart-1", "shop/cart-1-tmp"]);
}

#[test]
fn only_the_ids_of_running_containers_count() {
    let container = |id: &str, state: &str| {
        let details = if state == "terminated" {
            json!({"exitCode": 255})
        } else {
            json!({})
        };
        json!({"name": id, "image": "", "imageID": "", "ready": true, "restartCount": 0,
               "containerID": format!("containerd://{id}"), "state": {state: details}})
    };
    let status = json!({
        "initContainerStatuses": [container("side", "running"), container("init", "terminated")],
        "containerStatuses": [container("main", "running"), container("old", "terminated")],
    });
    assert_eq!(
        pod(json!({}), status).running_containers,
        ["containerd://side", "containerd://main"]
    );
}

#[test]
fn required_affinity_never_becomes_an_empty_list() {
    let spec = |terms: Value| {
        let required =
            json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
        pod(json!({"affinity": {"nodeAffinity": required}}), json!({})).required_affinity
    };
    let terms = spec(json!([
        {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]},
        {},
    ]));
    assert_eq!(terms.len(), 2);
    let name = Requirement::In(names::FIELD_NAME.into(), ["node-1".to_owned()].into());
    assert_eq!(terms[1].requirements, [name]);
    let greater = spec(json!([{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["4"]}]}]));
    let cores = |value: &str| greater[0].matches(&[("cores".to_owned(), value.to_owned())].into());
    assert!(cores("8") && !cores("4") && !cores("many"));
    assert_eq!(spec(json!([{}])).len(), 1);
}

#[test]
fn tolerations_are_read_by_operator() {
    let spec = json!({"tolerations": [
        {"operator": "Exists"},
        {"key": "a", "value": "b", "effect": "NoSchedule"},
        {"key": "c", "operator": "Equal"},
    ]});
    let values: Vec<_> = pod(spec, json!({}))
        .tolerations
        .into_iter()
        .map(|t| t.value)
        .collect();
    assert_eq!(values, [None, Some("b".to_owned()), Some(String::new())]);
}

#[test]
fn junbans_own_pods_are_recognised_by_labels_in_its_namespace() {
    let labels = json!({"app.kubernetes.io/name": "junban", "app.kubernetes.io/component": "controller"});
    assert!(!with(json!({"labels": labels}), json!({}), json!({})).is_junban);
    assert!(
        with(
            json!({"labels": labels, "namespace": "junban"}),
            json!({}),
            json!({})
        )
        .is_junban
    );
    assert!(!with(json!({"namespace": "junban"}), json!({}), json!({})).is_junban);
}

#[test]
fn a_deletion_overrides_the_grace_period() {
    assert_eq!(pod(json!({}), json!({})).grace, Duration::from_secs(30));
    let spec = json!({"terminationGracePeriodSeconds": 60});
    let going = json!({"deletionTimestamp": "2026-11-23T09:00:00Z", "deletionGracePeriodSeconds": 5});
    let pod = with(going, spec, json!({}));
    assert!(pod.terminating);
    assert_eq!(pod.grace, Duration::from_secs(5));
}
