//! Two processes that both believe that they lead. Each test name goes on after "two leaders".

use super::*;

/// The broken rules of a run. Two leaders must break no rule, but they need not end in time.
pub(super) fn broken_rules(trial: &Trial) -> Vec<String> {
    let rules =
        |line: &String| line.contains("a checker") || line.contains("independent") || line.contains("never");
    trial.wrong().into_iter().filter(rules).collect()
}

/// Each process has a Lease of its own, all the time.
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
        "a process took the attempt of the other for its own: {wrong:#?}"
    );
}

/// The first process has written its record, but the write of its attempt is late and its watch of entries is behind. The
/// other process finds the entry Rebooting and the mark without an attempt.
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
                    // So the second process never writes the record first.
                    2 if lists => 300,
                    _ => 0,
                },
                unshown: is_read_before_the_act(effect),
                ..Trouble::default()
            }
        })),
        ..both_lead()
    }
}

/// Two guards: the process with the late attempt also reads the entry again, which has gone back.
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

/// The watch of entries of one process is behind: it sees the mark of the second attempt before the record.
#[test]
fn void_no_attempt_that_is_later_than_the_known_record() {
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
