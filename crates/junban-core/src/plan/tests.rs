use std::time::Duration;

use super::*;
use crate::budget::Budget;
use crate::cluster::QueueView;
use crate::effect::{Lane, Read};
use crate::entry::{Phase, PowerOutcome};
use crate::fixture::{Toy, budget, pod};
use crate::ids::PodKey;
use crate::pod::Pod;
use crate::quantity::IntOrPercent;
use crate::reason::Reason;
use crate::time::Reading;
use crate::workload::{WorkloadKey, WorkloadKind};

/// After a good run nothing is left of it.
fn assert_clean(toy: &mut Toy) {
    assert_eq!(toy.slots(), Vec::<String>::new());
    for node in toy.cluster.nodes.values() {
        assert!(node.mark.is_none() && !node.unschedulable, "{node:?}");
        assert!(
            !node.pending_taint && !node.excluded_from_load_balancers,
            "{node:?}"
        );
    }
}

#[test]
fn one_goal_reboots_every_node_once_and_leaves_nothing_behind() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.run(400);
    assert_eq!(toy.powered, ["node-1", "node-2", "node-3"]);
    let of_first: Vec<_> = toy
        .phases
        .iter()
        .filter(|phase| phase.starts_with("node-1"))
        .cloned()
        .collect();
    let expected = [
        "node-1: Draining",
        "node-1: Rebooting",
        "node-1: Verifying",
        "node-1: Succeeded",
    ];
    assert_eq!(of_first, expected);
    toy.assert_phase("node-3", Phase::Succeeded, Reason::Proven);
    assert_clean(&mut toy);
}

/// The write that frees the last slot also writes the summary. So a person who looks after `--wait` sees an idle queue.
#[test]
fn the_status_names_no_holder_of_a_slot_that_was_freed() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    let mut seen_busy = false;
    for _ in 0..400 {
        toy.run(1);
        let free = toy.slots().is_empty();
        let holding = &toy.queue().summary.holding;
        assert!(!free || holding.is_empty(), "{holding:?}");
        seen_busy |= !free;
    }
    assert!(seen_busy);
    assert_eq!(toy.queue().summary.state, "Idle");
    assert_eq!(toy.policy().summary.active, 0);
}

#[test]
fn the_slot_is_freed_on_the_answers_to_the_writes_that_end_the_turn() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.run(400);
    assert_clean(&mut toy);
    let of_turn = |read: &&Read| matches!(read, Read::Turn { .. });
    assert_eq!(toy.reads.iter().find(of_turn), None);
}

#[test]
fn after_an_unknown_write_to_a_node_without_an_entry_the_node_alone_is_read() {
    let mut toy = Toy::new(&["node-1"]);
    let node = toy.node("node-1").name.clone();
    toy.memory.lanes.unknown_writes.insert(Lane::Node(node.clone()));
    toy.run(400);
    let read = Read::Turn { node, entry: None };
    assert!(toy.reads.contains(&read), "{:?}", toy.reads);
    assert_eq!(toy.powered, ["node-1"]);
}

#[test]
fn a_lane_that_waits_for_its_answer_does_not_wake_the_plan() {
    let mut toy = Toy::new(&["node-1"]);
    let lane = Lane::Node(toy.node("node-1").name.clone());
    for _ in 0..100 {
        let now = toy.now();
        let mut memory = toy.memory.clone();
        memory.lanes.busy.insert(lane.clone(), now.mono);
        // From a rejection long ago.
        memory.lanes.not_before.insert(lane.clone(), Mono::default());
        let wake_at = plan(&toy.cluster, &memory, &Schedule::default(), now).wake_at;
        let busy_loop = now.mono + Duration::from_millis(2);
        assert!(
            wake_at.is_none_or(|at| at > busy_loop),
            "{wake_at:?} at {:?}",
            now.mono
        );
        toy.run(1);
    }
    assert_eq!(toy.powered, ["node-1"]);
}

#[test]
fn at_most_max_unavailable_nodes_are_cordoned_at_a_time() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3", "n-4", "n-5", "n-6"]);
    toy.queue().max_unavailable = IntOrPercent::Count(2);
    for _ in 0..400 {
        toy.run(1);
        let cordoned = toy
            .cluster
            .nodes
            .values()
            .filter(|node| node.unschedulable)
            .count();
        assert!(cordoned <= 2, "{cordoned} at {}", toy.now_ms);
    }
    assert_eq!(toy.powered.len(), 6);
    assert_clean(&mut toy);
}

