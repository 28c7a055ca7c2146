use super::*;
use crate::commands::fixture;

fn cluster(entries: &[(&str, Phase, Option<Reason>)], done: u32) -> Cluster {
    let mut cluster = fixture::cluster(Some(100), &[]);
    if let Some(policy) = cluster.policies.get_mut(&"workers".into()) {
        policy.summary.desired = u32::try_from(entries.len()).unwrap();
        policy.summary.done = done;
    }
    for (node, phase, reason) in entries {
        let mut entry = fixture::entry(node, 100);
        entry.record.phase = *phase;
        entry.record.reason = *reason;
        cluster.apply_entry(entry);
    }
    cluster
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
    let over = |entries: &[_], done| {
        let state = State::of(&cluster(entries, done), &goal(1));
        (state.is_quiet(), state.is_complete())
    };
    let quiet_and_complete = |quiet, complete| (quiet, complete);
    assert_eq!(over(&[("a", succeeded, None)], 1), quiet_and_complete(true, true));
    assert_eq!(
        over(&[("a", failed, None), ("b", succeeded, None)], 1),
        quiet_and_complete(true, true)
    );
    assert_eq!(
        over(&[("a", Phase::Draining, None)], 0),
        quiet_and_complete(false, false)
    );
    assert_eq!(
        over(&[("a", Phase::Queued, None)], 0),
        quiet_and_complete(false, false)
    );
    assert_eq!(
        over(&[("a", Phase::Queued, Some(Reason::NoPlace))], 0),
        quiet_and_complete(false, false)
    );
    assert_eq!(
        over(&[("a", Phase::Queued, Some(Reason::NodeDown))], 0),
        quiet_and_complete(true, false)
    );
    // Entries are still to be made.
    let state = State::of(&cluster(&[("a", succeeded, None)], 0), &goal(1));
    assert!(state.is_quiet() && !state.is_complete());
    // The status has not seen the generation of the command.
    assert!(!State::of(&cluster(&[("a", succeeded, None)], 1), &goal(2)).is_quiet());
}

#[test]
fn servers_without_an_entry_are_not_done() {
    let verdict = |entries: &[_], done| {
        let cluster = cluster(entries, done);
        let target = goal(1);
        let state = State::of(&cluster, &target);
        let mut printer = Printer::new(crate::cli::Output::Name);
        super::verdict(&cluster, &target, &state, &mut printer).map_err(|problem| problem.exit)
    };
    // Two are asked for: one is done, and nobody has made an entry for the other, or a person has cancelled it.
    let (succeeded, ended_before) = (("a", Phase::Succeeded, None), ("b", Phase::Succeeded, None));
    assert!(matches!(
        verdict(&[succeeded, ended_before], 1),
        Err(Exit::Blocked)
    ));
    let cancelled = ("b", Phase::Cancelled, None);
    assert!(matches!(verdict(&[succeeded, cancelled], 1), Ok(Exit::Done)));
}

#[test]
fn the_exit_code_says_failed_before_blocked() {
    let verdict = |entries: &[_]| {
        let cluster = cluster(entries, 0);
        let target = goal(1);
        let state = State::of(&cluster, &target);
        let mut printer = Printer::new(crate::cli::Output::Name);
        match verdict(&cluster, &target, &state, &mut printer) {
            Ok(exit) => format!("{exit:?}"),
            Err(problem) => format!("{:?} {problem}", problem.exit),
        }
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
    let mut cluster = cluster(&[("a", Phase::Succeeded, None), ("b", Phase::Draining, None)], 0);
    let names = [fixture::entry("a", 100).name, fixture::entry("gone", 100).name];
    let state = State::of(&cluster, &Target::Entries(names.into()));
    assert!(state.is_complete(), "{state:?}");
    cluster
        .entries
        .values_mut()
        .for_each(|entry| entry.generation = 2);
    let target = Target::Entries([fixture::entry("b", 100).name].into());
    assert!(!State::of(&cluster, &target).is_quiet());
}
