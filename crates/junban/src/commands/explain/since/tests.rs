use super::*;
use crate::commands::fixture;
use serde_json::json;

#[test]
fn a_condition_comes_before_the_status_and_that_before_the_age_of_the_entry() {
    let object = |kind: &str, conditions: &[(&str, &str, &str, i64)]| {
        let conditions = conditions.iter().map(|(name, status, reason, at)| {
            json!({"type": name, "status": status, "reason": reason, "lastTransitionTime": fixture::at(*at)})
        });
        json!({"kind": kind, "status": {"conditions": conditions.collect::<Vec<_>>()}})
    };
    let mut times = ConditionTimes::default();
    let pressure = ("MemoryPressure", "False", "KubeletHasSufficientMemory", 1);
    times.add(&object(
        "Node",
        &[pressure, ("Ready", "Unknown", "NodeStatusUnknown", 110)],
    ));
    let halted = ("Halted", "False", "Paused", 2);
    times.add(&object(
        "RebootQueue",
        &[("Paused", "True", "Paused", 120), halted],
    ));
    times.add(&object(
        "RebootPolicy",
        &[("Ready", "False", "PolicyConflict", 130)],
    ));
    let mut entry = fixture::entry("node-1", 100);
    entry.record.since = Some(fixture::at(150));
    let at = |reason, recorded| {
        let (at, since_of) = times.since(&entry, reason, recorded);
        (at.as_second(), since_of)
    };
    assert_eq!(at(Reason::NodeDown, true), (110, SinceOf::Gate));
    assert_eq!(at(Reason::Paused, false), (120, SinceOf::Gate));
    assert_eq!(at(Reason::PolicyConflict, false), (130, SinceOf::Gate));
    assert_eq!(at(Reason::NoPlace, true), (150, SinceOf::Gate));
    assert_eq!(at(Reason::Halted, false), (100, SinceOf::Entry));
}
