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
        wrong.iter().any(|line| says(line, "S1")),
        "an attempt of the other taken for its own: {wrong:#?}"
    );
}

/// The first has recorded its attempt, and its write of the mark takes a moment longer; its watch of entries is behind.
/// The other finds the entry Rebooting and its mark without the attempt.
fn attempt_is_late() -> Troubles {
    let mut sent = false;
    Troubles {
        on_send: Some(Box::new(move |number, effect| {
            let first = is_attempt(effect) && !sent;
            sent |= first;
            let lists = matches!(effect, Effect::Read(Read::Pods { .. }));
            Trouble {
                late: match number {
                    1 if first => 400,
                    // It is never the first to record.
                    2 if lists => 300,
                    _ => 0,
                },
                unshown: is_look_before_the_act(effect),
                ..Trouble::default()
            }
        })),
        ..both_lead()
    }
}

/// Held twice: the one whose attempt is late also looks once more at the entry, which has gone back.
#[test]
fn void_the_attempt_of_the_other_before_its_entry_goes_back() {
    let trial = aimed("nodes: 1, boot 20s..20s\ncontrollers: 2\ndo: reboot --all\nwait 10m")
        .with(attempt_is_late)
        .watch_lags(1, Watch::Entries, 5_000);
    let wrong_without = |guards: &[Guard]| without(guards, || broken_rules(&trial));
    assert_eq!(wrong_without(&[]), Vec::<String>::new());
    assert_eq!(wrong_without(&[Guard::ActSameEntry]), Vec::<String>::new());
    let wrong = wrong_without(&[Guard::ActSameEntry, Guard::VoidFirst]);
    assert!(wrong.iter().any(|line| says(line, "S3")), "{wrong:#?}");
}

/// The watch of entries of the one is behind: it sees the mark of the second attempt before its record.
#[test]
fn void_no_attempt_that_is_later_than_the_record_they_know() {
    let mut trial = aimed(
        "nodes: 1, boot 20s..20s\ncontrollers: 2\npolicy workers: reboot.bootTimeout 30s, reboot.attempts 2\n\
         fault node-1: power lost\ndo: reboot --all\neventually: node-1 is Rebooting\nafter 5s: repair machine node-1\n\
         wait 10m",
    )
    .with(both_lead)
    .takes(10)
    .watch_lags(2, Watch::Entries, 700);
    trial.seeds = vec![1, 2, 3, 4];
    assert_eq!(broken_rules(&trial), Vec::<String>::new());
    let wrong = without(&[Guard::LaterAttemptCounts], || broken_rules(&trial));
    assert!(wrong.iter().any(|line| says(line, "S1")), "{wrong:#?}");
}
