//! Our own objects: defaults, wrong fields, and reading what was written.

use std::time::Duration;

use jiff::Timestamp;
use junban_core::entry::{Phase, Record};
use junban_core::policy::{Leave, OnTimeout, PolicySummary, Step};
use junban_core::quantity::IntOrPercent;
use junban_core::queue::{Ledger, QueueSummary, Slot};
use junban_core::reason::Reason;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::*;

fn object(kind: &str, name: &str, spec: Value, status: Value) -> DynamicObject {
    let object = json!({
        "apiVersion": "junban.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "uid": "u1", "resourceVersion": "5", "generation": 3, "creationTimestamp": "2026-11-23T09:00:00Z"},
        "spec": spec, "status": status,
    });
    serde_json::from_value(object).unwrap()
}

fn policy_spec() -> Value {
    json!({"nodeSelector": {"matchLabels": {"role": "worker"}}, "priority": 0})
}

fn paths(error: &Unreadable) -> Vec<&str> {
    error.0.iter().map(|error| error.path.as_str()).collect()
}

#[test]
fn an_empty_queue_has_all_defaults() {
    let queue = queue::read(&object("RebootQueue", "default", json!({}), json!(null))).unwrap();
    assert!(!queue.paused);
    assert_eq!(queue.max_concurrent, IntOrPercent::Percent(100));
    assert_eq!(queue.max_unavailable, IntOrPercent::Percent(10));
    assert_eq!(queue.failures_max, IntOrPercent::Percent(5));
    assert_eq!(queue.history_per_node, 3);
    assert_eq!(queue.ledger, None);
    assert!(!queue.control_plane.allow_quorum_loss);
    // A part with some fields gets the defaults of the others.
    let queue = queue::read(&object(
        "RebootQueue",
        "default",
        json!({"failures": {}}),
        json!(null),
    ))
    .unwrap();
    assert_eq!(queue.failures_max, IntOrPercent::Percent(5));
}

#[test]
fn a_minimal_policy_has_all_defaults() {
    let policy = policy::read(&object("RebootPolicy", "workers", policy_spec(), json!(null))).unwrap();
    assert!(
        policy
            .node_selector
            .unwrap()
            .selects(&[("role".to_owned(), "worker".to_owned())].into())
    );
    assert_eq!(policy.min_interval, Duration::from_secs(3600));
    assert_eq!(policy.drain.timeout, Duration::from_secs(1800));
    assert_eq!(policy.drain.load_balancer_wait, Duration::ZERO);
    assert_eq!(policy.drain.unbudgeted_max_unavailable, IntOrPercent::Percent(10));
    assert_eq!(
        (policy.drain.empty_dir, policy.drain.bare),
        (Leave::Evict, Leave::Block)
    );
    assert_eq!(policy.drain.on_timeout, OnTimeout::Release);
    assert_eq!(policy.drain.jobs_deadline, Duration::from_secs(6 * 3600));
    assert_eq!(
        (policy.drain.jobs_evict, policy.groups, policy.booted_after),
        (None, None, None)
    );
    assert_eq!((policy.reboot.ladder.len(), policy.reboot.attempts), (0, 1));
    assert_eq!(policy.verify.settle, None);
}

