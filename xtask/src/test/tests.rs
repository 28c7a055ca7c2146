use super::{PARTS, Tally, counts, missing, part, run_all, wanted};

#[test]
fn a_part_that_cannot_run_has_failed_and_the_others_go_on() {
    let parts = [part("gone", "no-such-program"), part("here", "true")];
    let mut tally = Tally::default();
    run_all(&parts.each_ref(), &mut tally).unwrap();
    assert_eq!((tally.passed, tally.failed, tally.broken), (1, 1, vec!["gone"]));
}

#[test]
fn a_missing_tool_is_named_with_the_parts_that_need_it() {
    let all: Vec<_> = PARTS.iter().collect();
    assert!(missing(&all, |_| true).is_empty());
    let found = missing(&all, |tool| tool.name != "promtool");
    assert_eq!(
        (found.len(), found[0].0.name, found[0].1[0].name),
        (1, "promtool", "alerts")
    );
    let without = |word| missing(&wanted(word).unwrap(), |_| false);
    let names = |word| {
        without(word)
            .iter()
            .map(|(tool, _)| tool.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names("format"), ["rustfmt", "gofmt"]);
    assert_eq!(names("lints"), ["clippy", "go"]);
    assert_eq!(names("tidy"), Vec::<&str>::new());
    // The testbed is a Go program, whatever command starts it.
    assert_eq!(names("scenarios"), ["go"]);
}

#[test]
fn a_word_that_no_part_has_is_an_error_that_lists_them() {
    assert_eq!(wanted("scenarios").unwrap().len(), 2);
    let told = wanted("scenarois").err().unwrap().to_string();
    assert!(told.contains("format, tidy, lints"), "{told}");
}

#[test]
fn the_closing_line_of_a_runner_is_counted() {
    let line =
        "test result: FAILED. 29 passed; 7 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.75s";
    assert_eq!(counts(line), Some((29, 7)));
    assert_eq!(counts("test result: ok. 87 passed; 0 failed"), Some((87, 0)));
    assert_eq!(counts("api-check: 248 passed, 1 failed"), Some((248, 1)));
    assert_eq!(counts("26 passed, 0 failed"), Some((26, 0)));
    for other in [
        "running 3 tests",
        "== tests: ok, 3 passed, 0 failed, 7 s",
        "a word: 3 passed, 0 failed and more",
    ] {
        assert_eq!(counts(other), None, "{other}");
    }
}
