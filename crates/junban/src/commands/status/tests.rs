use super::*;
use crate::commands::fixture;

#[test]
fn it_shows_progress_what_waits_and_what_would_help() {
    let mut cluster = fixture::cluster(Some(100), &[]);
    if let Some(policy) = cluster.policies.get_mut(&"workers".into()) {
        policy.summary.desired = 4;
        policy.summary.done = 1;
        policy.summary.active = 1;
    }
    if let QueueView::Present(queue) = &mut cluster.queue {
        queue.summary.observed_generation = 1;
        queue.summary.state = "Active".into();
        queue.summary.lower_bound_seconds = Some(330);
        queue.summary.bound_by = "limit maxUnavailable".into();
        queue.summary.holding = vec!["node-2 (Draining)".into()];
    }
    let entries = [
        ("node-1", Phase::Succeeded, Reason::Proven, ""),
        ("node-2", Phase::Draining, Reason::Evicting, "pods leave"),
        (
            "node-3",
            Phase::Queued,
            Reason::NoPlace,
            "as many nodes are unavailable as may be (1)",
        ),
        (
            "node-10",
            Phase::Queued,
            Reason::BudgetImpossible,
            "pdb shop/cart can never allow an eviction",
        ),
    ];
    for (node, phase, reason, message) in entries {
        let mut entry = fixture::entry(node, 100);
        entry.record.phase = phase;
        entry.record.reason = Some(reason);
        entry.record.message = message.into();
        cluster.apply_entry(entry);
    }
    expect_test::expect![[r#"
        Queue: Active
        [=======                       ] 1 of 4 servers done
        Entries: 2 Queued, 1 Draining, 1 Succeeded
        At least 5m30s more; what binds: limit maxUnavailable

        POLICY    GOAL                   DESIRED   DONE   ACTIVE   FAILED   PROBLEM
        workers   1970-01-01T00:01:40Z   4         1      1        0        -

        Unavailable now:
          node-2 (Draining)

        Waiting:
          BudgetImpossible [node-10]: pdb shop/cart can never allow an eviction
            hint: relax the budget or add replicas
          NoPlace [node-3]: as many nodes are unavailable as may be (1)
            hint: see what holds places: junban status; nodes labelled junban.dev/exclude do not count"#]]
    .assert_eq(&Status::of(&cluster, fixture::at(200)).describe());
}

#[test]
fn the_entry_with_the_slot_tells_what_its_node_waits_for() {
    let mut cluster = fixture::cluster(Some(100), &[]);
    let mut newer = fixture::entry("node-1", 100);
    newer.record.reason = Some(Reason::AnotherEntry);
    let mut started = fixture::entry("node-1", 50);
    started.record.reason = Some(Reason::Paused);
    fixture::grant(&mut cluster, &started);
    cluster.apply_entry(newer);
    cluster.apply_entry(started);
    let blockers = Status::of(&cluster, fixture::at(200)).blockers;
    let reasons: Vec<_> = blockers.iter().map(|blocker| &blocker.reason).collect();
    assert_eq!(reasons, ["Paused"]);
}

#[test]
fn the_rest_is_expected_to_go_on_at_the_pace_so_far() {
    let mut cluster = fixture::cluster(Some(100), &[]);
    let mut put = |node: &str, phase: Phase, reason: Reason, since: i64| {
        let mut entry = fixture::entry(node, 100);
        entry.created = fixture::at(100);
        entry.record.phase = phase;
        entry.record.reason = Some(reason);
        entry.record.since = Some(fixture::at(since));
        cluster.apply_entry(entry);
        Status::of(&cluster, fixture::at(600)).eta_seconds
    };
    put("node-1", Phase::Succeeded, Reason::Proven, 300);
    put("node-2", Phase::Queued, Reason::NoPlace, 100);
    assert_eq!(
        put("node-3", Phase::Failed, Reason::BootTimeout, 400),
        None,
        "one proven server is not enough for a pace"
    );
    // Two servers took 400 s. One more goes on, and two wait for a person.
    assert_eq!(put("node-4", Phase::Succeeded, Reason::Proven, 500), Some(200));
    assert_eq!(put("node-5", Phase::Queued, Reason::Hold, 100), Some(200));
}

#[test]
fn without_a_queue_it_says_what_to_apply() {
    let status = Status::of(&Cluster::default(), fixture::at(0)).describe();
    assert!(
        status.starts_with("Queue: Paused (there is no RebootQueue named default"),
        "{status}"
    );
    assert!(status.contains("hint: kubectl apply"), "{status}");
}

#[test]
fn a_goal_in_the_future_is_shown_as_not_due_yet() {
    let cluster = fixture::cluster(Some(1_000), &[]);
    let text = Status::of(&cluster, fixture::at(10)).describe();
    assert!(text.contains("1970-01-01T00:16:40Z (not due yet)"), "{text}");
}

#[test]
fn a_goal_in_the_future_is_said_once() {
    let mut cluster = fixture::cluster(Some(1_000), &[]);
    if let Some(policy) = cluster.policies.get_mut(&"workers".into()) {
        policy.summary.message = "the goal 1970-01-01T00:16:40Z lies in the future: not due yet".into();
    }
    let text = Status::of(&cluster, fixture::at(10)).describe();
    assert_eq!(text.matches("not due yet").count(), 1, "{text}");
}

#[test]
fn a_stored_reason_that_is_not_true_any_more_is_not_shown() {
    let mut cluster = fixture::cluster(Some(100), &["node-1", "node-2", "node-3"]);
    for (node, reason) in [
        ("node-1", Reason::NoPlace),
        ("node-2", Reason::NoPlace),
        ("node-3", Reason::BudgetImpossible),
    ] {
        if let Some(node) = cluster.nodes.get_mut(&"node-2".into()) {
            node.held = true;
        }
        let mut entry = fixture::entry(node, 100);
        entry.record.reason = Some(reason);
        entry.record.message = "as the controller wrote it".into();
        cluster.apply_entry(entry);
    }
    let status = Status::of(&cluster, fixture::at(200));
    let shown: Vec<_> = status
        .blockers
        .iter()
        .map(|blocker| (blocker.reason.as_str(), blocker.nodes.join(" ")))
        .collect();
    // No place is taken: node-1 starts at any moment. Whether a budget allows an eviction only the controller knows.
    assert_eq!(
        shown,
        [("Hold", "node-2".into()), ("BudgetImpossible", "node-3".into())]
    );
}

#[test]
fn without_a_controller_it_says_so_first() {
    let mut status = Status::of(&fixture::cluster(None, &[]), fixture::at(10));
    status.no_leader = Some(NoLeader {
        since: None,
        last: "vm_x".into(),
        message: "none since 16:56:52: the Lease of vm_x expired; nothing goes on".into(),
        hint: "start it".into(),
    });
    let text = status.describe();
    assert!(
        text.starts_with("Controller: none since 16:56:52: the Lease of vm_x expired"),
        "{text}"
    );
}

#[test]
fn a_queue_that_was_made_again_is_shown_as_paused() {
    let mut cluster = fixture::cluster(None, &[]);
    if let QueueView::Present(queue) = &mut cluster.queue {
        queue.ledger.get_or_insert_default().held = true;
        queue.summary.observed_generation = queue.generation;
    }
    let text = Status::of(&cluster, fixture::at(10)).describe();
    assert!(
        text.starts_with("Queue: Paused (the queue was made again"),
        "{text}"
    );
    assert!(text.contains("hint: junban resume"), "{text}");
}
