use serde_json::json;

use super::*;
use crate::format::Format;

#[test]
fn only_these_edges_exist() {
    let edges: Vec<String> = Phase::ALL
        .iter()
        .flat_map(|from| Phase::ALL.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from.may_become(**to))
        .map(|(from, to)| format!("{from}>{to}"))
        .collect();
    let expected = "Queued>Draining Queued>Verifying Queued>Succeeded Queued>Cancelled \
         Draining>Queued Draining>Rebooting Draining>Verifying Draining>Failed Draining>Cancelled \
         Rebooting>Draining Rebooting>Verifying Rebooting>Failed Rebooting>Cancelled \
         Verifying>Succeeded Verifying>Failed Verifying>Cancelled \
         Failed>Queued Failed>Verifying Failed>Cancelled";
    assert_eq!(edges.join(" "), expected);
}

#[test]
fn a_released_entry_backs_off_5_10_20_then_40_minutes() {
    let minutes: Vec<u64> = (1..=5).map(|n| BackOff::wait(n).as_secs() / 60).collect();
    assert_eq!(minutes, [5, 10, 20, 40, 40]);
}

#[test]
fn a_back_off_stands_still_while_paused() {
    let from = Reading {
        led_ms: 1_000,
        running_ms: 1_000,
    };
    let back_off = BackOff {
        format: Format,
        releases: 1,
        from,
        seconds: 300,
        until: Timestamp::UNIX_EPOCH,
        blocked_by: None,
        in_vain: false,
    };
    assert!(!back_off.is_over(from.advanced(Duration::from_secs(3_600), true)));
    assert!(back_off.is_over(from.advanced(Duration::from_secs(300), false)));
}

fn stored() -> Value {
    let from = json!({"led": 1_000, "running": 1_000});
    let back_off =
        json!({"format": 1, "releases": 1, "from": from, "seconds": 300, "until": Timestamp::UNIX_EPOCH});
    json!({"format": 1, "phase": "Queued", "backOff": back_off})
}

#[test]
fn a_record_and_its_back_off_are_read_with_the_current_format_and_without_one() {
    let record = Record::read(&stored()).unwrap();
    let written = serde_json::to_value(&record).unwrap();
    assert_eq!(
        (&written["format"], &written["backOff"]["format"]),
        (&json!(1), &json!(1))
    );
    let mut older = stored();
    older.as_object_mut().unwrap().remove("format");
    older["backOff"].as_object_mut().unwrap().remove("format");
    assert_eq!(Record::read(&older), Ok(record));
}

#[test]
fn a_record_or_back_off_of_a_newer_release_is_not_read_whatever_its_other_fields_are() {
    for part in ["", "/backOff"] {
        let mut newer = stored();
        let fields = newer.pointer_mut(part).unwrap();
        fields["format"] = json!(2);
        let expected =
            "written by a newer release of Junban (format 2, this release reads up to 1): use that release";
        assert_eq!(Record::read(&newer).unwrap_err(), expected);
        // Without `Record::read` it is refused as well.
        assert_eq!(
            serde_json::from_value::<Record>(newer.clone())
                .unwrap_err()
                .to_string(),
            expected
        );
        newer["attempt"] = json!("many");
        newer["backOff"]["blockedBy"] = json!(5);
        assert_eq!(Record::read(&newer).unwrap_err(), expected);
    }
}
