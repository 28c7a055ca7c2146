//! Deleted entries, rejected writes, lost answers and unreadable policies, and what counts in spite of them.

use std::time::Duration;

use crate::effect::{BudgetKey, Effect, EvictOutcome, Evidence, Outcome, PodLeave, Read, WriteOutcome};
use crate::entry::{Phase, Record};
use crate::fixture::{Toy, pod};
use crate::ids::{EntryUid, NodeUid};
use crate::memory::Memory;
use crate::pod::Pod;
use crate::quantity::IntOrPercent;
use crate::reason::Reason;
use crate::taint::Toleration;
use crate::time::Mono;
use crate::workload::{WorkloadKey, WorkloadKind};

/// A cluster in which node-1 was just powered and does not boot. All others wait.
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
fn a_patch_that_the_api_server_rejects_is_the_entry_s_reason_until_it_is_accepted() {
    let webhook = "admission webhook \"nodes.example\" denied the request".to_owned();
    for (answer, reason) in [
        (WriteOutcome::Forbidden("nodes: patch".into()), Reason::Forbidden),
        (WriteOutcome::Refused(webhook), Reason::WriteRefused),
    ] {
        let mut toy = Toy::new(&["node-1"]);
        toy.queue().paused = true;
        toy.run(5);
        toy.queue().paused = false;
        toy.node_patch_answer = Some(answer);
        toy.run(60);
        assert_eq!(
            toy.phase("node-1"),
            Some((Phase::Queued, Some(reason))),
            "{:?}",
            toy.entry("node-1")
        );
        toy.node_patch_answer = None;
        toy.run(100);
        assert_eq!(
            toy.phase("node-1").map(|(phase, _)| phase),
            Some(Phase::Succeeded)
        );
    }
}

#[test]
fn a_rejected_patch_of_a_node_is_reported_before_the_next_try() {
    let refused = Some(WriteOutcome::Refused("node-1 is frozen by the site".into()));
    // Rejected since the goal was set: the steering taint is rejected as well.
    let mut toy = Toy::new(&["node-1"]);
    let goal = toy.policy().booted_after.take();
    toy.run(5);
    assert!(toy.node("node-1").journal.is_some());
    toy.node_patch_answer.clone_from(&refused);
    toy.policy().booted_after = goal;
    toy.run(60);
    let waits = Some((Phase::Queued, Some(Reason::WriteRefused)));
    assert_eq!(toy.phase("node-1"), waits);
    let version = toy.entry("node-1").map(|entry| entry.version);
    toy.run(120);
    let later = toy.entry("node-1").map(|entry| entry.version);
    assert_eq!((toy.phase("node-1"), later), (waits, version), "written once");
    // Rejected from the beginning: not even the boot journal is written, and no entry is made.
    let mut toy = Toy::new(&["node-1"]);
    toy.node_patch_answer = refused;
    toy.run(60);
    assert_eq!(toy.policy().summary.problem, "WriteRefused");
}

#[test]
fn an_entry_that_was_made_again_goes_into_the_mark_when_the_node_accepts_patches() {
    let mut toy = powered_first(&["node-1"]);
    toy.cluster.entries.clear();
    toy.node_patch_answer = Some(WriteOutcome::Forbidden("nodes: patch".into()));
    toy.run(2_000);
    toy.assert_phase("node-1", Phase::Failed, Reason::EntryDeleted);
    let uid = toy.entry("node-1").map(|entry| entry.uid.clone());
    toy.node_patch_answer = None;
    toy.run(60);
    let mark = toy.node("node-1").mark.clone().and_then(Result::ok);
    assert_eq!(mark.map(|mark| mark.entry_uid), uid);
}

#[test]
fn a_precondition_that_fails_once_is_no_reason() {
    let mut toy = Toy::new(&["node-1"]);
    toy.node_patch_answer = Some(WriteOutcome::Refused("testing path /metadata failed".into()));
    toy.run(6);
    toy.node_patch_answer = None;
    toy.run(1);
    assert_ne!(
        toy.phase("node-1").and_then(|(_, reason)| reason),
        Some(Reason::WriteRefused)
    );
}

#[test]
fn a_policy_reports_an_entry_that_cannot_be_created() {
    let mut toy = Toy::new(&["node-1"]);
    toy.creation_answer = Some(WriteOutcome::Forbidden("nodereboots: create".into()));
    toy.run(30);
    let summary = toy.policy().summary.clone();
    assert_eq!(
        (summary.problem.as_str(), summary.message.as_str()),
        ("Forbidden", "node node-1: nodereboots: create")
    );
    toy.creation_answer = None;
    toy.run(100);
    assert_eq!(toy.policy().summary.problem, "");
    assert_eq!(
        toy.phase("node-1").map(|(phase, _)| phase),
        Some(Phase::Succeeded)
    );
}

#[test]
fn a_release_keeps_the_last_message_of_the_entry_if_the_controller_died() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.eviction_answer = Some(EvictOutcome::WebhookDenied("not yet".into()));
    toy.cluster.apply_pod(pod("web-1", "node-1"));
    toy.run(30);
    toy.assert_phase("node-1", Phase::Draining, Reason::WebhookDenied);
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
fn a_deadline_of_a_cluster_clock_that_is_gone_passes() {
    let mut toy = powered_first(&["node-1"]);
    let weeks = 3_000_000_000;
    let timeout_ms = u64::try_from(toy.policy().reboot.boot_timeout.as_millis()).unwrap();
    // The entry and the Lease with the cluster clock are deleted. The deadline in the mark lies weeks ahead.
    toy.cluster.entries.clear();
    let node = toy.node("node-1");
    let Some(Ok(mark)) = &mut node.mark else {
        panic!("{node:?}")
    };
    mark.power.as_mut().unwrap().deadline_led_ms = weeks;
    node.mark_text = Some(mark.to_annotation());
    toy.run(timeout_ms / 1_000 + 10);
    toy.assert_phase("node-1", Phase::Failed, Reason::EntryDeleted);
}

