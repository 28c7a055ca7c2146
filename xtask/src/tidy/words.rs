//! Finds words that the code of a crate must not contain: calls that would make the crate depend on the machine, and keys
//! of labels and annotations outside of `junban-api::names`.

use anyhow::Result;

use super::files::{Files, below};

/// A folder, the words that its code may not contain, and why.
const BANNED: &[(&str, &[&str], &str)] = &[
    (
        "crates/junban-core/src/",
        &[
            "std::fs",
            "std::net",
            "std::env",
            "std::thread",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "tracing::",
            "HashMap",
            "HashSet",
        ],
        "core does no IO, reads no clock, logs nothing and iterates in one order",
    ),
    (
        "crates/junban-engine/src/",
        &["HashMap", "HashSet", "SystemTime"],
        "the step function is deterministic",
    ),
    (
        "crates/junban-engine/src/",
        &["Timestamp::now"],
        "the wall clock is the API server's: ask ServerClock",
    ),
    (
        "crates/junban-kube/src/",
        &["Timestamp::now", "SystemTime"],
        "the wall clock is the API server's: ask ServerClock",
    ),
    (
        "crates/junban-world/src/",
        &["Instant::now", "SystemTime", "HashMap", "HashSet"],
        "the simulated world has one seed and one order",
    ),
    ("crates/junban-core/src/", &[KEY], SPELL_KEYS_ONCE),
    ("crates/junban-engine/src/", &[KEY], SPELL_KEYS_ONCE),
    ("crates/junban-kube/src/", &[KEY], SPELL_KEYS_ONCE),
];

/// A string that begins with the prefix is a key; a sentence that names a key has it further in.
const KEY: &str = "\"junban.dev/";
const SPELL_KEYS_ONCE: &str = "spell the key in junban-api::names and use it from there";

/// Only here a controller reads its machine's wall clock: until the API server has answered for the first time.
const WALL_CLOCK: (&str, &str) = ("crates/junban-engine/src/clock.rs", "Timestamp::now");

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (folder, words, why) in BANNED {
        for (path, text) in below(files, folder, ".rs") {
            let is_test = path.contains("test") || path.contains("fixture");
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or(line);
                let found = words.iter().filter(|word| {
                    code.contains(**word) && (path, **word) != WALL_CLOCK && !(**word == KEY && is_test)
                });
                problems.extend(found.map(|word| format!("{path}:{}: {word}: {why}", number + 1)));
            }
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::{Files, check};

    #[test]
    fn a_banned_word_is_found_in_code_and_not_in_a_comment() {
        let found =
            |path: &str, text: &str| check(&Files::from([(path.to_owned(), text.to_owned())])).unwrap();
        let core = "crates/junban-core/src/plan.rs";
        assert_eq!(found(core, "// no HashMap here\n"), Vec::<String>::new());
        assert!(found(core, "\nuse std::fs;\n")[0].starts_with(&format!("{core}:2: std::fs")));
        let clock = "let now = Timestamp::now();";
        assert_eq!(
            found("crates/junban-engine/src/clock.rs", clock),
            Vec::<String>::new()
        );
        assert_eq!(found("crates/junban-engine/src/step.rs", clock).len(), 1);
        let key = "let mark = \"junban.dev/mark\";";
        assert_eq!(found(core, key).len(), 1);
        assert_eq!(
            found("crates/junban-core/src/plan/tests.rs", key),
            Vec::<String>::new()
        );
    }
}
