//! The ledger: slots, limits and the gates before a start. Each test name goes on after "the ledger".

use super::*;

#[test]
fn gets_the_slot_of_a_mark_back() {
    file("entry_deleted_after_failure")
        .needs(&[Guard::PutBack], "`eventually within 5m: node-1 is Succeeded`");
}

/// The next leader's watch of Nodes still shows the mark of an ended turn.
#[test]
fn gets_no_slot_back_for_a_mark_that_is_gone() {
    let trial = file("stop_in_draining").watch_lags(2, Watch::Nodes, 2_000);
    trial.needs(&[Guard::PutBackLive], "S4");
}

/// The next leader's watch of entries has shown nothing for an hour.
#[test]
fn keeps_the_mark_of_an_entry_that_it_has_not_seen() {
    aimed(
        "nodes: 2, boot 5s..5s\ncontrollers: 2\n\
         deployment shop/slow: replicas 1, on node-1, stops in 60s, grace 120s\n\
         wait 5s\ndo: reboot node-1\nwhen node-1 is Draining: kill controller\nwait 30s\n\
         eventually within 1s: node-1 cordoned and node-1 is Draining",
    )
    .watch_lags(2, Watch::Entries, 3_600_000)
    .needs(&[Guard::OrphanLive], "node-1 cordoned");
}

/// A start is under way when the queue is created again. It arrives after a list that begins at once.
#[test]
fn is_rebuilt_after_all_requests_under_way_have_arrived() {
    fn is_start(effect: &Effect) -> bool {
        matches!(effect, Effect::PatchNode(patch) if patch.what == NodeWrite::Start)
    }
    aimed(
        "nodes: 3, boot 30s..30s\n\
         deployment shop/web: replicas 2, budget maxUnavailable 1, on node-1 node-1\n\
         deployment shop/a: replicas 2, budget maxUnavailable 1, on node-2 node-2\n\
         deployment shop/b: replicas 2, budget maxUnavailable 1, on node-2 node-2\n\
         do: reboot node-1 node-2\neventually: node-1 is holding a slot\nwait 200ms\n\
         do: edit budget shop/web: maxUnavailable 0\ndo: delete queue\ndo: apply queue\ndo: resume\nwait 30s\n\
         do: edit budget shop/web: maxUnavailable 1\n\
         never: workers cordoned > 1\neventually: every entry Succeeded",
    )
    .with(|| late_and_killed(is_start, 4_000))
    .needs(&[Guard::RebuildLater], "S4");
}

/// Two guards: the entry must have ended, and live reads must show that.
#[test]
fn frees_a_slot_only_for_an_ended_entry() {
    // The slot must be freed just before the cordon. With several seeds some run hits that moment.
    let trial = Trial {
        seeds: (1..=8).collect(),
        ..file("three_empty_nodes")
    };
    trial.needs(
        &[Guard::FreeEnded, Guard::FreeLive],
        "S4: node-1 was cordoned without a slot",
    );
}

/// Two guards: the lists, and the slot that is put back for each mark.
#[test]
fn is_rebuilt_from_marks() {
    aimed(
        "nodes: 2, boot 5s..5s\ndo: reboot --all\nwhen node-1 is Draining: delete queue\nafter 2s: apply queue\ndo: resume\n\
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
    .needs(&[Guard::LimitQueue], "S4: maxConcurrent of the queue");
}

#[test]
fn keeps_the_policy_s_limit() {
    aimed(
        "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 4\npolicy workers: maxConcurrent 1\ndo: reboot --all\n\
         never: entries in flight > 1\neventually: every entry Succeeded",
    )
    .needs(&[Guard::LimitPolicy], "S4: maxConcurrent of policy workers");
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
    .needs(&[Guard::Groups], "S4: groups of policy workers");
}

#[test]
fn stops_when_failures_exceed_their_limit() {
    file("stop_at_the_first_failure").needs(&[Guard::Halt], "Queued Halted");
}

#[test]
fn starts_no_node_on_a_boot_that_another_entry_may_have_powered() {
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
fn keeps_two_nodes_of_a_quorum_group_from_going_together() {
    file("quorum_of_nodes").needs(&[Guard::QuorumGroups], "S30");
    file("quorum_of_pods").needs(&[Guard::QuorumGroups], "S30");
}

#[test]
fn starts_a_control_plane_node_alone() {
    file("three_control_planes").needs(&[Guard::ControlPlaneAlone], "S5");
}

#[test]
fn retries_no_worker_beside_a_control_plane_node() {
    file("retry_beside_the_control_plane").needs(&[Guard::RetryAlone], "nodes in flight > 1");
}

/// Two guards: the health of the members, and the Nodes that are unavailable.
#[test]
fn starts_no_control_plane_node_beside_a_dead_one() {
    file("control_plane_that_never_returns")
        .needs(&[Guard::ControlPlaneHealth, Guard::ControlPlaneAlone], "S5");
}

/// The gate closes, and opens again a second later.
#[test]
fn grants_a_dropped_slot_again_after_5_s() {
    aimed(
        "nodes: 1, boot 5s..5s\ndo: reboot --all\neventually: node-1 is holding a slot\ndo: pause\neventually: no slot\n\
         do: resume\nwait 3s\neventually within 500ms: no slot",
    )
    .needs(&[Guard::AfterDrop], "no slot");
}
