use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_ascii_whitespace())
}

#[test]
fn a_clock_may_be_moved_back() {
    let cli = parse("junban controller --clock-ahead-ms=-86400000").unwrap();
    assert!(
        matches!(cli.command, Command::Controller(controller) if controller.clock_ahead_ms == -86_400_000)
    );
}

#[test]
fn the_definitions_do_not_contradict_each_other() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn a_reason_too_long_for_an_object_is_a_usage_error() {
    let with = |verb: &str, count: usize| parse(&format!("junban {verb} --reason {}", "é".repeat(count)));
    for verb in ["pause", "reboot --all", "reboot node-1"] {
        assert!(with(verb, 1024).is_ok(), "{verb}");
        let text = with(verb, 1025).unwrap_err().to_string();
        assert!(
            text.contains("--reason") && text.contains("more than 1024"),
            "{text}"
        );
    }
}

#[test]
fn the_cluster_may_be_named_before_and_after_the_verb() {
    for line in [
        "junban --context a status",
        "junban status --context a",
        "junban --context a controller",
        "junban controller --context a",
    ] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.cluster.context.as_deref(), Some("a"), "{line}");
    }
}

#[test]
fn missing_and_contradicting_arguments_are_refused() {
    for line in [
        "junban",
        "junban reboot",
        "junban reboot --all node-1",
        "junban reboot --all -l role=worker",
        "junban reboot node-1 -l role=worker",
        "junban reboot node-1 --again",
        "junban reboot --all --timeout 5m",
        "junban reboot --all --wait --timeout 5",
        "junban reboot --all --wait --timeout 0s",
        "junban reboot --all --wait --dry-run",
        "junban cancel",
        "junban cancel --all node-1",
        "junban retry",
        "junban lint",
        "junban list -o xml",
    ] {
        let error = parse(line).err().unwrap_or_else(|| panic!("{line} is accepted"));
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn a_timeout_is_written_as_in_the_objects() {
    let Command::Reboot(reboot) = parse("junban reboot --all --wait --timeout 1h30m")
        .unwrap()
        .command
    else {
        panic!("not the verb reboot");
    };
    assert_eq!(reboot.timeout, Some(Duration::from_secs(5_400)));
}

#[test]
fn a_speed_is_a_number_or_max() {
    assert_eq!(speed("max"), Ok(Speed::Max));
    assert_eq!(speed("60"), Ok(Speed::Times(60)));
    assert!(speed("0").is_err() && speed("fast").is_err());
}
