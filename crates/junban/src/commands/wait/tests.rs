use super::*;
use crate::commands::fixture;

/// What the command says when it is over. A node without a phase has no entry.
fn said(nodes: &[(&str, Option<Phase>, Option<Reason>)]) -> String {
    let names: Vec<&str> = nodes.iter().map(|(node, ..)| *node).collect();
    let mut cluster = fixture::cluster(Some(100), &names);
    for (node, phase, reason) in nodes {
        let Some(phase) = *phase else { continue };
        let mut entry = fixture::entry(node, 100);
        (entry.record.phase, entry.record.reason) = (phase, *reason);
        cluster.apply_entry(entry);
    }
    let target = Target::Goal {
        generations: [("workers".into(), 1)].into(),
        goal: fixture::at(100),
    };
    let look = wait::look(&cluster, &target, fixture::now(200));
    let mut printer = Printer::new(crate::cli::Output::Name);
    match exit(&look, &target, &mut printer) {
        Ok(exit) => format!("{exit:?}"),
        Err(problem) => format!("{:?} {problem}", problem.exit),
    }
}

#[test]
fn the_exit_code_says_failed_before_blocked() {
    let blocked = ("node-1", Some(Phase::Queued), Some(Reason::NodeDown));
    let failed = ("node-2", Some(Phase::Failed), Some(Reason::BootTimeout));
    let paused = ("node-3", Some(Phase::Queued), Some(Reason::Paused));
    let cancelled = ("node-4", Some(Phase::Cancelled), None);
    let without_entry = ("node-5", None, None);
    let said = [
        said(&[blocked]),
        said(&[blocked, failed]),
        said(&[paused]),
        said(&[cancelled, without_entry]),
        said(&[cancelled]),
    ];
    expect_test::expect![[r#"
        Blocked error: 0 of 1 done: 1 Queued; somebody is needed for: node-1 (NodeDown)
        hint: junban explain node-1
        Failed error: 0 of 2 done: 1 Queued, 1 Failed; failed: node-2 (BootTimeout)
        hint: junban explain node-2
        Blocked error: 0 of 1 done: 1 Queued; somebody is needed for: node-3 (Paused)
        hint: junban resume
        Blocked error: 0 of 2 done, 1 cancelled; there is no entry yet for: node-5
        hint: junban explain node-5
        Done"#]]
    .assert_eq(&said.join("\n"));
}
