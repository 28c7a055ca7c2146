//! What is left over by people, other controllers and lost answers, and what still counts.

use std::time::Duration;

use crate::effect::{BudgetKey, Effect, EvictOutcome, Evidence, Outcome, PodLeave, Read, WriteOutcome};
use crate::entry::{Phase, Record};
use crate::fixture::{Toy, pod};
use crate::ids::{EntryUid, NodeUid};
use crate::memory::Memory;
use crate::quantity::IntOrPercent;
use crate::reason::Reason;
use crate::taint::Toleration;
use crate::time::Mono;
use crate::workload::{WorkloadKey, WorkloadKind};

/// A cluster whose first node has just been powered, with everybody else waiting.
fn powered_first(nodes: &[&str]) -> Toy {
    let mut toy = Toy::new(nodes);
    toy.boot_ms = 0;
    toy.run(20);
    assert_eq!(toy.powered, ["node-1"]);
    toy
}

#[test]
fn a_turn_whose_entry_was_deleted_is_the_first_proof_that_others_wait_for() {
    let mut toy = powered_first(&["node-1", "node-2", "node-3", "node-4"]);
    toy.queue().max_unavailable = IntOrPercent::Count(3);
    let name = toy.entry("node-1").map(|entry| entry.name.clone());
    toy.cluster
        .entries
        .retain(|known, _| Some(known) != name.as_ref());
    toy.run(30);
    assert_eq!(toy.powered, ["node-1"], "{:?}", toy.phases);
    // When it is given up, the next follows.
    toy.run(100);
    assert_eq!(toy.powered, ["node-1", "node-2"], "{:?}", toy.phases);
}

#[test]
fn a_waiver_holds_for_a_node_that_is_registered_again() {
    let mut toy = Toy::new(&["node-1"]);
    toy.queue().paused = true;
    toy.run(5);
    let goal = toy.policy().booted_after;
    toy.node("node-1").waived = goal;
    toy.queue().paused = false;
    toy.run(5);
    assert_eq!(
        toy.phase("node-1").map(|(phase, _)| phase),
        Some(Phase::Cancelled)
    );
    let node = toy.node("node-1");
    (node.uid, node.waived, node.journal) = (NodeUid::new("another"), None, None);
    toy.run(100);
    assert_eq!(toy.powered, Vec::<String>::new());
    assert_eq!(toy.cluster.entries.len(), 1);
}

#[test]
fn a_patch_that_the_api_server_turns_down_is_the_entry_s_reason_until_it_is_let_through() {
    let webhook = "admission webhook \"nodes.example\" denied the request".to_owned();
    for (answer, reason) in [
        (WriteOutcome::Forbidden("nodes: patch".into()), Reason::Forbidden),
        (WriteOutcome::Refused(webhook), Reason::WriteRefused),
    ] {
        let mut toy = Toy::new(&["node-1"]);
        toy.queue().paused = true;
        toy.run(5);
        toy.queue().paused = false;
        toy.node_patches_are = Some(answer);
        toy.run(60);
        assert_eq!(
            toy.phase("node-1"),
            Some((Phase::Queued, Some(reason))),
            "{:?}",
            toy.entry("node-1")
        );
        toy.node_patches_are = None;
        toy.run(100);
        assert_eq!(
            toy.phase("node-1").map(|(phase, _)| phase),
            Some(Phase::Succeeded)
        );
    }
}

#[test]
fn a_node_that_takes_no_patch_at_all_is_told_of_before_the_next_try() {
    let refused = Some(WriteOutcome::Refused("node-1 is frozen by the site".into()));
    // Frozen when its goal is set: the steering taint is refused, too.
    let mut toy = Toy::new(&["node-1"]);
    let goal = toy.policy().booted_after.take();
    toy.run(5);
    assert!(toy.node("node-1").journal.is_some());
    toy.node_patches_are.clone_from(&refused);
    toy.policy().booted_after = goal;
    toy.run(60);
    let said = Some((Phase::Queued, Some(Reason::WriteRefused)));
    assert_eq!(toy.phase("node-1"), said);
    let version = toy.entry("node-1").map(|entry| entry.version);
    toy.run(120);
    let later = toy.entry("node-1").map(|entry| entry.version);
    assert_eq!((toy.phase("node-1"), later), (said, version), "said once");
    // Frozen all the time: not even its boot journal is written, and no entry made.
    let mut toy = Toy::new(&["node-1"]);
    toy.node_patches_are = refused;
    toy.run(60);
    assert_eq!(toy.policy().summary.problem, "WriteRefused");
}

