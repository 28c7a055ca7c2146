//! Checks that the schemas know every field that core writes into a status. Our own writes are strict: with a field that
//! the schema does not know, a real API server would refuse every write of that status.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::time::Duration;

use jiff::Timestamp;
use junban_api::convert;
use junban_api::resources;
use junban_core::entry::{BackOff, BlockedBy, DrainProgress, Phase, PowerOutcome, PowerRecord, Record};
use junban_core::format::Format;
use junban_core::policy::{PolicySummary, Step};
use junban_core::queue::{Ledger, QueueSummary, Slot};
use junban_core::reason::Reason;
use junban_core::time::Reading;
use serde_json::Value;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// All fields are written out: a new field in core does not compile until somebody adds it here.
fn record() -> Record {
    let reading = Reading {
        led_ms: 2,
        running_ms: 1,
    };
    Record {
        format: Format,
        observed_generation: 1,
        phase: Phase::Failed,
        reason: Some(Reason::BootTimeout),
        message: "m".into(),
        since: Some(NOW),
        phase_at: Some(reading),
        reason_at: Some(reading),
        jobs_at: Some(reading),
        jobs_since: Some(NOW),
        boot_id_before: Some("b1".into()),
        boot_id_after: Some("b2".into()),
        attempt: 1,
        attempts_used: 1,
        refusals: 1,
        power: Some(PowerRecord {
            step: Step::Command {
                command: vec!["true".into()],
            },
            boot_timeout_seconds: 60,
            attempts: 1,
            verify_timeout_seconds: 60,
            verify_daemon_sets: true,
            settle_seconds: 0,
            deadline_led_ms: 3,
            recorded_at: NOW,
            outcome: PowerOutcome::Started,
            verify_ignore_taints: vec!["a".into()],
            verify_ignore_resources: vec!["b".into()],
        }),
        boot_ms: Some(1),
        retries_done: 1,
        back_off: Some(BackOff {
            format: Format,
            releases: 1,
            from: reading,
            seconds: Duration::from_secs(300).as_secs(),
            until: NOW,
            blocked_by: Some(BlockedBy {
                object: "pdb a/b".to_owned().into(),
                seen: "1".into(),
            }),
            in_vain: true,
        }),
        drain: Some(DrainProgress { total: 2, left: 1 }),
        settling_at: Some(reading),
        waived: Some(NOW),
        restarts: 1,
    }
}

#[test]
fn every_field_of_a_record_is_in_the_schema() {
    assert_known(
        "NodeReboot",
        &convert::entry::status(&record(), &Value::Null, NOW),
    );
}

#[test]
fn every_field_of_the_queues_status_is_in_the_schema() {
    let slot = Slot {
        node_uid: "u".into(),
        entry: "e".into(),
        entry_uid: "eu".into(),
        reserved: vec!["12345678".into()],
    };
    let ledger = Ledger {
        slots: [("node-1".into(), slot)].into(),
        held: true,
    };
    let summary = QueueSummary {
        observed_generation: 1,
        phases: [("Queued".to_owned(), 1)].into(),
        holding: vec!["node-1".into()],
        lower_bound_seconds: Some(1),
        bound_by: "path".into(),
        state: "Active".into(),
        message: "m".into(),
        trouble: "Halted".into(),
    };
    assert_known(
        "RebootQueue",
        &convert::queue::status(Some(&ledger), &summary, &Value::Null, NOW),
    );
}

#[test]
fn every_field_of_a_policys_status_is_in_the_schema() {
    let summary = PolicySummary {
        observed_generation: 1,
        desired: 1,
        done: 1,
        active: 1,
        failed: 1,
        problem: "NoDriver".into(),
        message: "m".into(),
    };
    assert_known(
        "RebootPolicy",
        &convert::policy::status(&summary, &Value::Null, NOW),
    );
}

/// Fails if `status` has a field that is not in the kind's schema.
fn assert_known(kind: &str, status: &Value) {
    let crds = resources::crds();
    let crd = crds.iter().map(|crd| serde_json::to_value(crd).unwrap());
    let crd = crd
        .into_iter()
        .find(|crd| crd["spec"]["names"]["kind"] == kind)
        .unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    let mut unknown = Vec::new();
    compare("status", schema, status, &mut unknown);
    assert!(
        unknown.is_empty(),
        "the schema of {kind} does not know {unknown:?}"
    );
}

fn compare(path: &str, schema: &Value, value: &Value, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}.{key}");
                let schema = schema["properties"]
                    .get(key)
                    .or_else(|| schema.get("additionalProperties"));
                match schema {
                    Some(schema) => compare(&path, schema, value, unknown),
                    None => unknown.push(path),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| compare(path, &schema["items"], item, unknown)),
        _ => {}
    }
}