#[test]
fn until_one_node_is_proven_nodes_go_one_at_a_time() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3", "n-4"]);
    toy.queue().max_unavailable = IntOrPercent::Percent(100);
    toy.run(20);
    assert_eq!(toy.powered, ["n-1"]);
    toy.run(100);
    assert_eq!(toy.powered.len(), 4);
}

#[test]
fn no_queue_object_means_paused() {
    let mut toy = Toy::new(&["node-1"]);
    toy.cluster.queue = QueueView::Absent;
    toy.run(30);
    toy.assert_phase("node-1", Phase::Queued, Reason::Paused);
    assert!(toy.powered.is_empty() && !toy.node("node-1").unschedulable);
}

#[test]
fn a_pause_in_mid_drain_keeps_the_cordon_and_stops_evictions() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.run(1);
    assert_eq!(toy.phase("node-1").unwrap().0, Phase::Draining);
    toy.queue().paused = true;
    toy.queue().version.0 += 1_000;
    toy.cluster.apply_pod(pod("late", "node-1"));
    toy.run(60);
    assert!(toy.node("node-1").unschedulable);
    assert!(toy.powered.is_empty() && toy.cluster.pods.len() == 1);
    toy.queue().paused = false;
    toy.run(400);
    assert_eq!(toy.powered.len(), 3);
    assert_clean(&mut toy);
}

#[test]
fn one_server_that_never_returns_does_not_stop_a_cluster_of_three() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.boot_ms = 0;
    toy.run(15);
    assert_eq!(toy.powered, ["node-1"]);
    toy.boot_ms = 20_000;
    toy.run(400);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootTimeout);
    assert_eq!(toy.phase("node-2").unwrap().0, Phase::Succeeded);
    assert_eq!(toy.phase("node-3").unwrap().0, Phase::Succeeded);
    assert_eq!(
        toy.slots(),
        ["node-1"],
        "a failed node keeps its slot until it is proven"
    );
    assert!(toy.node("node-1").unschedulable);
}

#[test]
fn a_failed_server_that_comes_back_is_verified_and_released() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootTimeout);
    toy.node("node-1").boot_id = Some("late".into());
    toy.node("node-1").version.0 += 1_000;
    toy.run(10);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
    assert_eq!(toy.powered.len(), 1);
    assert_clean(&mut toy);
}

#[test]
fn a_retry_gives_one_more_round_and_keeps_slot_mark_and_cordon() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    let name = toy.entry("node-1").unwrap().name.clone();
    toy.boot_ms = 10_000;
    toy.cluster.entries.get_mut(&name).unwrap().spec.retries = 1;
    toy.run(60);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
    assert_eq!(toy.powered.len(), 2);
    assert_eq!(
        toy.entry("node-1").unwrap().record.attempt,
        2,
        "attempt numbers only rise"
    );
    assert_clean(&mut toy);
}

#[test]
fn after_giving_up_a_node_is_restored_when_it_is_ready() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    let name = toy.entry("node-1").unwrap().name.clone();
    toy.node("node-1").ready = false;
    toy.cluster.entries.get_mut(&name).unwrap().spec.cancel = true;
    toy.run(5);
    toy.assert_phase("node-1", Phase::Cancelled, Reason::GivenUp);
    assert!(
        toy.node("node-1").unschedulable,
        "mark and slot stay until it is Ready"
    );
    toy.node("node-1").ready = true;
    toy.run(5);
    assert_clean(&mut toy);
    toy.run(400);
    assert_eq!(toy.powered.len(), 1, "its goal is waived");
}

#[test]
fn a_driver_that_surely_started_nothing_is_asked_again_and_then_released() {
    let mut toy = Toy::new(&["node-1"]);
    toy.driver = PowerOutcome::NothingStarted;
    toy.run(60);
    assert_eq!(toy.powered.len(), 3);
    toy.assert_phase("node-1", Phase::Queued, Reason::BackOff);
    assert_clean_but_taint(&mut toy);
    toy.driver = PowerOutcome::Started;
    toy.run(400);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
}

