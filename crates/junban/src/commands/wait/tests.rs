use super::*;
use crate::commands::fixture;

/// Nodes with an entry each. The policy's status has counted none of them yet.
fn cluster(entries: &[(&str, Phase, Option<Reason>)]) -> Cluster {
    let nodes: Vec<&str> = entries.iter().map(|(node, ..)| *node).collect();
    let mut cluster = fixture::cluster(Some(100), &nodes);
    for (node, phase, reason) in entries {
        let mut entry = fixture::entry(node, 100);
        entry.record.phase = *phase;
        entry.record.reason = *reason;
        cluster.apply_entry(entry);
    }
    cluster
}

fn state(cluster: &Cluster, target: &Target) -> State {
    Picture::of(cluster, target, fixture::at(200)).state
}

fn verdict(cluster: &Cluster, target: &Target) -> Result<Exit, Problem> {
    let mut printer = Printer::new(crate::cli::Output::Name);
    Picture::of(cluster, target, fixture::at(200)).verdict(&mut printer)
}

fn goal(generation: i64) -> Target {
    Target::Policies {
        generations: [("workers".into(), generation)].into(),
        goal: fixture::at(100),
    }
}

#[test]
fn it_is_over_when_nothing_moves_and_nothing_will() {
    let (succeeded, failed) = (Phase::Succeeded, Phase::Failed);
    let over = |entries: &[_]| {
        let state = state(&cluster(entries), &goal(1));
        (state.is_quiet(), state.is_complete())
    };
    let quiet_and_complete = |quiet, complete| (quiet, complete);
    assert_eq!(over(&[("a", succeeded, None)]), quiet_and_complete(true, true));
    assert_eq!(
        over(&[("a", failed, None), ("b", succeeded, None)]),
        quiet_and_complete(true, true)
    );
    assert_eq!(
        over(&[("a", Phase::Draining, None)]),
        quiet_and_complete(false, false)
    );
    assert_eq!(
        over(&[("a", Phase::Queued, None)]),
        quiet_and_complete(false, false)
    );
    assert_eq!(
        over(&[("a", Phase::Queued, Some(Reason::NoPlace))]),
        quiet_and_complete(false, false)
    );
    assert_eq!(
        over(&[("a", Phase::Queued, Some(Reason::NodeDown))]),
        quiet_and_complete(true, false)
    );
    // Entries are still to be made.
    let mut cluster = cluster(&[("a", succeeded, None)]);
    cluster.apply_node(fixture::node("b"));
    let to_be_made = state(&cluster, &goal(1));
    assert!(to_be_made.is_quiet() && !to_be_made.is_complete());
    // An entry of a policy whose goal was not asked for is not waited for, and is nothing to rest on.
    let mut of_another = fixture::entry("b", 50);
    (of_another.spec.policy, of_another.record.phase) = ("another".into(), Phase::Verifying);
    cluster.apply_entry(of_another.clone());
    assert!(!state(&cluster, &goal(1)).is_complete());
    cluster.entries.remove(&of_another.name);
    // The status has not seen the generation of the command.
    cluster.nodes.remove(&"b".into());
    assert!(!state(&cluster, &goal(2)).is_quiet());
}

#[test]
fn what_is_done_is_counted_where_the_policys_status_is_behind() {
    let mut cluster = cluster(&[("a", Phase::Succeeded, Some(Reason::Proven))]);
    // Somebody else has booted this one before it had an entry.
    let mut booted = fixture::node("b");
    booted.journal = junban_core::journal::Journal::parse("boot-1 1970-01-01T00:02:30Z 1970-01-01T00:02:40Z");
    cluster.apply_node(booted);
    if let Some(policy) = cluster.policies.get_mut(&"workers".into()) {
        policy.summary.desired = 2;
        policy.summary.done = 0;
    }
    let state = state(&cluster, &goal(1));
    assert_eq!(state.describe(), "2 of 2 done");
    assert!(state.is_complete(), "{state:?}");
    assert_eq!(verdict(&cluster, &goal(1)), Ok(Exit::Done));
}

#[test]
fn servers_without_an_entry_are_not_done() {
    let mut cluster = cluster(&[("a", Phase::Succeeded, None)]);
    let mut excluded = fixture::node("excluded");
    excluded.excluded = true;
    let mut of_no_policy = fixture::node("of-no-policy");
    of_no_policy.labels.clear();
    cluster.apply_node(excluded);
    cluster.apply_node(of_no_policy);
    assert_eq!(
        verdict(&cluster, &goal(1)),
        Ok(Exit::Done),
        "those two are not asked for"
    );
    let mut never_seen = fixture::node("never-seen");
    (never_seen.boot_id, never_seen.journal) = (None, None);
    cluster.apply_node(never_seen);
    let mut ended_before = fixture::entry("of-an-earlier-goal", 50);
    ended_before.record.phase = Phase::Succeeded;
    cluster.apply_entry(ended_before);
    cluster.apply_node(fixture::node("of-an-earlier-goal"));
    let problem = verdict(&cluster, &goal(1)).unwrap_err();
    assert_eq!(problem.exit, Exit::Blocked);
    let text = "1 of 3 done; there is no entry yet for: never-seen, of-an-earlier-goal";
    assert!(problem.text.contains(text), "{problem}");
}

