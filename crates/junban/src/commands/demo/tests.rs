use super::*;

#[test]
fn more_failing_servers_than_workers_are_a_usage_error() {
    let arguments = |nodes, fail| cli::Demo {
        nodes,
        seed: 1,
        speed: None,
        fail,
        output: None,
    };
    assert!(options(&arguments(10, 7)).is_ok());
    let problem = options(&arguments(10, 8)).unwrap_err();
    assert_eq!(problem.exit, Exit::Usage);
    assert!(
        problem.text.contains("--fail 8") && problem.text.contains("7 workers"),
        "{problem}"
    );
}

#[test]
fn a_broken_rule_fails_the_demo() {
    let small = Options {
        nodes: 3,
        seed: 1,
        fail: 0,
    };
    let mut summary = Demo::new(small).summary();
    summary.failed = 0;
    assert_eq!(verdict(&summary), Ok(Exit::Done));
    summary.budget_violations = 1;
    assert_eq!(verdict(&summary).unwrap_err().exit, Exit::Failed);
}

#[test]
fn durations_have_units() {
    assert_eq!(duration(59), "59 s");
    assert_eq!(duration(61), "1 min 01 s");
    assert_eq!(duration(3_700), "1 h 01 min");
}