fn assert_clean_but_taint(toy: &mut Toy) {
    toy.node("node-1").pending_taint = false;
    assert_clean(toy);
    toy.settle();
}

#[test]
fn a_persons_cordon_from_before_the_run_stays() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.node("node-2").unschedulable = true;
    toy.run(400);
    assert_eq!(
        toy.powered,
        ["node-2"],
        "node-2 holds the only place, and its own turn needs no other"
    );
    toy.queue().max_unavailable = IntOrPercent::Count(2);
    toy.queue().version.0 += 1_000;
    toy.run(400);
    assert_eq!(toy.powered.len(), 3);
    assert!(toy.node("node-2").unschedulable);
    assert!(!toy.node("node-1").unschedulable);
}

#[test]
fn a_persons_uncordon_in_mid_drain_releases_the_node() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(1);
    toy.node("node-1").unschedulable = false;
    toy.run(5);
    let (phase, reason) = toy.phase("node-1").unwrap();
    assert_eq!((phase, reason), (Phase::Queued, Some(Reason::BackOff)));
    assert!(toy.entry("node-1").unwrap().record.message.contains("uncordoned"));
    assert!(!toy.node("node-1").unschedulable && toy.powered.is_empty());
}

#[test]
fn a_new_leader_that_finds_a_record_without_its_attempt_voids_it_and_drains_again() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(2);
    // The previous leader wrote the record and died.
    let name = toy.entry("node-1").unwrap().name.clone();
    let now = toy.now();
    let entry = toy.cluster.entries.get_mut(&name).unwrap();
    entry.record.phase = Phase::Rebooting;
    entry.record.attempt = 1;
    entry.record.attempts_used = 1;
    entry.record.boot_id_before = Some("node-1-boot-1".into());
    entry.record.phase_at = Some(now.clock);
    toy.memory = Memory::new("next");
    toy.run(1);
    assert_eq!(toy.phase("node-1").unwrap().0, Phase::Draining);
    toy.run(60);
    assert_eq!(toy.powered.len(), 1);
    assert_eq!(toy.entry("node-1").unwrap().record.attempt, 2);
    assert_clean(&mut toy);
}

#[test]
fn a_new_leader_that_finds_the_attempt_in_the_mark_waits_for_the_boot() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(10);
    assert_eq!(toy.powered.len(), 1);
    let name = toy.entry("node-1").unwrap().name.clone();
    if let Some(power) = &mut toy.cluster.entries.get_mut(&name).unwrap().record.power {
        power.outcome = PowerOutcome::Unknown;
    }
    toy.memory = Memory::new("next");
    toy.run(120);
    toy.assert_phase("node-1", Phase::Failed, Reason::PowerUnknown);
    assert_eq!(toy.powered.len(), 1, "it counts as started");
}

#[test]
fn after_deleting_the_queue_and_all_entries_no_node_reboots_twice_or_stays_cordoned() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3"]);
    toy.queue().max_unavailable = IntOrPercent::Percent(100);
    toy.run(40);
    toy.run(20);
    let powered = toy.powered.len();
    toy.cluster.entries.clear();
    let queue = std::mem::take(&mut toy.cluster.queue);
    toy.run(60);
    assert_eq!(toy.powered.len(), powered);
    toy.cluster.queue = queue;
    toy.queue().ledger = None;
    toy.policy().booted_after = None;
    toy.run(60);
    assert_eq!(toy.powered.len(), powered);
    assert_clean(&mut toy);
}

#[test]
fn a_pause_does_not_hide_that_the_queue_is_halted() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.queue().failures_max = IntOrPercent::Count(0);
    toy.boot_ms = 3_600_000;
    toy.run(120);
    assert_eq!(toy.queue().summary.state, "Halted");
    toy.queue().paused = true;
    toy.run(20);
    let summary = toy.queue().summary.clone();
    assert_eq!(
        (summary.state.as_str(), summary.trouble.as_str()),
        ("Paused", "Halted")
    );
    assert!(
        summary.message.contains("exceed failures.max"),
        "{}",
        summary.message
    );
}

