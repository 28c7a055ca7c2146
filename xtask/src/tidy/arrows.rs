//! A crate may use only the crates that ARCHITECTURE.md allows it to use.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::files::{Files, below};

/// Which of our crates each crate may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("junban-core", &[]),
    ("junban-engine", &["junban-core"]),
    ("junban-api", &["junban-core"]),
    ("junban-kube", &["junban-engine", "junban-api", "junban-core"]),
    ("junban-drivers", &["junban-engine", "junban-core"]),
    // If the world shared arithmetic with core, the same bug in both would stay hidden.
    ("junban-world", &[]),
    // Both worlds convert the custom resources of a scenario with the same code.
    (
        "junban-sim",
        &["junban-world", "junban-engine", "junban-api", "junban-core"],
    ),
    (
        "junban-trial",
        &[
            "junban-sim",
            "junban-world",
            "junban-engine",
            "junban-api",
            "junban-core",
            "junban-testbed",
        ],
    ),
    (
        "junban",
        &[
            "junban-core",
            "junban-engine",
            "junban-api",
            "junban-kube",
            "junban-drivers",
            "junban-sim",
        ],
    ),
    ("junban-testbed", &[]),
    ("xtask", &["junban-testbed"]),
];

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut problems = Vec::new();
    for (path, text) in below(files, "", "/Cargo.toml") {
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .with_context(|| format!("{path} names no package"))?;
        let Some(allowed) = allowed.get(name) else {
            problems.push(format!(
                "{path}: add {name} to the table in xtask/src/tidy/arrows.rs"
            ));
            continue;
        };
        // Tests may use any crate.
        let normal = text.split("[dev-dependencies]").next().unwrap_or(text);
        let ours = normal
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|word| word.starts_with("junban-"));
        let forbidden = ours.filter(|used| *used != name && !allowed.contains(used));
        problems.extend(
            forbidden.map(|used| format!("{name} may not use {used}: see \"Crates\" in ARCHITECTURE.md")),
        );
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::{Files, check};

    #[test]
    fn a_crate_may_use_another_only_where_the_table_or_a_test_allows_it() {
        let manifest = |uses: &str| {
            let text = format!("[package]\nname = \"junban-api\"\n\n[dependencies]\n{uses}");
            check(&Files::from([("crates/junban-api/Cargo.toml".to_owned(), text)])).unwrap()
        };
        let allowed = "junban-core.workspace = true\n[dev-dependencies]\njunban-kube.workspace = true\n";
        assert_eq!(manifest(allowed), Vec::<String>::new());
        let found = manifest("junban-kube.workspace = true\n");
        assert!(
            found[0].contains("junban-api may not use junban-kube"),
            "{found:?}"
        );
    }
}
