use super::{Files, MAY_READ, check};

/// What is found in the body of a function, without the exceptions that this crate does not need.
fn found(path: &str, body: &str) -> Vec<String> {
    let files = Files::from([
        ("crates/junban-kube/Cargo.toml".to_owned(), String::new()),
        (
            "crates/junban-kube/src/lib.rs".to_owned(),
            "pub mod ports;".to_owned(),
        ),
        (
            "crates/junban-kube/src/ports.rs".to_owned(),
            "pub mod evict; pub mod read;".to_owned(),
        ),
        ("crates/junban-kube/src/ports/evict.rs".to_owned(), String::new()),
        ("crates/junban-kube/src/ports/read.rs".to_owned(), String::new()),
        (
            format!("crates/junban-kube/src/{path}"),
            format!("fn f() {{\n    {body};\n}}"),
        ),
    ]);
    let mut found = check(&files).unwrap();
    found.retain(|problem| !problem.contains("delete the exception"));
    found
}

#[test]
fn code_that_decides_by_a_text_is_found_with_its_line() {
    let problems = found("ports/read.rs", "if blocker.message == LEASE { }");
    let expected = "crates/junban-kube/src/ports/read.rs:2: compares the text of `message`";
    assert!(
        problems.len() == 1 && problems[0].starts_with(expected),
        "{problems:?}"
    );
    for body in [
        "let _ = a == record.detail",
        "let _ = (&entry.status.as_ref()?.message).as_str() != \"x\"",
        "let _ = record.message.trim().starts_with(\"x\")",
        "let _ = record.message.split(',').next()",
        "let _ = WORDS.contains(&record.message)",
        "let _ = blocker.object.split_once(' ')",
        "let _ = |message: &str| message.split_once(' ')",
        "let _ = self.first_blocker.text == \"x\"",
        "let _ = xs.iter().filter(|x| x.detail[..3] == *y)",
        "match record.message.as_str() { \"x\" => 1, _ => 2 }",
        "if let Some(\"x\") = record.message.as_deref() { }",
        "assert!(matches!(record.message.as_str(), \"x\" | \"y\" if z))",
        "let Denial { message: \"x\", .. } = denial else { return }",
        "log(format!(\"{}\", record.message.find('x').is_some()))",
    ] {
        assert_eq!(found("ports/read.rs", body).len(), 1, "{body}");
    }
}

#[test]
fn code_that_passes_a_text_on_or_compares_whole_values_passes() {
    for body in [
        "let _ = summary == policy.summary",
        "let _ = (reason, blocker.message.as_str()) != (record.reason, record.message.as_str())",
        "let _ = blocker.object == name && record.message.is_empty() == x && place.text == \"x\"",
        "say(&record.message, record.detail.clone(), format!(\"{}\", blocker.text))",
        "match record.message.as_deref() { Some(message) => say(message), None => {} }",
        "#[cfg(test)] let _ = record.message == \"x\"",
    ] {
        assert_eq!(found("ports/read.rs", body), Vec::<String>::new(), "{body}");
    }
}

#[test]
fn an_exception_holds_for_its_file_and_ends_with_its_use() {
    assert_eq!(
        found("ports/evict.rs", "status.message.contains(\"webhook\")"),
        Vec::<String>::new()
    );
    let unused = check(&Files::new()).unwrap();
    assert_eq!(unused.len(), MAY_READ.len());
    assert!(unused[0].contains("delete the exception"), "{unused:?}");
}
