//! What people see in entries, policies and Events.

use std::time::Duration;

use crate::entry::Phase;
use crate::fixture::{Toy, budget, node, pod, policy};
use crate::mark::Mark;
use crate::memory::Memory;
use crate::plan::plan;
use crate::pod::Pod;
use crate::policy::Groups;
use crate::quantity::IntOrPercent;
use crate::reason::Reason;
use crate::schedule::Schedule;
use crate::workload::{WorkloadKey, WorkloadKind};

#[test]
fn a_budget_that_can_never_allow_an_eviction_is_reported_while_all_places_are_taken() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.boot_ms = 0;
    toy.queue().ledger = None;
    toy.policy().reboot.boot_timeout = Duration::from_secs(3_000);
    toy.cluster.apply_pod(pod("cart-0", "node-3"));
    toy.cluster.apply_budget(budget("cart", 1, 1, 1));
    toy.run(100);
    assert_eq!(toy.powered, ["node-1"]);
    toy.assert_phase("node-2", Phase::Queued, Reason::NoPlace);
    let expected = Some((Phase::Queued, Some(Reason::BudgetImpossible)));
    assert_eq!(toy.phase("node-3"), expected, "{:?}", toy.entry("node-3"));
    assert_eq!(
        toy.entry("node-3").unwrap().record.jobs_since,
        None,
        "its turn has not come"
    );
}

#[test]
fn an_entry_repeats_the_reason_of_its_goal() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(3);
    assert_eq!(toy.entry("node-1").unwrap().spec.reason, "BIOS 2.19");
}

#[test]
fn a_policy_that_cannot_be_read_reports_it_and_its_generation_as_seen() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().reboot.ladder.clear();
    toy.policy().generation = 7;
    let why = "spec.drain.jobs.evict: not a key".to_owned();
    toy.cluster
        .unreadable_policies
        .insert("workers".into(), why.clone());
    toy.run(3);
    let summary = &toy.policy().summary;
    let shown = (
        summary.problem.as_str(),
        summary.message.as_str(),
        summary.observed_generation,
    );
    assert_eq!(shown, ("UnreadablePolicy", why.as_str(), 7));
}

#[test]
fn a_goal_in_the_future_is_reported_until_it_is_due() {
    let mut toy = Toy::new(&["node-1"]);
    let goal = toy.now().wall.checked_add(Duration::from_secs(60)).unwrap();
    toy.policy().booted_after = Some(goal);
    toy.run(20);
    let summary = toy.policy().summary.clone();
    assert_eq!(summary.problem, "", "nothing is wrong with it");
    assert!(summary.message.contains("not due yet"), "{}", summary.message);
    toy.run(80);
    assert_eq!(toy.policy().summary.message, "");
}

#[test]
fn only_policies_of_the_same_priority_report_a_conflict() {
    let mut toy = Toy::new(&["node-1"]);
    // The names are words of the message, so that a search in its text would find them.
    for (name, priority) in [("same", 0), ("priority", -1)] {
        let mut another = policy();
        (another.name, another.priority) = (name.into(), priority);
        toy.cluster.policies.insert(another.name.clone(), another);
    }
    toy.run(20);
    let problems = toy
        .cluster
        .policies
        .values()
        .map(|policy| policy.summary.problem.as_str());
    assert_eq!(
        problems.collect::<Vec<_>>(),
        ["", "PolicyConflict", "PolicyConflict"]
    );
    assert!(toy.powered.is_empty() && toy.cluster.entries.is_empty());
}

#[test]
fn a_node_without_the_label_of_the_groups_is_reported() {
    let mut toy = Toy::new(&["node-1"]);
    let mut in_a_rack = node("node-2");
    in_a_rack.labels.insert("rack".into(), "a".into());
    toy.cluster.apply_node(in_a_rack);
    toy.policy().groups = Some(Groups {
        by: "rack".into(),
        at_once: 1,
    });
    toy.run(3);
    let message = toy.policy().summary.message.clone();
    assert_eq!(
        message,
        "node node-1 without the label rack is a group of its own"
    );
}

#[test]
fn there_is_one_event_for_each_phase_even_if_the_leader_changes() {
    let mut toy = Toy::new(&["node-1"]);
    for _ in 0..100 {
        toy.run(1);
        toy.memory = Memory::new("next");
    }
    let expected = ["Draining", "Rebooting", "Verifying", "Succeeded"];
    let expected = expected.map(|phase| format!("node-1: {phase}"));
    // An Event that a leader has not sent when it dies is lost. That does no harm.
    let mut announced = toy.announced.clone();
    announced.dedup();
    assert_eq!(announced, toy.announced, "none twice");
    assert!(
        announced.iter().all(|event| expected.contains(event)),
        "{announced:?}"
    );
}

#[test]
fn there_is_one_event_for_a_failure_and_one_for_a_reason_that_needs_a_person() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.boot_ms = 0;
    toy.queue().max_unavailable = IntOrPercent::Count(2);
    toy.cluster.apply_pod(pod("cart-0", "node-2"));
    toy.cluster.apply_budget(budget("cart", 1, 1, 1));
    toy.run(200);
    let count = |event: &str| toy.announced.iter().filter(|sent| *sent == event).count();
    assert_eq!(count("node-1: BootTimeout"), 1, "{:?}", toy.announced);
    assert_eq!(count("node-2: BudgetImpossible"), 1, "{:?}", toy.announced);
}

#[test]
fn a_daemon_set_that_had_no_ready_pod_is_reported_and_not_waited_for() {
    let mut toy = Toy::new(&["node-1"]);
    for (name, ready) in [("broken", false), ("proxy", true)] {
        toy.cluster.apply_pod(Pod {
            owner: Some(WorkloadKey {
                kind: WorkloadKind::DaemonSet,
                namespace: "shop".into(),
                name: name.into(),
            }),
            ready,
            ..pod(name, "node-1")
        });
    }
    toy.run(100);
    let record = &toy.entry("node-1").unwrap().record;
    assert_eq!(
        record.message,
        "rebooted and proven healthy; not waited for, because they had no Ready pod here: daemonset shop/broken"
    );
}

#[test]
fn a_mark_of_a_newer_release_is_reported_and_its_node_is_left_alone() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    let text = r#"{"format":2}"#.to_owned();
    let error = Mark::parse(&text).unwrap_err();
    let marked = toy.node("node-1");
    (marked.mark, marked.mark_text) = (Some(Err(error.clone())), Some(text.clone()));
    toy.run(300);
    assert_eq!(toy.powered, ["node-2"]);
    assert_eq!(toy.phase("node-1"), None);
    assert_eq!(toy.node("node-1").mark_text, Some(text));
    let report = plan(&toy.cluster, &toy.memory, &Schedule::default(), toy.now()).report;
    assert_eq!(report.notes, [format!("node node-1: {error}")]);
}
