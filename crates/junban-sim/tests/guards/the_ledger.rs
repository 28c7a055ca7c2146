//! Slots, limits and the gates before a start.

use super::*;

#[test]
fn gets_the_slot_of_a_mark_back() {
    file("entry_deleted_after_failure")
        .needs(&[Guard::PutBack], "`eventually within 5m: node-1 is Succeeded`");
}

/// Held twice: a slot is freed for an ended entry, and after live reads that show the same.
#[test]
fn frees_a_slot_only_for_what_has_ended() {
    file("three_empty_nodes").needs(
        &[Guard::FreeEnded, Guard::FreeLive],
        "S4: node-1 was cordoned without a slot",
    );
}

/// Held twice: by the lists, and by putting back the slot of each mark.
#[test]
fn is_rebuilt_from_marks() {
    aimed(
        "nodes: 2, boot 5s..5s\ndo: reboot --all\nwhen node-1 is Draining: delete queue\nafter 2s: apply queue\n\
         eventually: every entry Succeeded\nat the end: no cordon, no mark, no slot",
    )
    .needs(&[Guard::RebuildFromMarks, Guard::PutBack], "every entry Succeeded");
}

#[test]
fn keeps_the_limit_of_unavailable_nodes() {
    let trial = aimed(
        "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 2\ndo: reboot --all\neventually: every entry Succeeded",
    );
    trial.needs(&[Guard::LimitPlaces], "independent check");
    trial.needs(&[Guard::LimitPlaces, Guard::Recheck], "S4");
}

#[test]
fn keeps_the_queue_s_limit() {
    aimed(
        "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 4, maxConcurrent 1\ndo: reboot --all\n\
         never: entries in flight > 1\neventually: every entry Succeeded",
    )
    .needs(&[Guard::LimitQueue], "entries in flight > 1");
}

#[test]
fn keeps_the_policy_s_limit() {
    aimed(
        "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 4\npolicy workers: maxConcurrent 1\ndo: reboot --all\n\
         never: entries in flight > 1\neventually: every entry Succeeded",
    )
    .needs(&[Guard::LimitPolicy], "entries in flight > 1");
}

#[test]
fn waits_for_the_first_proof() {
    let trial = aimed(
        "nodes: 4, boot 60s..60s\nqueue: maxUnavailable 4\ndo: reboot --all\neventually: node-1 is Rebooting\nwait 30s\n\
         eventually within 1s: entries in flight = 1",
    );
    trial.needs(&[Guard::FirstProofStart], "entries in flight = 1");
    let trial = aimed(
        "nodes: 4, boot 60s..60s\nqueue: maxUnavailable 4\ndo: reboot --all\neventually: node-1 is Rebooting\nwait 30s\n\
         eventually within 1s: entries Rebooting = 1",
    );
    trial.needs(
        &[Guard::FirstProofStart, Guard::FirstProofPower],
        "entries Rebooting = 1",
    );
}

#[test]
fn opens_one_group_at_a_time() {
    aimed(
        "nodes: 6, racks 2, boot 5s..5s\nqueue: maxUnavailable 4\n\
         policy workers: groups.by topology.kubernetes.io/zone\ndo: reboot --all\n\
         never: racks in flight > 1\neventually: every entry Succeeded",
    )
    .needs(&[Guard::Groups], "racks in flight > 1");
}

#[test]
fn stops_when_failures_exceed_their_limit() {
    file("stop_at_the_first_failure").needs(&[Guard::Halt], "Queued Halted");
}

#[test]
fn starts_no_boot_that_another_entry_may_have_powered() {
    aimed(
        "nodes: 1, boot 30s..30s\nfault node-1: power lost\ndo: reboot --all\neventually: node-1 is Rebooting\n\
         after 5s: delete node node-1\nafter 5s: register node node-1\nwait 60s\n\
         eventually within 1s: node-1 Queued EarlierPower",
    )
    .needs(&[Guard::EarlierPower], "EarlierPower");
}

#[test]
fn starts_no_node_that_is_held_or_excluded() {
    file("hold_and_exclude").needs(&[Guard::NodeGate], "Queued Hold");
}

#[test]
fn starts_a_control_plane_node_alone() {
    file("three_control_planes").needs(&[Guard::ControlPlaneAlone], "S5");
}

/// Held twice: by the health of the members, and by the Nodes that are out of service.
#[test]
fn starts_no_control_plane_node_beside_a_dead_one() {
    file("control_plane_that_never_returns")
        .needs(&[Guard::ControlPlaneHealth, Guard::ControlPlaneAlone], "S5");
}