#[test]
fn an_entry_that_was_made_again_is_adopted_once_its_node_takes_patches_again() {
    let mut toy = powered_first(&["node-1"]);
    toy.cluster.entries.clear();
    toy.node_patches_are = Some(WriteOutcome::Forbidden("nodes: patch".into()));
    toy.run(2_000);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Failed, Some(Reason::EntryDeleted)))
    );
    let uid = toy.entry("node-1").map(|entry| entry.uid.clone());
    toy.node_patches_are = None;
    toy.run(60);
    let mark = toy.node("node-1").mark.clone().and_then(Result::ok);
    assert_eq!(mark.map(|mark| mark.entry_uid), uid);
}

#[test]
fn a_precondition_that_fails_once_is_nobody_s_reason() {
    let mut toy = Toy::new(&["node-1"]);
    toy.node_patches_are = Some(WriteOutcome::Refused("testing path /metadata failed".into()));
    toy.run(6);
    toy.node_patches_are = None;
    toy.run(1);
    assert_ne!(
        toy.phase("node-1").and_then(|(_, reason)| reason),
        Some(Reason::WriteRefused)
    );
}

#[test]
fn an_entry_that_cannot_be_created_is_the_policy_s_problem() {
    let mut toy = Toy::new(&["node-1"]);
    toy.creations_are = Some(WriteOutcome::Forbidden("nodereboots: create".into()));
    toy.run(30);
    let summary = toy.policy().summary.clone();
    assert_eq!(
        (summary.problem.as_str(), summary.message.as_str()),
        ("Forbidden", "node node-1: nodereboots: create")
    );
    toy.creations_are = None;
    toy.run(100);
    assert_eq!(toy.policy().summary.problem, "");
    assert_eq!(
        toy.phase("node-1").map(|(phase, _)| phase),
        Some(Phase::Succeeded)
    );
}

#[test]
fn a_release_whose_controller_died_keeps_what_the_entry_said_last() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.evictions_are = Some(EvictOutcome::WebhookDenied("not yet".into()));
    toy.cluster.apply_pod(pod("web-1", "node-1"));
    toy.run(30);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Draining, Some(Reason::WebhookDenied)))
    );
    let node = toy.node("node-1");
    (node.mark, node.mark_text, node.unschedulable) = (None, None, false);
    toy.memory = Memory::new("next");
    toy.settle();
    let message = toy.entry("node-1").map(|entry| entry.record.message.clone());
    assert!(
        message.as_ref().is_some_and(
            |text| text.contains("before, the entry said: WebhookDenied") && text.contains("not yet")
        ),
        "{message:?}"
    );
}

#[test]
fn a_deadline_of_a_clock_that_is_gone_passes() {
    let mut toy = powered_first(&["node-1"]);
    let weeks = 3_000_000_000;
    let timeout_ms = u64::try_from(toy.policy().reboot.boot_timeout.as_millis()).unwrap();
    // The entry is deleted, and the Lease with the clock: the mark names a moment weeks ahead.
    toy.cluster.entries.clear();
    let node = toy.node("node-1");
    let Some(Ok(mark)) = &mut node.mark else {
        panic!("{node:?}")
    };
    mark.power.as_mut().unwrap().deadline_led_ms = weeks;
    node.mark_text = Some(mark.to_annotation());
    toy.run(timeout_ms / 1_000 + 10);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Failed, Some(Reason::EntryDeleted)))
    );
}

