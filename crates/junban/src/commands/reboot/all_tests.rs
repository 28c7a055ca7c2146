use super::*;
use crate::commands::fixture;
use junban_core::cluster::QueueView;

fn decision(cluster: &Cluster, again: bool) -> Result<Decision, String> {
    decide(cluster, fixture::now(200), again).map_err(|problem| problem.to_string())
}

/// The goal that would stand, and whether it is a new one.
fn goal(cluster: &Cluster, again: bool) -> (i64, bool) {
    let decision = decision(cluster, again).unwrap();
    let is_new = decision.policies.values().all(|said| *said == Said::Set);
    (decision.goal.as_second(), is_new)
}

#[test]
fn without_anything_under_way_the_goal_is_now() {
    assert_eq!(goal(&fixture::cluster(None, &["node-1"]), false), (200, true));
    let mut done = fixture::cluster(Some(100), &["node-1"]);
    let mut entry = fixture::entry("node-1", 100);
    entry.record.phase = Phase::Succeeded;
    entry.record.boot_id_after = Some("boot-1".into());
    done.apply_entry(entry);
    assert_eq!(goal(&done, false), (200, true));
}

#[test]
fn what_is_under_way_is_joined() {
    let with = |phase: Phase, reason: Option<Reason>| {
        let mut cluster = fixture::cluster(Some(100), &["node-1"]);
        let mut entry = fixture::entry("node-1", 100);
        entry.record.phase = phase;
        entry.record.reason = reason;
        cluster.apply_entry(entry);
        cluster
    };
    let joined = (100, false);
    for (phase, reason) in [
        (Phase::Draining, Some(Reason::Evicting)),
        (Phase::Rebooting, None),
        (Phase::Queued, None),
        (Phase::Queued, Some(Reason::NoPlace)),
        (Phase::Queued, Some(Reason::Paused)),
    ] {
        assert_eq!(goal(&with(phase, reason), false), joined, "{phase} {reason:?}");
        assert_eq!(goal(&with(phase, reason), true), (200, true), "--again");
    }
    for (phase, reason) in [
        (Phase::Failed, Some(Reason::BootTimeout)),
        (Phase::Queued, Some(Reason::NodeDown)),
    ] {
        assert_eq!(
            goal(&with(phase, reason), false),
            (200, true),
            "{phase} {reason:?}"
        );
    }
    // The entry is not made yet.
    assert_eq!(goal(&fixture::cluster(Some(100), &["node-1"]), false), joined);
    // Nobody has seen the goal yet.
    let mut unseen = fixture::cluster(Some(100), &["node-1"]);
    unseen.nodes.clear();
    unseen.apply_node(fixture::node("node-1"));
    if let Some(policy) = unseen.policies.get_mut(&"workers".into()) {
        policy.generation = 2;
    }
    assert_eq!(goal(&unseen, false), joined);
}

#[test]
fn a_policy_that_an_interrupted_call_did_not_reach_gets_its_goal() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    let mut other = fixture::policy("other", None);
    other.priority = -1;
    cluster.policies.insert("other".into(), other);
    let decision = decision(&cluster, false).unwrap();
    assert_eq!(decision.goal.as_second(), 100);
    assert_eq!(decision.policies[&"other".into()], Said::Set);
    assert!(
        matches!(&decision.policies[&"workers".into()], Said::Joined(text) if text.contains("0 of 1 servers done"))
    );
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let mut no_queue = fixture::cluster(None, &["node-1"]);
    no_queue.queue = QueueView::Absent;
    let mut no_policy = fixture::cluster(None, &["node-1"]);
    no_policy.policies.clear();
    let no_node = fixture::cluster(None, &[]);
    let mut conflict = fixture::cluster(None, &["node-1"]);
    conflict
        .policies
        .insert("other".into(), fixture::policy("other", None));
    let future = fixture::cluster(Some(1_000), &["node-1"]);
    let said: Vec<String> = [no_queue, no_policy, no_node, conflict, future.clone()]
        .iter()
        .map(|cluster| decision(cluster, false).unwrap_err())
        .collect();
    expect_test::expect![[r#"
        error: there is no RebootQueue named default, which counts as paused: nothing would start
        hint: kubectl apply --server-side -f manifests/defaults
        error: there is no RebootPolicy: no node is anybody's to reboot
        hint: kubectl apply --server-side -f manifests/defaults
        error: no policy selects any of the 0 nodes
        hint: compare spec.nodeSelector with kubectl get nodes --show-labels: kubectl get rebootpolicies -o yaml
        error: no node can be rebooted: policies other, workers have the same priority 0
        hint: give one of the policies another priority
        error: policy workers has the goal 1970-01-01T00:16:40Z, which lies in the future (it is 1970-01-01T00:03:20Z): not due yet, nothing was changed
        hint: let it come, or set it to now: junban reboot --all --again"#]].assert_eq(&said.join("\n"));
    assert_eq!(goal(&future, true), (200, true), "--again replaces it");
}

#[test]
fn a_policy_without_a_driver_is_mentioned_if_it_governs_a_node() {
    let notes = |cluster: &Cluster| super::super::notes(cluster, &that_govern(cluster, fixture::now(200)));
    let mut cluster = fixture::cluster(None, &["node-1"]);
    let Some(policy) = cluster.policies.values_mut().next() else {
        panic!("the fixture has a policy");
    };
    policy.reboot.ladder.clear();
    assert!(notes(&cluster)[0].contains("NoDriver"));
    cluster.nodes.clear();
    assert_eq!(notes(&cluster), Vec::<String>::new());
}

#[test]
fn a_policy_that_cannot_be_read_is_not_under_way() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    let mut entry = fixture::entry("node-1", 100);
    entry.record.reason = Some(Reason::UnreadablePolicy);
    cluster.apply_entry(entry);
    fixture::unreadable(&mut cluster, "workers");
    assert_eq!(goal(&cluster, false), (200, true));
    let mut notes = left_aside(&cluster, fixture::now(200));
    notes.extend(super::super::notes(
        &cluster,
        &that_govern(&cluster, fixture::now(200)),
    ));
    expect_test::expect![[r#"
        note: policy workers cannot be read, so nothing starts under it: spec.drain.jobs.evict: not a label
        hint: kubectl get rebootpolicy workers -o yaml | junban lint -"#]]
    .assert_eq(&notes.join("\n"));
}

#[test]
fn a_node_that_was_cancelled_and_registered_again_is_not_waited_for() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    fixture::cancel_and_register_again(&mut cluster, "node-1", 100);
    assert_eq!(goal(&cluster, false), (200, true));
}

#[test]
fn a_reason_that_goes_nowhere_is_told() {
    let note = |reason, joined| super::super::dropped_reason(reason, joined, "HINT");
    assert_eq!((note("BIOS", false), note("", true)), (None, None));
    let told = note("BIOS", true).unwrap();
    assert!(
        told.contains("the reason is not kept") && told.ends_with("hint: HINT"),
        "{told}"
    );
}
