//! Edges that a person, or a machine that reboots by itself, causes (docs/design/life-cycle.md#edges).

use std::time::Duration;

use crate::cluster::QueueView;
use crate::effect::EvictOutcome;
use crate::entry::{Entry, Phase, PowerOutcome, Record};
use crate::fixture::{Toy, pod};
use crate::memory::Memory;
use crate::pod::Pod;
use crate::policy::OnTimeout;
use crate::quantity::IntOrPercent;
use crate::reason::Reason;

/// Changes an entry as a person or another writer does.
fn change(toy: &mut Toy, node: &str, change: impl FnOnce(&mut Entry)) {
    let name = toy.entry(node).map(|entry| entry.name.clone());
    let entry = name.and_then(|name| toy.cluster.entries.get_mut(&name));
    change(entry.unwrap());
}

fn record<'a>(toy: &'a Toy, node: &str) -> &'a Record {
    &toy.entry(node).unwrap().record
}

fn rebooted_by_itself(toy: &mut Toy, node: &str) {
    toy.node(node).boot_id = Some("by-itself".into());
}

#[test]
fn cancel_in_draining_gives_the_node_back_even_if_it_rebooted_by_itself() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(1);
    assert_eq!(record(&toy, "node-1").phase, Phase::Draining);
    change(&mut toy, "node-1", |entry| entry.spec.cancel = true);
    rebooted_by_itself(&mut toy, "node-1");
    toy.run(10);
    assert_eq!(record(&toy, "node-1").phase, Phase::Cancelled);
    assert!(!toy.node("node-1").unschedulable && toy.slots().is_empty());
}

#[test]
fn a_machine_that_reboots_by_itself_in_mid_drain_is_verified_and_not_powered() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(1);
    assert_eq!(record(&toy, "node-1").phase, Phase::Draining);
    rebooted_by_itself(&mut toy, "node-1");
    toy.run(10);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
    assert!(toy.powered.is_empty());
}

#[test]
fn retry_after_refusals_asks_the_driver_again() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootTimeout);
    toy.driver = PowerOutcome::NothingStarted;
    change(&mut toy, "node-1", |entry| entry.spec.retries = 1);
    toy.run(100);
    toy.assert_phase("node-1", Phase::Failed, Reason::PowerRefused);
    (toy.driver, toy.boot_ms) = (PowerOutcome::Started, 20_000);
    change(&mut toy, "node-1", |entry| entry.spec.retries = 2);
    toy.run(100);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
}

#[test]
fn a_waiver_alone_does_not_give_up_a_failed_entry() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    toy.node("node-1").waived = toy.cluster.policies.values().next().unwrap().booted_after;
    toy.run(10);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootTimeout);
    assert!(toy.node("node-1").unschedulable);
}

#[test]
fn a_failed_entry_comes_back_after_the_proof_whatever_reason_it_shows() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().verify.timeout = Duration::from_secs(20);
    toy.run(20);
    assert_eq!(record(&toy, "node-1").phase, Phase::Rebooting);
    toy.node("node-1").ready = false;
    toy.run(60);
    toy.assert_phase("node-1", Phase::Failed, Reason::VerifyTimeout);
    let phases = toy.phases.len();
    // The ledger is lost and rebuilt, and another writer replaces the reason.
    toy.queue().ledger = None;
    toy.run(20);
    toy.assert_phase("node-1", Phase::Failed, Reason::VerifyTimeout);
    change(&mut toy, "node-1", |entry| {
        entry.record.reason = Some(Reason::Forbidden)
    });
    toy.run(60);
    assert_eq!(toy.phases.len(), phases, "{:?}", toy.phases);
    toy.node("node-1").ready = true;
    toy.run(20);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
}

#[test]
fn a_person_decides_about_another_machine_under_the_old_name() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(20);
    toy.node("node-1").system_uuid = "another".into();
    toy.run(40);
    toy.assert_phase("node-1", Phase::Failed, Reason::MachineChanged);
    change(&mut toy, "node-1", |entry| {
        entry.record.reason = Some(Reason::Forbidden)
    });
    toy.run(40);
    assert_eq!(record(&toy, "node-1").phase, Phase::Failed);
    assert!(toy.node("node-1").unschedulable);
}

