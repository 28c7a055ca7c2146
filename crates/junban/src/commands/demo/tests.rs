use super::*;

#[test]
fn a_speed_is_a_number_or_max() {
    assert_eq!(speed("max"), Ok(Speed::Max));
    assert_eq!(speed("60"), Ok(Speed::Times(60)));
    assert!(speed("0").is_err() && speed("fast").is_err());
}

#[test]
fn more_failing_servers_than_workers_are_a_usage_error() {
    let arguments = |nodes, fail| DemoArgs {
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
    assert_eq!(judge(&summary), Ok(Exit::Done));
    summary.budget_violations = 1;
    assert_eq!(judge(&summary).unwrap_err().exit, Exit::Failed);
}

#[test]
fn times_are_written_for_people() {
    assert_eq!(minutes(59), "59 s");
    assert_eq!(minutes(61), "1 min 01 s");
    assert_eq!(minutes(3_700), "1 h 01 min");
}
