use serde_json::{Value, json};

use super::*;

fn budget(spec: Value, status: Value) -> Budget {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "cart", "uid": "u1", "resourceVersion": "9", "generation": 2},
        "spec": spec,
        "status": status,
    });
    read(&serde_json::from_value(object).unwrap()).unwrap()
}

fn counts(allowed: i32) -> Value {
    json!({"disruptionsAllowed": allowed, "currentHealthy": 4, "desiredHealthy": 3, "expectedPods": 4, "observedGeneration": 2})
}

#[test]
fn counts_and_the_selector_are_read() {
    let read = budget(
        json!({"minAvailable": "75%", "selector": {"matchLabels": {"app": "cart"}}}),
        counts(1),
    );
    assert_eq!(
        (
            read.disruptions_allowed,
            read.current_healthy,
            read.desired_healthy,
            read.expected_pods
        ),
        (1, 4, 3, 4)
    );
    assert_eq!((read.generation, read.observed_generation), (2, 2));
    assert!(
        read.selector
            .unwrap()
            .matches(&[("app".to_owned(), "cart".to_owned())].into())
    );
}

#[test]
fn only_a_number_as_min_available_counts_ended_pods_as_expected() {
    let counts_ended = |spec: Value| budget(spec, json!(null)).expects_what_it_selects;
    assert!(counts_ended(json!({"minAvailable": 2})));
    assert!(!counts_ended(json!({"minAvailable": "50%"})));
    assert!(!counts_ended(json!({"maxUnavailable": 1})));
}

#[test]
fn pods_whose_eviction_is_not_confirmed_are_listed() {
    let mut status = counts(0);
    status["disruptedPods"] = json!({"cart-1": "2026-11-23T09:00:00Z"});
    assert_eq!(budget(json!({}), status).disrupted_pods, ["cart-1"]);
    assert!(budget(json!({}), counts(1)).disrupted_pods.is_empty());
}

#[test]
fn no_selector_selects_nothing_and_an_empty_selector_selects_everything() {
    assert_eq!(budget(json!({}), json!(null)).selector, None);
    assert!(
        budget(json!({"selector": {}}), json!(null))
            .selector
            .unwrap()
            .matches(&[].into())
    );
}

#[test]
fn only_the_reason_sync_failed_is_read_as_such() {
    let with = |reason: &str| {
        let mut status = counts(0);
        status["conditions"] = json!([{
            "type": "DisruptionAllowed", "status": "False", "reason": reason, "message": "no scale",
            "lastTransitionTime": "2026-11-23T09:00:00Z",
        }]);
        budget(json!({}), status).sync_failed
    };
    assert_eq!(with("SyncFailed").as_deref(), Some("no scale"));
    assert_eq!(with("InsufficientPods"), None);
}