#[test]
fn on_timeout_hold_fails_the_entry_and_keeps_the_cordon() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.policy().drain.on_timeout = OnTimeout::Hold;
    toy.policy().drain.timeout = Duration::from_secs(30);
    toy.run(1);
    toy.cluster.apply_pod(pod("late", "node-1"));
    toy.eviction_answer = Some(EvictOutcome::Unknown("lost".into()));
    toy.run(60);
    toy.assert_phase("node-1", Phase::Failed, Reason::DrainTimeout);
    assert!(toy.node("node-1").unschedulable && !toy.powered.contains(&"node-1".to_owned()));
}

#[test]
fn a_retried_entry_whose_boot_id_has_changed_is_verified_and_never_powered() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    change(&mut toy, "node-1", |entry| entry.spec.retries = 1);
    rebooted_by_itself(&mut toy, "node-1");
    toy.run(30);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
    assert_eq!(toy.powered.len(), 1);
}

#[test]
fn a_turn_whose_entry_was_deleted_is_not_broken_while_its_machine_boots() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3", "n-4", "n-5"]);
    toy.policy().reboot.boot_timeout = Duration::from_secs(1_200);
    toy.run(40);
    toy.boot_ms = 0;
    let before = toy.powered.len();
    for _ in 0..60 {
        toy.run(usize::from(toy.powered.len() == before) as u64);
    }
    let last = toy.powered.last().cloned().unwrap();
    toy.node(&last).ready = false;
    let name = toy.entry(&last).unwrap().name.clone();
    toy.cluster.entries.remove(&name);
    toy.run(600);
    assert_eq!(
        toy.powered.len(),
        before + 1,
        "a machine that boots adds no place"
    );
}

#[test]
fn an_entry_is_cancelled_for_its_node_only_after_a_live_read() {
    let mut toy = Toy::new(&["node-1"]);
    toy.queue().paused = true;
    toy.run(5);
    let node = toy.cluster.nodes.remove(&"node-1".into()).unwrap();
    toy.hidden.insert(node.name.clone(), node.clone());
    toy.run(10);
    assert_eq!(
        record(&toy, "node-1").phase,
        Phase::Queued,
        "a live read still shows it"
    );
    toy.hidden.clear();
    toy.run(10);
    toy.assert_phase("node-1", Phase::Cancelled, Reason::NodeGone);
}

#[test]
fn min_interval_counts_from_a_boot_that_the_journal_does_not_name_yet() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().min_interval = Duration::from_secs(3_600);
    let goal = toy.now().wall.checked_add(Duration::from_secs(10));
    toy.policy().booted_after = goal.ok();
    toy.run(2);
    toy.node("node-1").ready = false;
    toy.run(13);
    toy.assert_phase("node-1", Phase::Queued, Reason::NodeDown);
    // This boot began before the goal, and the new bootID shows at the same time as Ready.
    let node = toy.node("node-1");
    (node.ready, node.boot_id) = (true, Some("by-hand".into()));
    toy.run(60);
    toy.assert_phase("node-1", Phase::Queued, Reason::MinInterval);
    assert!(toy.powered.is_empty() && !toy.phases.contains(&"node-1: Draining".to_owned()));
}

#[test]
fn first_proof_holds_for_nodes_that_people_asked_for_by_name_one_after_the_other() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3", "n-4"]);
    toy.queue().max_unavailable = IntOrPercent::Percent(100);
    toy.queue().paused = true;
    toy.run(3);
    let names: Vec<_> = toy.cluster.entries.keys().cloned().collect();
    for (position, name) in names.iter().enumerate() {
        let entry = toy.cluster.entries.get_mut(name).unwrap();
        entry.spec.requested_by = "alice".into();
        let later = Duration::from_secs(position as u64 % 3);
        entry.spec.booted_after = entry.spec.booted_after.checked_sub(later).unwrap();
    }
    toy.queue().paused = false;
    toy.run(20);
    assert_eq!(toy.powered.len(), 1, "{:?}", toy.powered);
    toy.run(200);
    assert_eq!(toy.powered.len(), 4);
}

#[test]
fn without_a_queue_a_powered_machine_is_proven_and_given_back() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3"]);
    toy.run(20);
    assert_eq!(toy.powered, ["n-1"]);
    let queue = std::mem::take(&mut toy.cluster.queue);
    toy.run(60);
    toy.assert_phase("n-1", Phase::Succeeded, Reason::Proven);
    assert!(!toy.node("n-1").unschedulable);
    toy.assert_phase("n-2", Phase::Queued, Reason::Paused);
    assert_eq!(toy.powered, ["n-1"]);
    toy.cluster.queue = queue;
    toy.queue().ledger = None;
    toy.run(300);
    assert_eq!(toy.powered, ["n-1", "n-2", "n-3"]);
}

