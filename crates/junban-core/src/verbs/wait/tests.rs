use super::*;
use crate::journal::Journal;
use crate::queue::Slot;
use crate::reason::Reason;
use crate::verbs::fixture;

/// Nodes with an entry each, for the goal 100.
fn cluster(entries: &[(&str, Phase, Option<Reason>)]) -> Cluster {
    let nodes: Vec<&str> = entries.iter().map(|(node, ..)| *node).collect();
    let mut cluster = fixture::cluster(Some(100), &nodes);
    for (node, phase, reason) in entries {
        let mut entry = fixture::entry(node, 100, *phase);
        entry.record.reason = *reason;
        cluster.apply_entry(entry);
    }
    cluster
}

fn progress(cluster: &Cluster, target: &Target) -> Progress {
    look(cluster, target, fixture::now(200)).progress
}

fn goal(generation: i64) -> Target {
    Target::Goal {
        generations: [("workers".into(), generation)].into(),
        goal: fixture::at(100),
    }
}

#[test]
fn it_is_over_when_nothing_moves_and_nothing_will() {
    let (succeeded, failed) = (Phase::Succeeded, Phase::Failed);
    let over = |entries: &[_]| {
        let progress = progress(&cluster(entries), &goal(1));
        (progress.is_quiet(), progress.is_complete())
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
    // The controller has not made all entries yet.
    let mut cluster = cluster(&[("a", succeeded, None)]);
    cluster.apply_node(fixture::node("b"));
    let to_be_made = progress(&cluster, &goal(1));
    assert!(to_be_made.is_quiet() && !to_be_made.is_complete());
    assert!(!to_be_made.is_over(Duration::ZERO) && to_be_made.is_over(BLOCKED_FOR));
    // An entry of a policy whose goal was not asked for is not waited for, and completes nothing.
    let mut of_another = fixture::entry("b", 50, Phase::Verifying);
    of_another.spec.policy = "another".into();
    cluster.apply_entry(of_another.clone());
    assert!(!progress(&cluster, &goal(1)).is_complete());
    cluster.entries.remove(&of_another.name);
    // The status has not seen the generation of the command.
    cluster.nodes.remove(&"b".into());
    assert!(!progress(&cluster, &goal(2)).is_quiet());
}

#[test]
fn what_is_done_is_counted_although_the_policys_status_is_behind() {
    let mut cluster = cluster(&[("a", Phase::Succeeded, Some(Reason::Proven))]);
    // Somebody else rebooted this node before it had an entry.
    let mut booted = fixture::node("b");
    let boot_id = booted.boot_id.clone().unwrap();
    booted.journal = Some(Journal::of_boot(
        boot_id,
        None,
        None,
        Some(fixture::at(150)),
        fixture::at(160),
    ));
    cluster.apply_node(booted);
    for policy in cluster.policies.values_mut() {
        policy.summary.desired = 2;
        policy.summary.done = 0;
    }
    let look = look(&cluster, &goal(1), fixture::now(200));
    assert_eq!((look.progress.done, look.progress.total), (2, 2));
    assert!(look.progress.is_complete(), "{:?}", look.progress);
    assert_eq!(look.verdict(), Verdict::Done);
}

#[test]
fn nodes_without_an_entry_are_not_done() {
    let mut cluster = cluster(&[("a", Phase::Succeeded, None)]);
    let mut excluded = fixture::node("excluded");
    excluded.excluded = true;
    let mut of_no_policy = fixture::node("of-no-policy");
    of_no_policy.labels.clear();
    cluster.apply_node(excluded);
    cluster.apply_node(of_no_policy);
    let verdict = |cluster: &Cluster| match look(cluster, &goal(1), fixture::now(200)).verdict() {
        Verdict::WithoutEntry(nodes) => nodes.iter().map(ToString::to_string).collect(),
        Verdict::Done => Vec::new(),
        other => panic!("{other:?}"),
    };
    assert_eq!(verdict(&cluster), [""; 0], "these two are not asked for");
    let mut never_seen = fixture::node("never-seen");
    (never_seen.boot_id, never_seen.journal) = (None, None);
    cluster.apply_node(never_seen);
    cluster.apply_entry(fixture::entry("of-an-earlier-goal", 50, Phase::Succeeded));
    cluster.apply_node(fixture::node("of-an-earlier-goal"));
    assert_eq!(verdict(&cluster), ["never-seen", "of-an-earlier-goal"]);
}

#[test]
fn what_was_cancelled_or_deleted_is_not_called_done() {
    let cancelled = ("b", Phase::Cancelled, None);
    let mut cluster = cluster(&[("a", Phase::Succeeded, None), cancelled]);
    let names = ["a", "b", "gone"].map(|node| fixture::entry(node, 100, Phase::Queued).name);
    let counts = |cluster: &Cluster, target: &Target| {
        let progress = progress(cluster, target);
        assert!(progress.is_complete(), "{progress:?}");
        let Progress {
            done,
            total,
            cancelled,
            deleted,
            ..
        } = progress;
        (done, total, cancelled, deleted)
    };
    assert_eq!(counts(&cluster, &Target::Entries(names.into())), (1, 3, 1, 1));
    assert_eq!(counts(&cluster, &goal(1)), (1, 2, 1, 0));
    assert_eq!(
        look(&cluster, &goal(1), fixture::now(200)).verdict(),
        Verdict::Done
    );
    // Another Node of that name gets an entry of its own.
    let node = cluster.nodes.get_mut(&"b".into()).unwrap();
    node.uid = "another".into();
    assert!(!progress(&cluster, &goal(1)).is_complete());
}

#[test]
fn the_entry_with_the_slot_is_the_one_that_counts() {
    let mut cluster = cluster(&[("a", Phase::Queued, Some(Reason::AnotherEntry))]);
    let mut earlier = fixture::entry("a", 50, Phase::Queued);
    earlier.record.reason = Some(Reason::NodeDown);
    let mut queue = crate::fixture::queue();
    let slot = Slot {
        node_uid: earlier.spec.node_uid.clone(),
        entry: earlier.name.clone(),
        entry_uid: earlier.uid.clone(),
        reserved: Vec::new(),
    };
    queue
        .ledger
        .get_or_insert_default()
        .slots
        .insert("a".into(), slot);
    cluster.queue = crate::cluster::QueueView::Present(Box::new(queue));
    cluster.apply_entry(earlier.clone());
    assert!(progress(&cluster, &goal(1)).is_quiet());
    // Its slot is not freed yet, and the turn of the other entry is to come.
    earlier.record.phase = Phase::Cancelled;
    cluster.apply_entry(earlier);
    assert!(!progress(&cluster, &goal(1)).is_quiet());
}

#[test]
fn only_the_entries_that_were_asked_for_are_waited_for() {
    let mut cluster = cluster(&[("a", Phase::Succeeded, None), ("b", Phase::Draining, None)]);
    let target = |node| Target::Entries([fixture::entry(node, 100, Phase::Queued).name].into());
    assert!(progress(&cluster, &target("a")).is_complete());
    cluster
        .entries
        .values_mut()
        .for_each(|entry| entry.generation = 2);
    assert!(!progress(&cluster, &target("b")).is_quiet());
}

#[test]
fn a_status_that_is_never_written_is_not_waited_for() {
    let mut cluster = cluster(&[("a", Phase::Queued, Some(Reason::UnreadablePolicy))]);
    fixture::make_unreadable(&mut cluster);
    let look = look(&cluster, &goal(2), fixture::now(200));
    assert!(look.progress.is_quiet(), "{:?}", look.progress);
    assert!(matches!(look.verdict(), Verdict::Blocked(entries) if entries.len() == 1));
}

#[test]
fn a_waiver_counts_as_cancelled_on_the_node_and_in_an_ended_entry() {
    let mut registered_again = fixture::cluster(Some(100), &["a"]);
    fixture::cancel_and_register_again(&mut registered_again, "a", 100);
    // The entry of an earlier goal was cancelled. The waiver covers the goal to which the policy was raised.
    let mut earlier = fixture::cluster(Some(100), &["a"]);
    let mut entry = fixture::entry("a", 50, Phase::Cancelled);
    entry.record.waived = Some(fixture::at(100));
    earlier.apply_entry(entry);
    for cluster in [registered_again, earlier] {
        let progress = progress(&cluster, &goal(1));
        assert_eq!((progress.done, progress.total, progress.cancelled), (0, 1, 1));
        assert!(progress.is_complete(), "{progress:?}");
    }
}
