//! Edges of lifecycle.md 2 that people, and machines that act by themselves, bring about.

use crate::entry::{Phase, PowerOutcome, Record};
use crate::fixture::Toy;
use crate::reason::Reason;

/// Changes an entry as a person, or another writer, would.
fn change(toy: &mut Toy, node: &str, change: impl FnOnce(&mut crate::entry::Entry)) {
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
fn cancel_in_draining_gives_the_node_back_although_it_rebooted_by_itself() {
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
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Succeeded, Some(Reason::Proven)))
    );
    assert!(toy.powered.is_empty());
}

#[test]
fn retry_after_refusals_asks_the_driver_again() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Failed, Some(Reason::BootTimeout)))
    );
    toy.driver = PowerOutcome::NothingStarted;
    change(&mut toy, "node-1", |entry| entry.spec.retries = 1);
    toy.run(100);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Failed, Some(Reason::PowerRefused)))
    );
    (toy.driver, toy.boot_ms) = (PowerOutcome::Started, 20_000);
    change(&mut toy, "node-1", |entry| entry.spec.retries = 2);
    toy.run(100);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Succeeded, Some(Reason::Proven)))
    );
}

#[test]
fn a_waiver_alone_gives_up_no_failed_entry() {
    let mut toy = Toy::new(&["node-1"]);
    toy.boot_ms = 0;
    toy.run(100);
    toy.node("node-1").waived = toy.cluster.policies.values().next().unwrap().booted_after;
    toy.run(10);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Failed, Some(Reason::BootTimeout)))
    );
    assert!(toy.node("node-1").unschedulable);
}

#[test]
fn on_timeout_hold_fails_the_entry_and_keeps_the_cordon() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.policy().drain.on_timeout = crate::policy::OnTimeout::Hold;
    toy.policy().drain.timeout = std::time::Duration::from_secs(30);
    toy.run(1);
    toy.cluster.apply_pod(crate::fixture::pod("late", "node-1"));
    toy.evictions_are = Some(crate::effect::EvictOutcome::Unknown("lost".into()));
    toy.run(60);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Failed, Some(Reason::DrainTimeout)))
    );
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
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Succeeded, Some(Reason::Proven)))
    );
    assert_eq!(toy.powered.len(), 1);
}