#[test]
fn without_a_queue_cancel_gives_a_draining_node_back() {
    let mut toy = Toy::new(&["n-1", "n-2"]);
    toy.run(1);
    assert_eq!(record(&toy, "n-1").phase, Phase::Draining);
    toy.cluster.queue = QueueView::Absent;
    change(&mut toy, "n-1", |entry| entry.spec.cancel = true);
    toy.run(20);
    assert_eq!(record(&toy, "n-1").phase, Phase::Cancelled);
    assert!(!toy.node("n-1").unschedulable && toy.powered.is_empty());
}

#[test]
fn a_pause_does_not_count_as_a_blocked_drain_that_lets_the_next_node_begin() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3"]);
    toy.queue().max_unavailable = IntOrPercent::Percent(100);
    toy.run(1);
    toy.queue().paused = true;
    toy.run(90);
    toy.assert_phase("n-1", Phase::Draining, Reason::Paused);
    toy.queue().paused = false;
    toy.run(20);
    assert_eq!(record(&toy, "n-2").phase, Phase::Queued, "{:?}", toy.phases);
}

/// Lets time pass while the leader is killed every 20 s.
fn run_under_killed_leaders(toy: &mut Toy, leaders: u32) {
    for _ in 0..leaders {
        toy.run(20);
        toy.memory = Memory::new("next");
    }
}

#[test]
fn five_minutes_of_not_ready_count_over_all_leaders() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3"]);
    toy.node("n-2").ready = false;
    run_under_killed_leaders(&mut toy, 14);
    assert_eq!(toy.phases, Vec::<String>::new());
    run_under_killed_leaders(&mut toy, 3);
    assert_eq!(toy.powered, ["n-1"], "a broken node adds a place");
}

#[test]
fn a_minute_of_a_blocked_drain_counts_over_all_leaders() {
    let mut toy = Toy::new(&["n-1", "n-2", "n-3"]);
    toy.node("n-3").held = true;
    toy.queue().max_unavailable = IntOrPercent::Percent(100);
    toy.cluster.apply_pod(pod("cart", "n-1"));
    toy.eviction_answer = Some(EvictOutcome::WebhookDenied("not today".into()));
    run_under_killed_leaders(&mut toy, 2);
    assert_eq!(toy.phases, ["n-1: Draining"]);
    run_under_killed_leaders(&mut toy, 2);
    assert_eq!(toy.phases[..2], ["n-1: Draining", "n-2: Draining"]);
}

#[test]
fn a_drain_is_blocked_from_its_first_denial_on() {
    let mut toy = Toy::new(&["n-1", "n-2"]);
    toy.queue().max_unavailable = IntOrPercent::Percent(100);
    let slow = Pod {
        terminating: true,
        grace: Duration::from_secs(300),
        ..pod("slow", "n-1")
    };
    toy.cluster.apply_pod(slow.clone());
    toy.run(90);
    toy.assert_phase("n-1", Phase::Draining, Reason::Evicting);
    toy.eviction_answer = Some(EvictOutcome::WebhookDenied("not today".into()));
    toy.cluster.apply_pod(pod("cart", "n-1"));
    toy.run(40);
    assert_eq!(toy.phases, ["n-1: Draining"]);
}

#[test]
fn a_waiver_forbids_the_next_attempt() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().reboot.attempts = 2;
    toy.boot_ms = 0;
    toy.run(20);
    assert_eq!(toy.powered.len(), 1);
    let goal = toy.policy().booted_after;
    toy.node("node-1").waived = goal;
    toy.run(200);
    assert_eq!(toy.powered.len(), 1);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootTimeout);
}

#[test]
fn no_entry_is_made_while_another_waits_for_a_slot_to_be_freed() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(10);
    let ledger = toy.queue().ledger.clone();
    toy.run(100);
    let first = toy.entry("node-1").unwrap().clone();
    let mut named = first.clone();
    (named.name, named.uid) = ("named".into(), "uid-named".into());
    named.spec.requested_by = "alice".into();
    named.spec.booted_after = toy.now().wall;
    named.record = Record::default();
    toy.cluster.entries.insert(named.name.clone(), named);
    toy.queue().ledger = ledger;
    let now = toy.now().wall;
    toy.policy().booted_after = Some(now);
    toy.settle();
    assert_eq!(toy.cluster.entries.len(), 2);
}