#[test]
fn a_write_of_our_own_does_not_show_that_the_old_boot_still_runs() {
    let mut toy = Toy::new(&["node-1"]);
    toy.queue().paused = true;
    toy.policy().booted_after = None;
    toy.run(10);
    // The machine is on its way up again when the goal is set, and the API does not show it yet.
    let goal = toy.now().wall;
    toy.policy().booted_after = Some(goal);
    toy.run(2);
    assert!(
        toy.node("node-1").pending_taint,
        "Junban has written to the Node since"
    );
    toy.node("node-1").boot_id = Some("by-hand".into());
    toy.run(3);
    assert_eq!(toy.phase("node-1"), Some((Phase::Queued, Some(Reason::Paused))));
}

#[test]
fn a_policy_that_cannot_be_read_keeps_its_nodes_from_the_next_one() {
    let mut toy = Toy::new(&["node-1"]);
    // What is left of it: selector, priority, goal.
    let mut unreadable = toy.policy().clone();
    unreadable.name = "db".into();
    unreadable.priority += 1;
    unreadable.reboot.ladder.clear();
    toy.cluster.policies.insert("db".into(), unreadable);
    let why = "spec.reboot.ladder[0].driver: agent is not known";
    toy.cluster.unreadable_policies.insert("db".into(), why.into());
    toy.run(120);
    assert!(toy.powered.is_empty());
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Queued, Some(Reason::UnreadablePolicy)))
    );
    assert_eq!(
        toy.entry("node-1").map(|entry| entry.spec.policy.as_str()),
        Some("db")
    );
}

#[test]
fn a_drained_node_that_waits_for_the_first_proof_does_not_time_out() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.queue().max_unavailable = IntOrPercent::Count(2);
    toy.boot_ms = 200_000;
    toy.policy().drain.timeout = Duration::from_secs(90);
    toy.policy().reboot.boot_timeout = Duration::from_secs(400);
    // The first cannot be drained for a minute, so the second is drained beside it and then waits.
    let stuck = pod("stuck", "node-1");
    toy.cluster.apply_pod(stuck.clone());
    toy.evictions_are = Some(EvictOutcome::WebhookDenied("not yet".into()));
    toy.run(80);
    toy.evictions_are = None;
    toy.cluster.remove_pod(&stuck.key);
    toy.run(600);
    let timed_out: Vec<_> = toy
        .phases
        .iter()
        .filter(|phase| phase.starts_with("node-2"))
        .collect();
    assert_eq!(
        timed_out,
        [
            "node-2: Draining",
            "node-2: Rebooting",
            "node-2: Verifying",
            "node-2: Succeeded"
        ]
    );
}

fn web(name: &str, on: &str) -> crate::pod::Pod {
    let mut web = pod(name, on);
    web.owner = Some(WorkloadKey::new(WorkloadKind::ReplicaSet, "shop", "web"));
    web
}

#[test]
fn an_eviction_whose_answer_was_lost_counts_until_a_live_list_shows_the_pod() {
    let mut toy = Toy::new(&["node-1"]);
    let one = web("web-1", "node-1");
    toy.cluster.apply_pod(one.clone());
    let budget = BudgetKey::Implied(WorkloadKey::new(WorkloadKind::ReplicaSet, "shop", "web"));
    let evict = Effect::Evict(PodLeave {
        node: "node-1".into(),
        pod: one.key.clone(),
        uid: one.uid.clone(),
        budget: budget.clone(),
        not_after: Mono::from_millis(4_000),
    });
    let list = Effect::Read(Read::Pods {
        node: "node-1".into(),
    });
    let at = Mono::from_millis;
    let counts = |toy: &Toy| {
        let book = &toy.memory.tokens;
        (book.was_accepted(&one.key, &one.uid), book.unseen(&budget))
    };
    for stays in [true, false] {
        let lost = Outcome::Evict(EvictOutcome::Unknown("the request timed out".into()));
        toy.memory.sent(&evict, &toy.cluster, at(1_000));
        toy.memory.fold(&evict, at(1_000), lost, &toy.cluster, at(2_000));
        assert_eq!(counts(&toy), (true, 1));
        let listed = |terminating| {
            let mut pod = one.clone();
            pod.terminating = terminating;
            Outcome::Read(Evidence::Pods {
                pods: vec![pod],
                node: None,
            })
        };
        // A list that began before the answer was due says nothing.
        toy.memory
            .fold(&list, at(1_500), listed(false), &toy.cluster, at(2_100));
        assert!(toy.memory.tokens.has_lost_answer(&"node-1".into()));
        toy.memory
            .fold(&list, at(2_200), listed(!stays), &toy.cluster, at(2_300));
        assert!(!toy.memory.tokens.has_lost_answer(&"node-1".into()));
        assert_eq!(counts(&toy), (!stays, u32::from(!stays)));
    }
}

