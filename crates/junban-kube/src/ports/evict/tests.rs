use serde_json::json;

use super::*;

fn of(status: serde_json::Value) -> EvictOutcome {
    let mut whole = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"});
    whole
        .as_object_mut()
        .unwrap()
        .extend(status.as_object().unwrap().clone());
    outcome(&serde_json::from_value(whole).unwrap())
}

const VIOLATES: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

#[test]
fn a_pod_that_is_gone_or_has_another_uid_is_gone() {
    let not_found = json!({"message": "pods \"a\" not found", "reason": "NotFound", "code": 404});
    assert_eq!(of(not_found), EvictOutcome::Gone);
    let uid = "Operation cannot be fulfilled on pods \"a\": the UID in the precondition (x) does not match the UID in record (y). The object might have been deleted and then recreated";
    assert_eq!(
        of(json!({"message": uid, "reason": "Conflict", "code": 409})),
        EvictOutcome::Gone
    );
    let other = json!({"message": "the object has been modified", "reason": "Conflict", "code": 409});
    assert!(matches!(of(other), EvictOutcome::Unknown(_)));
}

#[test]
fn a_budget_that_is_exhausted_or_behind_or_cannot_be_computed() {
    let cause = "The disruption budget cart needs 3 healthy pods and has 3 currently";
    let empty = json!({"message": VIOLATES, "reason": "TooManyRequests", "code": 429,
        "details": {"causes": [{"reason": "DisruptionBudget", "message": cause}]}});
    assert_eq!(
        of(empty),
        EvictOutcome::BudgetExhausted(format!("{VIOLATES} {cause}"))
    );

    let behind = json!({"message": VIOLATES, "reason": "TooManyRequests", "code": 429,
        "details": {"retryAfterSeconds": 10, "causes": [{"reason": "DisruptionBudget",
            "message": "The disruption budget cart is still being processed by the server."}]}});
    assert_eq!(of(behind), EvictOutcome::BudgetBehind(Duration::from_secs(10)));

    let failed = json!({"message": VIOLATES, "reason": "TooManyRequests", "code": 429,
        "details": {"causes": [{"reason": "DisruptionBudget",
            "message": "The disruption budget cart does not allow evicting pods currently because it failed sync: no scale"}]}});
    assert!(matches!(of(failed), EvictOutcome::BudgetUnknown(text) if text.contains("no scale")));
}

#[test]
fn a_pod_with_two_budgets_cannot_be_evicted() {
    let text =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    let two = json!({"message": text, "reason": "InternalError", "code": 500});
    assert!(matches!(of(two), EvictOutcome::TwoBudgets(_)));
}

#[test]
fn a_429_without_a_budget_as_cause_is_flow_control_or_a_webhook() {
    let flow = json!({"message": "Too many requests, please try again later.", "reason": "TooManyRequests", "code": 429,
        "details": {"retryAfterSeconds": 3}});
    assert_eq!(of(flow), EvictOutcome::Throttled(Duration::from_secs(3)));
    let plain = json!({"message": "Too many requests", "code": 429});
    assert_eq!(of(plain), EvictOutcome::Throttled(BUSY_WAIT));
    let migrating = json!({"message": "admission webhook \"virt\" denied the request: Eviction triggered evacuation of VMI", "code": 429});
    assert!(matches!(of(migrating), EvictOutcome::WebhookWaits(text) if text.contains("evacuation")));
}

#[test]
fn a_403_is_a_namespace_that_ends_or_a_webhook_or_a_missing_right() {
    let ending = json!({"message": "pods \"a\" is forbidden: unable to create new content in namespace shop because it is being terminated",
        "reason": "Forbidden", "code": 403, "details": {"causes": [{"reason": "NamespaceTerminating", "message": "namespace shop is being terminated"}]}});
    assert_eq!(of(ending), EvictOutcome::NamespaceTerminating);
    let denied = json!({"message": "admission webhook \"w\" denied the request: not now", "reason": "Forbidden", "code": 403});
    assert!(matches!(of(denied), EvictOutcome::WebhookDenied(_)));
    let right = json!({"message": "pods \"a\" is forbidden: User \"x\" cannot create resource \"pods/eviction\"", "reason": "Forbidden", "code": 403});
    assert!(matches!(of(right), EvictOutcome::Forbidden(text) if text.contains("pods/eviction")));
}

#[test]
fn every_other_answer_is_unknown_and_never_becomes_a_deletion() {
    // A 404 without the API server's reason comes from a proxy.
    for code in [404, 408, 410, 500, 503, 504] {
        assert!(
            matches!(
                of(json!({"message": "x", "code": code})),
                EvictOutcome::Unknown(_)
            ),
            "{code}"
        );
    }
}

/// The policy may allow to delete a pod after a denial. A webhook that is down denies nothing.
#[test]
fn a_webhook_that_is_down_denies_nothing() {
    let down =
        json!({"message": "Internal error occurred: failed calling webhook \"w\": timeout", "code": 500});
    assert!(matches!(of(down), EvictOutcome::WebhookWaits(_)));
}
