//! What people are told: by entries, policies and Events.

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
fn a_budget_that_can_never_allow_an_eviction_is_told_while_all_places_are_taken() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.boot_ms = 0;
    toy.queue().ledger = None;
    toy.policy().reboot.boot_timeout = Duration::from_secs(3_000);
    toy.cluster.apply_pod(pod("cart-0", "node-3"));
    toy.cluster.apply_budget(budget("cart", 1, 1, 1));
    toy.run(100);
    assert_eq!(toy.powered, ["node-1"]);
    assert_eq!(toy.phase("node-2"), Some((Phase::Queued, Some(Reason::NoPlace))));
    let told = Some((Phase::Queued, Some(Reason::BudgetImpossible)));
    assert_eq!(toy.phase("node-3"), told, "{:?}", toy.entry("node-3"));
    assert_eq!(
        toy.entry("node-3").unwrap().record.jobs_since,
        None,
        "its turn has not come"
    );
}

#[test]
fn an_entry_carries_the_reason_for_which_the_goal_was_set() {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(3);
    assert_eq!(toy.entry("node-1").unwrap().spec.reason, "BIOS 2.19");
}

#[test]
fn a_policy_that_cannot_be_read_says_so_and_has_seen_its_generation() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().reboot.ladder.clear();
    toy.policy().generation = 7;
    let why = "spec.drain.jobs.evict: not a key".to_owned();
    toy.cluster
        .unreadable_policies
        .insert("workers".into(), why.clone());
    toy.run(3);
    let summary = &toy.policy().summary;
    let said = (
        summary.problem.as_str(),
        summary.message.as_str(),
        summary.observed_generation,
    );
    assert_eq!(said, ("UnreadablePolicy", why.as_str(), 7));
}

#[test]
fn a_goal_in_the_future_is_told_until_it_is_due() {
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
fn policies_of_one_priority_say_so_and_no_other_does() {
    let mut toy = Toy::new(&["node-1"]);
    // Each name is a word of the sentence.
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
fn one_event_for_each_phase_also_over_a_change_of_the_leader() {
    let mut toy = Toy::new(&["node-1"]);
    for _ in 0..100 {
        toy.run(1);
        toy.memory = Memory::new("successor");
    }
    let expected = ["Draining", "Rebooting", "Verifying", "Succeeded"];
    let told: Vec<_> = expected.iter().map(|phase| format!("node-1: {phase}")).collect();
    // What a leader had yet to send when it died is lost without harm.
    let mut announced = toy.announced.clone();
    announced.dedup();
    assert_eq!(announced, toy.announced, "none twice");
    assert!(
        announced.iter().all(|event| told.contains(event)),
        "{announced:?}"
    );
}

#[test]
fn an_event_says_why_a_server_failed_and_what_a_node_needs_before_its_cordon() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.boot_ms = 0;
    toy.queue().max_unavailable = IntOrPercent::Count(2);
    toy.cluster.apply_pod(pod("cart-0", "node-2"));
    toy.cluster.apply_budget(budget("cart", 1, 1, 1));
    toy.run(200);
    let told = |event: &str| toy.announced.iter().filter(|told| *told == event).count();
    assert_eq!(told("node-1: BootTimeout"), 1, "{:?}", toy.announced);
    assert_eq!(told("node-2: BudgetImpossible"), 1, "{:?}", toy.announced);
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
        "rebooted, and proven healthy; without a Ready pod here, and not waited for: daemonset shop/broken"
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