#[test]
fn what_was_cancelled_or_deleted_is_not_called_done() {
    let cancelled = ("b", Phase::Cancelled, None);
    let mut cluster = cluster(&[("a", Phase::Succeeded, None), cancelled]);
    let names = ["a", "b", "gone"].map(|node| fixture::entry(node, 100).name);
    let of_entries = state(&cluster, &Target::Entries(names.into()));
    assert_eq!(of_entries.describe(), "1 of 3 done, 1 cancelled, 1 deleted");
    assert!(of_entries.is_complete(), "{of_entries:?}");
    let of_goal = state(&cluster, &goal(1));
    assert_eq!(of_goal.describe(), "1 of 2 done, 1 cancelled");
    assert!(of_goal.is_complete(), "{of_goal:?}");
    assert_eq!(verdict(&cluster, &goal(1)), Ok(Exit::Done));
    // Another Node of that name gets an entry of its own.
    if let Some(node) = cluster.nodes.get_mut(&"b".into()) {
        node.uid = "another".into();
    }
    assert!(!state(&cluster, &goal(1)).is_complete());
}

#[test]
fn the_entry_with_the_slot_is_the_one_that_counts() {
    let mut cluster = cluster(&[("a", Phase::Queued, Some(Reason::AnotherEntry))]);
    let mut earlier = fixture::entry("a", 50);
    earlier.record.reason = Some(Reason::NodeDown);
    fixture::grant(&mut cluster, &earlier);
    cluster.apply_entry(earlier.clone());
    assert!(state(&cluster, &goal(1)).is_quiet());
    // Its slot is not freed yet, and the other one's turn is to come.
    earlier.record.phase = Phase::Cancelled;
    cluster.apply_entry(earlier);
    assert!(!state(&cluster, &goal(1)).is_quiet());
}

#[test]
fn the_exit_code_says_failed_before_blocked() {
    let verdict = |entries: &[_]| match verdict(&cluster(entries), &goal(1)) {
        Ok(exit) => format!("{exit:?}"),
        Err(problem) => format!("{:?} {problem}", problem.exit),
    };
    let blocked = ("node-1", Phase::Queued, Some(Reason::NodeDown));
    let failed = ("node-2", Phase::Failed, Some(Reason::BootTimeout));
    let paused = ("node-3", Phase::Queued, Some(Reason::Paused));
    expect_test::expect![[r#"
        Blocked error: 0 of 1 done: 1 Queued; somebody is needed for: node-1 (NodeDown)
        hint: junban explain node-1
        Failed error: 0 of 2 done: 1 Queued, 1 Failed; failed: node-2 (BootTimeout)
        hint: junban explain node-2
        Blocked error: 0 of 1 done: 1 Queued; somebody is needed for: node-3 (Paused)
        hint: junban resume"#]]
    .assert_eq(
        &[
            verdict(&[blocked]),
            verdict(&[blocked, failed]),
            verdict(&[paused]),
        ]
        .join("\n"),
    );
}

#[test]
fn of_entries_only_those_are_waited_for() {
    let mut cluster = cluster(&[("a", Phase::Succeeded, None), ("b", Phase::Draining, None)]);
    let of_a = Target::Entries([fixture::entry("a", 100).name].into());
    assert!(state(&cluster, &of_a).is_complete());
    cluster
        .entries
        .values_mut()
        .for_each(|entry| entry.generation = 2);
    let of_b = Target::Entries([fixture::entry("b", 100).name].into());
    assert!(!state(&cluster, &of_b).is_quiet());
}

#[test]
fn a_status_that_is_never_written_is_not_waited_for() {
    let mut cluster = cluster(&[("a", Phase::Queued, Some(Reason::UnreadablePolicy))]);
    fixture::unreadable(&mut cluster, "workers");
    let state = state(&cluster, &goal(2));
    assert!(state.is_quiet(), "{state:?}");
    let problem = verdict(&cluster, &goal(2)).unwrap_err();
    assert!(problem.text.contains("a (UnreadablePolicy)"), "{problem}");
}

#[test]
fn a_waiver_counts_as_cancelled_wherever_it_stands() {
    let mut registered_again = fixture::cluster(Some(100), &["a"]);
    fixture::cancel_and_register_again(&mut registered_again, "a", 100);
    // The entry of an earlier goal was cancelled, and the waiver covers the goal that the policy was raised to.
    let mut earlier = fixture::cluster(Some(100), &["a"]);
    let mut entry = fixture::entry("a", 50);
    entry.record.phase = Phase::Cancelled;
    entry.record.waived = Some(fixture::at(100));
    earlier.apply_entry(entry);
    for cluster in [registered_again, earlier] {
        let state = state(&cluster, &goal(1));
        assert_eq!(state.describe(), "0 of 1 done, 1 cancelled");
        assert!(state.is_complete(), "{state:?}");
    }
}
