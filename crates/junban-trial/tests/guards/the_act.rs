//! Between the write-ahead record and the power action.

use super::*;

#[test]
fn is_not_begun_when_the_queue_was_paused_after_the_record() {
    after_the_record("after 150ms: pause\nwait 5s\nat the end: power log empty")
        .needs(&[Guard::ActNotPaused], "power log empty");
}

/// Held twice: a turn goes on only with its slot, and the live read must show it.
#[test]
fn is_not_begun_when_the_queue_does_not_show_the_slot() {
    after_the_record(
        "after 150ms: delete queue\ndo: apply queue\nwait 3s\neventually within 1s: power log empty",
    )
    .needs(&[Guard::ActSlot, Guard::SlotFirst], "power log empty");
}

#[test]
fn is_not_begun_on_a_node_that_a_person_gave_back() {
    after_the_record("after 150ms: uncordon node-1\nwait 3s\neventually within 1s: power log empty")
        .needs(&[Guard::ActCordoned], "power log empty");
}

#[test]
fn is_not_begun_for_a_goal_that_was_waived() {
    after_the_record(
        "after 150ms: cancel node-1 is refused\nwait 5s\nat the end: power log empty, no mark, no slot",
    )
    .needs(&[Guard::ActWaiver], "power log empty");
}

/// What the look before the act shows reaches only whoever asked for it; the watches are far behind.
fn unshown() -> Troubles {
    Troubles {
        on_send: Some(Box::new(|_, effect| Trouble {
            unshown: is_look_before_the_act(effect),
            ..Trouble::default()
        })),
        ..Troubles::default()
    }
}

/// Held twice in a usual run: what is read live also reaches the view, and the turn ends before the act is judged.
#[test]
fn is_not_begun_on_a_node_that_is_another_one() {
    after_the_record("after 150ms: delete node node-1\nwait 3s\neventually within 1s: power log empty")
        .watches_lag(9_000)
        .with(unshown)
        .needs(&[Guard::ActSameNode], "power log empty");
}

/// As for the Node.
#[test]
fn is_not_begun_for_an_entry_that_is_gone() {
    after_the_record("after 150ms: delete entry of node-1\nwait 3s\neventually within 1s: power log empty")
        .watches_lag(9_000)
        .with(unshown)
        .needs(&[Guard::ActSameEntry], "power log empty");
}

#[test]
fn is_not_begun_with_a_pod_that_came_after_the_list() {
    aimed(
        "nodes: 2, boot 30s..30s\n\
         deployment shop/late: replicas 1, on node-2, tolerates unschedulable, spread, stops in 10s\n\
         do: reboot node-1\neventually: node-1 is Rebooting\ndo: scale shop/late to 2\nwait 7s\n\
         eventually within 1s: power log empty",
    )
    .takes(2_000)
    .needs(&[Guard::ActPods], "power log empty");
}

#[test]
fn begins_within_10_s_of_the_record() {
    let late = || {
        once(
            is_attempt,
            Trouble {
                answer_late: 9_900,
                ..Trouble::default()
            },
        )
    };
    after_the_record("wait 11s\neventually within 2s: power log empty")
        .with(late)
        .needs(&[Guard::ActInTime], "power log empty");
}

#[test]
fn rests_on_reads_of_the_last_4_s() {
    let late = || {
        once(
            is_look_before_the_act,
            Trouble {
                answer_late: 6_000,
                ..Trouble::default()
            },
        )
    };
    after_the_record("after 1s: pause\nwait 10s\nat the end: power log empty")
        .with(late)
        .needs(&[Guard::ActEvidence], "S11");
}

/// The write of an attempt whose process died arrives when its successor has powered the machine.
#[test]
fn tests_the_whole_mark_when_its_attempt_is_written() {
    let late_and_killed = || {
        once(
            is_attempt,
            Trouble {
                late: 12_000,
                kill: true,
                ..Trouble::default()
            },
        )
    };
    after_the_record("eventually: every entry Succeeded\nat the end: no cordon, no mark, no slot")
        .with(late_and_killed)
        .needs(&[Guard::AttemptTestsMark], "S1");
}

/// Held twice: by the `test` and by the live reads after it.
#[test]
fn tests_the_cordon_when_its_attempt_is_written() {
    after_the_record("after 50ms: uncordon node-1\nwait 3s\neventually within 1s: power log empty").needs(
        &[Guard::AttemptTestsCordon, Guard::ActCordoned],
        "power log empty",
    );
}

#[test]
fn of_another_process_counts_as_started() {
    after_the_record(
        "after 350ms: kill controller\nafter 1s: start controller\neventually: every entry Succeeded\n\
         at the end: power log one line per node, no cordon, no mark",
    )
    .needs(&[Guard::ForeignAttemptCounts], "S1");
}

#[test]
fn is_seen_through_by_a_process_that_is_asked_to_end() {
    file("stop_in_rebooting").needs(&[Guard::SeenThrough], "BootTimeout");
}

/// The successor writes the record once more, for its outcome.
#[test]
fn is_a_process_s_own_only_by_the_record_that_began_it() {
    aimed(
        "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: every entry Succeeded\n\
         at the end: power log one line per node, no mark",
    )
    .ended_after_each_of(24)
    .needs(&[Guard::OwnRecordOnly], "S1");
}
