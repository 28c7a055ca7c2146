//! The node: its cordon, its drain before the power action, and how it is given back. Each test name goes on after "the
//! node".

use super::*;

#[test]
fn keeps_the_cordon_that_a_person_set_again() {
    let trial = after_the_record(
        "after 2s: uncordon node-1\ndo: cordon node-1\neventually: every entry Succeeded\n\
         at the end: node-1 cordoned, no mark, no slot",
    );
    trial.needs(&[Guard::UncordonOwnManager], "independent check");
    trial.needs(&[Guard::UncordonOwnManager, Guard::Recheck], "S9");
}

/// Two guards: the field manager of the cordon, and whether the node was cordoned before.
#[test]
fn keeps_the_cordon_that_was_there_before() {
    let trial = file("cordon_before_the_run");
    trial.needs(
        &[Guard::UncordonPrior, Guard::UncordonOwnManager, Guard::Recheck],
        "S9",
    );
}

#[test]
fn is_powered_5_s_after_its_cordon_at_the_earliest() {
    aimed(
        "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: node-1 is cordoned\nwait 4s\n\
         eventually within 1s: power log empty",
    )
    .needs(&[Guard::ListAfterCordon], "power log empty");
}

/// Two guards: the list that proves the drain, and the live reads before the act.
#[test]
fn is_powered_only_without_a_pod_on_it() {
    aimed(
        "nodes: 2, boot 30s..30s\n\
         deployment shop/slow: replicas 1, on node-1, stops in 60s, grace 120s\n\
         do: reboot node-1\neventually: every entry Succeeded",
    )
    .needs(&[Guard::ListIsEmpty, Guard::ActPods], "S6");
}

#[test]
fn is_powered_only_when_its_volumes_are_detached() {
    aimed(
        "nodes: 2, boot 30s..30s\n\
         deployment shop/files: replicas 1, on node-1, csi volume, stops in 10s\n\
         do: reboot node-1\neventually: node-1 is cordoned\nwait 11s\neventually within 1s: power log empty",
    )
    .needs(&[Guard::VolumesDetached], "power log empty");
}

#[test]
fn is_given_back_only_after_the_proof() {
    file("boot_check_fails_for_long").needs(&[Guard::Proof], "S10");
}

#[test]
fn is_given_back_for_a_deleted_entry_only_after_the_proof() {
    file("entry_deleted_in_rebooting").needs(&[Guard::OrphanProven], "S10");
}

#[test]
fn is_given_back_after_giving_up_only_when_ready() {
    file("giving_up").needs(&[Guard::LiveAttempt], "S10");
}

/// The boot of a turn began after its record. If the journal did not say so, a newer goal would power the node again. The
/// seeds let the proof come at any moment in which the boot is shown.
#[test]
fn has_its_boot_in_the_journal_when_it_is_given_back() {
    let mut trial = file("goal_raised_in_mid_drain");
    trial.seeds = (1..=40).collect();
    trial.has_no_failure();
}

#[test]
fn is_left_alone_while_paused() {
    aimed(
        "nodes: 3, boot 5s..5s\n\
         deployment shop/web: replicas 4, budget maxUnavailable 1, on node-1 node-1 node-1 node-1, ready after 10s\n\
         do: reboot node-1\nwhen node-1 is Draining: pause\nwait 1m\ndo: resume\neventually: every entry Succeeded",
    )
    .needs(&[Guard::PauseEvidence], "S11");
}
