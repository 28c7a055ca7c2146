use super::*;
use crate::scenario::facts::EntryFacts;
use crate::scenario::parse;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn facts(phase: &str) -> Facts {
    let mut facts = Facts::default();
    facts.entries.push(EntryFacts {
        uid: "u".into(),
        node: "node-1".into(),
        phase: phase.into(),
        ..EntryFacts::default()
    });
    facts
}

#[test]
fn steps_wait_for_each_other_and_the_end_must_hold_for_a_while() {
    let text = "scenario: x\nwhen node-1 is Draining: pause\nafter 10s: resume\norder node-1: Draining, Succeeded\n\
                eventually within 1m: every entry Succeeded\nat the end: no failure\n";
    let scenario = parse("x", text).unwrap();
    let mut judge = Judge::new(&scenario, Duration::ZERO);
    assert_eq!(judge.look(seconds(0), &facts("Queued")), None);
    assert_eq!(
        judge.look(seconds(1), &facts("Draining")).unwrap().what,
        Act::Pause(String::new())
    );
    assert_eq!(judge.look(seconds(2), &facts("Draining")), None);
    assert_eq!(judge.next_look(seconds(2)), Some(seconds(11)));
    assert_eq!(
        judge.look(seconds(11), &facts("Draining")).unwrap().what,
        Act::Resume
    );
    assert_eq!(judge.look(seconds(20), &facts("Succeeded")), None);
    assert!(!judge.is_over());
    assert_eq!(judge.look(seconds(25), &facts("Succeeded")), None);
    assert!(
        judge.is_over() && judge.failures().is_empty(),
        "{:?}",
        judge.failures()
    );
}

#[test]
fn each_failure_names_its_line() {
    let run = |text: &str, phases: &[&str]| {
        let scenario = parse("x", &format!("scenario: x\n{text}")).unwrap();
        let mut judge = Judge::new(&scenario, Duration::ZERO);
        for (second, phase) in phases.iter().enumerate() {
            judge.look(seconds(second as u64), &facts(phase));
        }
        judge.look(seconds(700), &facts(phases.last().unwrap()));
        judge.look(seconds(800), &facts(phases.last().unwrap()));
        assert!(judge.is_over());
        judge
            .failures()
            .iter()
            .map(|failure| failure.line)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        run("wait 1m\nnever: node-1 is Failed", &["Queued", "Failed"]),
        [3]
    );
    assert_eq!(
        run("eventually within 5s: every entry Succeeded", &["Queued"]),
        [2]
    );
    assert_eq!(
        run("order node-1: Rebooting, Draining", &["Draining", "Rebooting"]),
        [2]
    );
    assert_eq!(run("at the end: every entry Succeeded", &["Queued"]), [2]);
    assert_eq!(
        run(
            "wait 5s\norder node-1: Draining, Rebooting",
            &["Draining", "Rebooting"]
        ),
        [0; 0]
    );
}

/// In bad weather the claims of a file do not hold. The rules of every scenario must be judged to the end all the same.
#[test]
fn with_rules_only_a_broken_claim_does_not_end_the_run() {
    let text = "scenario: x\nnever: node-1 is Queued\norder node-1: Succeeded\nwhen within 5s node-1 is Draining: pause\n\
                eventually within 5s: every entry Succeeded\nat the end: no failure\n";
    let scenario = parse("x", text).unwrap();
    let mut judge = Judge::new(&scenario, Duration::ZERO);
    judge.judge_rules_only();
    assert_eq!(judge.look(seconds(0), &facts("Queued")), None);
    let act = judge.look(seconds(6), &facts("Queued")).map(|at| at.what);
    assert_eq!(act, Some(Act::Pause(String::new())));
    judge.not_done(seconds(6), 4, "pause", "there is no queue");
    for second in [7, 12, 20] {
        assert!(!judge.is_over(), "after {second} s");
        judge.look(seconds(second), &facts("Queued"));
    }
    assert!(judge.is_over());
    assert_eq!(judge.failures(), []);

    let mut judge = Judge::new(&scenario, Duration::ZERO);
    judge.judge_rules_only();
    judge.fail(
        seconds(1),
        "a checker of the world saw a rule broken",
        "S1: twice",
    );
    assert!(judge.is_over());
    assert_eq!(judge.failures().len(), 1);
}