#[test]
fn junbans_own_write_does_not_show_that_the_old_boot_still_runs() {
    let mut toy = Toy::new(&["node-1"]);
    toy.queue().paused = true;
    toy.policy().booted_after = None;
    toy.run(10);
    // When the goal is set the machine boots already, and the API does not show it yet.
    let goal = toy.now().wall;
    toy.policy().booted_after = Some(goal);
    toy.run(2);
    assert!(
        toy.node("node-1").pending_taint,
        "Junban has written to the Node since"
    );
    toy.node("node-1").boot_id = Some("by-hand".into());
    toy.run(3);
    toy.assert_phase("node-1", Phase::Queued, Reason::Paused);
}

#[test]
fn a_policy_that_cannot_be_read_still_governs_its_nodes() {
    let mut toy = Toy::new(&["node-1"]);
    // Only its selector, priority and goal can be read.
    let mut unreadable = toy.policy().clone();
    unreadable.name = "db".into();
    unreadable.priority += 1;
    unreadable.reboot.ladder.clear();
    toy.cluster.policies.insert("db".into(), unreadable);
    let why = "spec.reboot.ladder[0].driver: agent is not known";
    toy.cluster.unreadable_policies.insert("db".into(), why.into());
    toy.run(120);
    assert!(toy.powered.is_empty());
    toy.assert_phase("node-1", Phase::Queued, Reason::UnreadablePolicy);
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
    // node-1 is blocked for a minute, so node-2 is drained as well and then waits.
    let stuck = pod("stuck", "node-1");
    toy.cluster.apply_pod(stuck.clone());
    toy.eviction_answer = Some(EvictOutcome::WebhookDenied("not yet".into()));
    toy.run(80);
    toy.eviction_answer = None;
    toy.cluster.remove_pod(&stuck.key);
    toy.run(600);
    let of_node_2: Vec<_> = toy
        .phases
        .iter()
        .filter(|phase| phase.starts_with("node-2"))
        .collect();
    assert_eq!(
        of_node_2,
        [
            "node-2: Draining",
            "node-2: Rebooting",
            "node-2: Verifying",
            "node-2: Succeeded"
        ]
    );
}

fn web(name: &str, on: &str) -> Pod {
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
    for is_there in [true, false] {
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
        // A list that began before the answer was lost does not count.
        toy.memory
            .fold(&list, at(1_500), listed(false), &toy.cluster, at(2_100));
        assert!(toy.memory.tokens.has_lost_answer(&"node-1".into()));
        toy.memory
            .fold(&list, at(2_200), listed(!is_there), &toy.cluster, at(2_300));
        assert!(!toy.memory.tokens.has_lost_answer(&"node-1".into()));
        assert_eq!(counts(&toy), (!is_there, u32::from(!is_there)));
    }
}

#[test]
fn all_pods_that_tolerate_the_cordon_are_evicted() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.policy().drain.unbudgeted_max_unavailable = IntOrPercent::Percent(100);
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
fn the_status_of_an_entry_that_was_made_again_is_not_written_until_it_is_failed() {
    let mut toy = powered_first(&["node-1"]);
    let name = toy.entry("node-1").map(|entry| entry.name.clone()).unwrap();
    let again = toy.cluster.entries.get_mut(&name).unwrap();
    (again.uid, again.record) = (EntryUid::new("another"), Record::default());
    // The controller that made it has died, and the next one has read nothing live yet.
    toy.memory = Memory::new("next");
    toy.phases.clear();
    toy.run(5);
    assert_eq!(
        toy.entry("node-1").map(|entry| &entry.record),
        Some(&Record::default())
    );
    toy.run(2_000);
    toy.assert_phase("node-1", Phase::Failed, Reason::EntryDeleted);
    assert_eq!(toy.phases, ["node-1: Failed"]);
}

#[test]
fn a_retried_node_takes_back_the_extra_place_of_its_failure() {
    let mut toy = powered_first(&["node-1", "node-2", "node-3", "node-4"]);
    toy.queue().paused = true;
    toy.run(2_000);
    assert_eq!(toy.phase("node-1").map(|(phase, _)| phase), Some(Phase::Failed));
    assert_eq!(toy.slots(), ["node-1"]);
    // At the resume the failure adds a place. The retry takes it back.
    toy.queue().paused = false;
    let name = toy.entry("node-1").map(|entry| entry.name.clone()).unwrap();
    toy.cluster.entries.get_mut(&name).unwrap().spec.retries = 1;
    toy.settle();
    assert_eq!(toy.slots(), ["node-1"], "{:?}", toy.phases);
}

#[test]
fn a_webhook_that_asks_for_patience_does_not_allow_a_deletion() {
    let cases = [
        (EvictOutcome::WebhookWaits("migrating".into()), false),
        (EvictOutcome::WebhookDenied("not now".into()), true),
    ];
    for (outcome, may_delete) in cases {
        let mut toy = Toy::new(&["node-1", "node-2"]);
        toy.eviction_answer = Some(outcome.clone());
        let web = pod("web-1", "node-1");
        toy.cluster.apply_pod(web.clone());
        toy.run(20);
        assert!(!toy.evicted.is_empty(), "{outcome:?}");
        let denial = toy.memory.tokens.denials.get(&web.key);
        assert_eq!(
            denial.map(|denial| denial.may_delete),
            Some(may_delete),
            "{outcome:?}"
        );
    }
}