#[test]
fn all_wrong_fields_are_named_at_once() {
    let mut spec = policy_spec();
    spec["bootedAfter"] = json!("yesterday");
    spec["minInterval"] = json!("1d");
    spec["groups"] = json!({"by": "not a key", "atOnce": 0});
    spec["drain"] = json!({
        "timeout": "", "loadBalancerWait": "soon", "unbudgeted": {"maxUnavailable": "101%"}, "deleteAfterDenial": ["Shop", "a", "a"],
        "emptyDir": "Maybe", "onTimeout": "release", "stuckTerminating": "Hold",
    });
    spec["reboot"] =
        json!({"bootTimeout": "5s", "attempts": 0, "ladder": [{"driver": "magic", "command": []}]});
    spec["verify"] = json!({"timeout": "0s"});
    let error = policy::read(&object("RebootPolicy", "workers", spec, json!(null))).unwrap_err();
    let expected = [
        "spec.bootedAfter",
        "spec.minInterval",
        "spec.groups.by",
        "spec.groups.atOnce",
        "spec.drain.deleteAfterDenial[0]",
        "spec.drain.deleteAfterDenial[2]",
        "spec.drain.timeout",
        "spec.drain.loadBalancerWait",
        "spec.drain.unbudgeted.maxUnavailable",
        "spec.drain.emptyDir",
        "spec.drain.onTimeout",
        "spec.drain.stuckTerminating",
        "spec.reboot.bootTimeout",
        "spec.reboot.ladder[0].driver",
        "spec.reboot.ladder[0].command",
        "spec.reboot.attempts",
        "spec.verify.timeout",
    ];
    assert_eq!(paths(&error), expected);
    assert!(error.0.iter().all(|error| !error.hint.is_empty()), "{error}");

    let spec = json!({"maxConcurrent": 0, "maxUnavailable": "5", "failures": {"max": -1}, "history": {"perNode": 0},
        "controlPlane": {"apiServers": ["10.0.0.1:6443"], "etcdClientSecret": "a/b"}});
    let error = queue::read(&object("RebootQueue", "other", spec, json!(null))).unwrap_err();
    let mut found = paths(&error);
    found.sort_unstable();
    let expected = [
        "metadata.name",
        "spec.controlPlane.apiServers[0]",
        "spec.controlPlane.etcdClientSecret",
        "spec.failures.max",
        "spec.history.perNode",
        "spec.maxConcurrent",
        "spec.maxUnavailable",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_count_above_the_largest_one_is_refused() {
    let spec = json!({"maxConcurrent": 5_000_000_000u64});
    let error = queue::read(&object("RebootQueue", "default", spec, json!(null))).unwrap_err();
    assert!(
        error.to_string().contains("5000000000 is above 1000000"),
        "{error}"
    );
}

#[test]
fn a_policy_with_a_selector_that_cannot_match_is_readable() {
    let spec = json!({"nodeSelector": {"matchLabels": {"role": "a b"}}, "priority": 0});
    let policy = policy::read(&object("RebootPolicy", "workers", spec, json!(null))).unwrap();
    assert_eq!(
        policy.node_selector.unwrap_err(),
        "\"a b\" cannot be the value of a label"
    );
}

#[test]
fn a_field_of_the_wrong_type_makes_only_its_own_object_unreadable() {
    let spec = json!({"nodeSelector": {"matchLabels": {"role": "a"}}, "priority": "high"});
    let error = policy::read(&object("RebootPolicy", "workers", spec, json!(null))).unwrap_err();
    assert_eq!(paths(&error), ["spec"]);
}

#[test]
fn a_policy_with_a_driver_of_a_newer_release_still_governs_its_nodes() {
    let mut spec = policy_spec();
    spec["reboot"] = json!({"ladder": [{"driver": "telepathy"}]});
    let object = object("RebootPolicy", "workers", spec, json!(null));
    assert!(policy::read(&object).is_err());
    let outline = policy::outline(&object).unwrap();
    assert!(outline.node_selector.is_ok() && outline.reboot.ladder.is_empty());
}

#[test]
fn the_ladder_is_read() {
    let mut spec = policy_spec();
    spec["reboot"] = json!({"ladder": [{"driver": "command", "command": ["/bin/true", "x"]}]});
    let policy = policy::read(&object("RebootPolicy", "workers", spec, json!(null))).unwrap();
    let command = vec!["/bin/true".to_owned(), "x".to_owned()];
    assert_eq!(policy.reboot.ladder, [Step::Command { command }]);
}

#[test]
fn a_written_ledger_is_read_again_and_an_absent_one_stays_absent() {
    let slot = Slot {
        node_uid: "n1".into(),
        entry: "node-1-abc".into(),
        entry_uid: "e1".into(),
        reserved: vec!["01234567".into()],
    };
    let ledger = Ledger {
        slots: [("node-1".into(), slot)].into(),
        held: true,
    };
    let summary = QueueSummary {
        state: "Paused".into(),
        observed_generation: 3,
        phases: [("Queued".to_owned(), 2)].into(),
        ..QueueSummary::default()
    };
    let status = queue::status(Some(&ledger), &summary, &Value::Null, Timestamp::UNIX_EPOCH);
    let queue = queue::read(&object("RebootQueue", "default", json!({}), status)).unwrap();
    assert_eq!((queue.ledger, queue.summary), (Some(ledger), summary.clone()));
    let status = queue::status(None, &summary, &Value::Null, Timestamp::UNIX_EPOCH);
    assert_eq!(
        queue::read(&object("RebootQueue", "default", json!({}), status))
            .unwrap()
            .ledger,
        None
    );
}

#[test]
fn a_queue_that_is_paused_and_halted_has_both_conditions() {
    let summary = QueueSummary {
        state: "Paused".into(),
        trouble: "Halted".into(),
        ..QueueSummary::default()
    };
    let status = queue::status(None, &summary, &Value::Null, Timestamp::UNIX_EPOCH);
    let conditions = status["conditions"].as_array().unwrap();
    let found: Vec<_> = conditions
        .iter()
        .map(|one| (one["type"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [("Active", "False"), ("Paused", "True"), ("Halted", "True")]
    );
}

#[test]
fn a_ledger_that_cannot_be_read_makes_the_queue_unreadable() {
    let status = json!({"ledger": {"slots": {"node-1": {"entry": 5}}}});
    let error = queue::read(&object("RebootQueue", "default", json!({}), status)).unwrap_err();
    assert_eq!(paths(&error), ["status.ledger"]);
}

fn entry_spec() -> Value {
    json!({"nodeName": "node-1", "nodeUID": "n1", "policy": "workers", "bootedAfter": "2026-11-23T09:00:00Z", "retries": 2})
}

#[test]
fn a_written_record_is_read_again() {
    let record = Record {
        phase: Phase::Draining,
        reason: Some(Reason::BudgetExhausted),
        message: "pdb shop/cart allows 0 disruptions".into(),
        boot_id_before: Some("b1".into()),
        attempt: 1,
        ..Record::default()
    };
    let status = entry::status(&record, &Value::Null, Timestamp::UNIX_EPOCH);
    assert_eq!(status["conditions"][0]["type"], "Blocked");
    assert_eq!(status["conditions"][0]["status"], "True");
    assert_eq!(status["bootIDBefore"], "b1");
    let read = entry::read(&object("NodeReboot", "node-1-abc", entry_spec(), status)).unwrap();
    assert_eq!(read.record, record);
    assert_eq!(read.spec.retries, 2);
    let made = entry::object(&read.name, &read.spec);
    assert_eq!(made["spec"]["bootedAfter"], "2026-11-23T09:00:00Z");
    assert_eq!(made["metadata"]["labels"][crate::names::NODE], "node-1");
}

#[test]
fn an_entry_without_status_is_queued() {
    let read = entry::read(&object("NodeReboot", "node-1-abc", entry_spec(), json!(null))).unwrap();
    assert_eq!(read.record, Record::default());
}

#[test]
fn an_entry_whose_record_a_newer_release_wrote_is_unreadable() {
    let status = json!({"format": 2, "phase": "Queued"});
    let error = entry::read(&object("NodeReboot", "node-1-abc", entry_spec(), status)).unwrap_err();
    assert_eq!(paths(&error), ["status"]);
    assert!(
        error.0[0]
            .problem
            .starts_with("written by a newer release of Junban"),
        "{error}"
    );
}

#[test]
fn a_policy_with_a_problem_is_not_ready() {
    let summary = PolicySummary {
        problem: "PolicyConflict".into(),
        ..PolicySummary::default()
    };
    let status = policy::status(&summary, &Value::Null, Timestamp::UNIX_EPOCH);
    assert_eq!(status["conditions"][0]["status"], "False");
    assert_eq!(status["conditions"][0]["reason"], "PolicyConflict");
}