#[test]
fn pods_that_tolerate_the_cordon_are_evicted_however_many_there_are() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        let mut one = web(name, "node-1");
        one.tolerations = vec![Toleration {
            key: String::new(),
            value: None,
            effect: String::new(),
        }];
        toy.cluster.apply_pod(one);
    }
    toy.run(120);
    let mut evicted = toy.evicted.clone();
    evicted.sort();
    assert_eq!(evicted, names.map(|name| format!("shop/{name}")));
    assert!(toy.powered.contains(&"node-1".to_owned()));
}

#[test]
fn an_entry_that_was_made_again_for_a_mark_says_nothing_until_it_is_failed() {
    let mut toy = powered_first(&["node-1"]);
    let name = toy.entry("node-1").map(|entry| entry.name.clone()).unwrap();
    let again = toy.cluster.entries.get_mut(&name).unwrap();
    (again.uid, again.record) = (EntryUid::new("another"), Record::default());
    // Its maker died, and the next one has read nothing live yet.
    toy.memory = Memory::new("next");
    toy.phases.clear();
    toy.run(5);
    assert_eq!(
        toy.entry("node-1").map(|entry| &entry.record),
        Some(&Record::default())
    );
    toy.run(2_000);
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Failed, Some(Reason::EntryDeleted)))
    );
    assert_eq!(toy.phases, ["node-1: Failed"]);
}

#[test]
fn a_failed_node_that_is_retried_gives_no_place_away_on_its_way_back() {
    let mut toy = powered_first(&["node-1", "node-2", "node-3", "node-4"]);
    toy.queue().paused = true;
    toy.run(2_000);
    assert_eq!(toy.phase("node-1").map(|(phase, _)| phase), Some(Phase::Failed));
    assert_eq!(toy.slots(), ["node-1"]);
    // The place beside a failed server is there from the moment of the resume; the retry takes it back.
    toy.queue().paused = false;
    let name = toy.entry("node-1").map(|entry| entry.name.clone()).unwrap();
    toy.cluster.entries.get_mut(&name).unwrap().spec.retries = 1;
    toy.settle();
    assert_eq!(toy.slots(), ["node-1"], "{:?}", toy.phases);
}

#[test]
fn a_webhook_that_asks_for_patience_has_denied_nothing_and_its_pod_may_not_be_deleted() {
    let cases = [
        (EvictOutcome::WebhookWaits("migrating".into()), false),
        (EvictOutcome::WebhookDenied("not now".into()), true),
    ];
    for (outcome, may_delete) in cases {
        let mut toy = Toy::new(&["node-1", "node-2"]);
        toy.evictions_are = Some(outcome.clone());
        let stays = pod("web-1", "node-1");
        toy.cluster.apply_pod(stays.clone());
        toy.run(20);
        assert!(!toy.evicted.is_empty(), "{outcome:?}");
        let denial = toy.memory.tokens.denials.get(&stays.key);
        assert_eq!(
            denial.map(|denial| denial.may_delete),
            Some(may_delete),
            "{outcome:?}"
        );
    }
}
