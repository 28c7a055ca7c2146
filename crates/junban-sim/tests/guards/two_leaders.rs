//! Two processes that both believe they lead.

use super::*;

/// Both hold a Lease of their own, all the time. What they promise each other then is safety, not an end in time.
pub(super) fn broken_rules(trial: &Trial) -> Vec<String> {
    let rules =
        |line: &String| line.contains("a checker") || line.contains("independent") || line.contains("never");
    trial.wrong().into_iter().filter(rules).collect()
}

fn both_lead() -> Troubles {
    Troubles {
        split_brain: true,
        ..Troubles::default()
    }
}

fn trial(troubles: fn() -> Troubles) -> Trial {
    let mut trial =
        aimed("nodes: 6, boot 20s..20s\ncontrollers: 2\nqueue: maxUnavailable 2\ndo: reboot --all\nwait 10m")
            .with(troubles);
    trial.seeds = vec![1, 2, 3, 4];
    trial
}

#[test]
fn are_kept_apart_by_what_each_write_tests() {
    let wrong = broken_rules(&trial(both_lead));
    assert!(wrong.is_empty(), "{wrong:#?}");
    let wrong = without(&[Guard::OwnRecordDone], || broken_rules(&trial(both_lead)));
    assert!(
        wrong.iter().any(|line| line.contains("S1")),
        "an attempt of the other taken for its own: {wrong:#?}"
    );
}