#[test]
fn a_goal_that_somebody_elses_boot_met_ends_without_a_power_action() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().booted_after = None;
    toy.run(2);
    let goal = toy.now().wall.checked_add(Duration::from_secs(10)).unwrap();
    toy.policy().booted_after = Some(goal);
    toy.run(5);
    assert!(toy.entry("node-1").is_none(), "a goal in the future is not due");
    toy.queue().paused = true;
    toy.run(10);
    toy.assert_phase("node-1", Phase::Queued, Reason::Paused);
    // The old boot is seen again after the goal, so the next boot surely began later.
    toy.node("node-1").version.0 += 1_000;
    toy.run(1);
    toy.node("node-1").boot_id = Some("by-hand".into());
    toy.node("node-1").version.0 += 1_000;
    toy.run(3);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::GoalMet);
    assert!(toy.powered.is_empty());
}

#[test]
fn a_removed_goal_deletes_queued_entries_and_the_same_goal_set_again_works() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3"]);
    toy.run(10);
    let goal = toy.policy().booted_after.take();
    toy.run(200);
    assert_eq!(toy.powered, ["n-1"]);
    assert!(toy.entry("n-2").is_none());
    toy.policy().booted_after = goal;
    toy.run(400);
    assert_eq!(toy.powered, ["n-1", "n-2", "n-3"]);
}

#[test]
fn a_clock_that_jumps_back_ends_no_wait() {
    let before = Reading {
        led_ms: 50_000,
        running_ms: 50_000,
    };
    let after = Reading {
        led_ms: 1_000,
        running_ms: 1_000,
    };
    assert_eq!(after.led_since(before), Duration::ZERO);
}

#[test]
fn a_stored_reading_above_the_clock_is_set_to_the_clock() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(15);
    let name = toy.entry("node-1").unwrap().name.clone();
    let record = &mut toy.cluster.entries.get_mut(&name).unwrap().record;
    record.phase_at = Some(Reading {
        led_ms: 90_000_000,
        running_ms: 90_000_000,
    });
    record.power.as_mut().unwrap().deadline_led_ms = 90_060_000;
    toy.run(100);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootTimeout);
}

#[test]
fn a_paused_drain_has_the_reason_paused() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.run(1);
    toy.queue().paused = true;
    toy.queue().version.0 += 1_000;
    toy.run(10);
    toy.assert_phase("node-1", Phase::Draining, Reason::Paused);
}

#[test]
fn a_pod_that_is_back_while_its_eviction_still_counts_is_named() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    for (name, on) in [("cart-0", "node-1"), ("cart-1", "node-2")] {
        let owner = Some(WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "cart"));
        toy.cluster.apply_pod(Pod {
            owner,
            ..pod(name, on)
        });
    }
    toy.cluster.apply_budget(Budget {
        disrupted_pods: vec!["cart-1".into()],
        ..budget("cart", 1, 1, 2)
    });
    toy.run(2);
    let entry = toy.entry("node-1").unwrap();
    assert_eq!(
        entry.record.message,
        "pdb shop/cart allows 0 disruptions (1 healthy, 1 needed); \
         pod shop/cart-1 is back, but the budget counts its eviction for up to two minutes"
    );
    // The name of a pod of a Deployment never comes back: only its deletion is not seen yet.
    let mut of_deployment = toy.cluster.pods[&PodKey::new("shop", "cart-1")].as_ref().clone();
    of_deployment.owner = Some(WorkloadKey::new(WorkloadKind::ReplicaSet, "shop", "cart"));
    of_deployment.version.0 += 1;
    toy.cluster.apply_pod(of_deployment);
    toy.run(601);
    let message = &toy.entry("node-1").unwrap().record.message;
    assert!(!message.contains("is back"), "{message}");
}

#[test]
fn while_the_api_server_throttles_no_eviction_is_asked_for() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    for name in ["cart-0", "cart-1"] {
        toy.cluster.apply_pod(pod(name, "node-1"));
    }
    toy.memory.tokens.throttled_until = Some(Mono::from_millis(toy.now_ms + 20_000));
    toy.run(15);
    assert_eq!(toy.cluster.pods.len(), 2, "nothing was evicted");
    toy.run(10);
    assert_eq!(toy.cluster.pods.len(), 0);
}
