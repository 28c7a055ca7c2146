//! The act: the time between the write-ahead record and the power action. Each test name goes on after "the act".

use super::*;

#[test]
fn is_not_begun_when_the_queue_was_paused_after_the_record() {
    after_the_record("after 150ms: pause\nwait 5s\nat the end: power log empty")
        .needs(&[Guard::ActNotPaused], "power log empty");
}

/// Two guards: a turn goes on only with its slot, and the live read must show the slot.
/// Three guards: a queue that was made again counts as paused until its ledger is rebuilt.
#[test]
fn is_not_begun_when_the_queue_does_not_show_the_slot() {
    after_the_record(
        "after 150ms: delete queue\ndo: apply queue\nwait 3s\neventually within 1s: power log empty",
    )
    .needs(
        &[Guard::ActNotPaused, Guard::ActSlot, Guard::SlotFirst],
        "power log empty",
    );
}

#[test]
fn is_not_begun_on_a_node_that_a_person_uncordoned() {
    after_the_record("after 150ms: uncordon node-1\nwait 3s\neventually within 1s: power log empty")
        .needs(&[Guard::ActCordoned], "power log empty");
}

/// By hand: `junban cancel` waives nothing for an entry in Rebooting.
#[test]
fn is_not_begun_for_a_goal_that_was_waived() {
    after_the_record(
        "after 150ms: annotate node-1: junban.dev/waived=2100-01-01T00:00:00Z\nwait 5s\n\
         at the end: power log empty, no mark, no slot",
    )
    .needs(&[Guard::ActWaiver], "power log empty");
}

/// The cache does not take in what the reads before the act show. The watches are far behind.
fn unshown() -> Troubles {
    Troubles {
        on_send: Some(Box::new(|_, effect| Trouble {
            unshown: is_read_before_the_act(effect),
            ..Trouble::default()
        })),
        ..Troubles::default()
    }
}

/// In a usual run the cache takes in the live reads, and the turn ends before the act is judged. So the cache must not
/// take them in here.
#[test]
fn is_not_begun_on_a_node_with_another_uid() {
    after_the_record("after 150ms: delete node node-1\nwait 3s\neventually within 1s: power log empty")
        .watches_lag(9_000)
        .with(unshown)
        .needs(&[Guard::ActSameNode], "power log empty");
}

/// The cache must not take in the live reads, as for the Node.
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
    let late = || answered_late(is_attempt, 9_900);
    after_the_record("wait 11s\neventually within 2s: power log empty")
        .with(late)
        .needs(&[Guard::ActInTime], "power log empty");
}

#[test]
fn needs_reads_of_the_last_4_s() {
    let late = || answered_late(is_read_before_the_act, 6_000);
    after_the_record("after 1s: pause\nwait 10s\nat the end: power log empty")
        .with(late)
        .needs(&[Guard::ActEvidence], "S11");
}

/// A process dies after it has sent its attempt. The write arrives after the next leader has powered the machine.
#[test]
fn tests_the_whole_mark_when_its_attempt_is_written() {
    let troubles = || late_and_killed(is_attempt, 12_000);
    after_the_record("eventually: every entry Succeeded\nat the end: no cordon, no mark, no slot")
        .with(troubles)
        .needs(&[Guard::AttemptTestsMark], "S1");
}

/// Two guards: the `test`, and the live reads after it.
#[test]
fn tests_the_cordon_when_its_attempt_is_written() {
    after_the_record("after 50ms: uncordon node-1\nwait 3s\neventually within 1s: power log empty").needs(
        &[Guard::AttemptTestsCordon, Guard::ActCordoned],
        "power log empty",
    );
}

#[test]
fn of_another_process_counts_as_begun() {
    after_the_record(
        "after 350ms: kill controller\nafter 1s: start controller\neventually: every entry Succeeded\n\
         at the end: power log one line per node, no cordon, no mark",
    )
    .needs(&[Guard::ForeignAttemptCounts], "S1");
}

#[test]
fn is_finished_by_a_process_that_got_sigterm() {
    file("stop_in_rebooting").needs(&[Guard::SeenThrough], "BootTimeout");
}

/// The next leader writes the record once more, with the outcome.
#[test]
fn belongs_to_the_process_that_wrote_its_write_ahead_record() {
    aimed(
        "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: every entry Succeeded\n\
         at the end: power log one line per node, no mark",
    )
    .crashed_after_each_of_the_first(24)
    .needs(&[Guard::OwnRecordOnly], "S1");
}

#[test]
fn happens_beside_a_terminating_pod_only_when_it_is_stuck() {
    let trial = file("stuck_on_a_dead_mount");
    trial.needs(&[Guard::StuckPods], "independent check");
    trial.needs(&[Guard::StuckPods, Guard::Recheck], "S6");
}
