//! Each guard of `core::guard` has a test that removes it.

use anyhow::{Context as _, Result};

use super::files::Files;

/// The folder of these tests, in whichever crate it stands.
const TESTS: &str = "/tests/guards/";

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let guards = files
        .get("crates/junban-core/src/guard.rs")
        .and_then(|text| text.split_once("pub enum Guard {")?.1.split_once("\n}"))
        .context("crates/junban-core/src/guard.rs has no `pub enum Guard`")?
        .0;
    let tests = files.iter().filter(|(path, _)| path.contains(TESTS));
    let tests: String = tests.map(|(_, text)| text.as_str()).collect();
    let is_removed = |name: &str| {
        tests
            .split(&format!("Guard::{name}"))
            .skip(1)
            .any(|after| !after.starts_with(char::is_alphanumeric))
    };
    Ok(guards
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|line| !line.starts_with("//") && !is_removed(line))
        .map(|name| format!("Guard::{name}: no test below {TESTS} removes it"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Files, TESTS, check};

    #[test]
    fn a_guard_that_no_test_removes_is_found_by_its_whole_name() {
        let files = Files::from([
            (
                "crates/junban-core/src/guard.rs".to_owned(),
                "pub enum Guard {\n    // Why.\n    Mark,\n    MarkOfOthers,\n}".to_owned(),
            ),
            (
                format!("{TESTS}marks.rs"),
                "without(Guard::MarkOfOthers)".to_owned(),
            ),
        ]);
        let found = check(&files).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("Guard::Mark:"), "{found:?}");
    }
}
