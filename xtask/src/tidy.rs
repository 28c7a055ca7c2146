//! `cargo xtask tidy`: the edges of the architecture, file sizes and banned calls, held by a test. What is allowed
//! stands in tables here, each exception with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Which of our crates each may use (ARCHITECTURE.md, the direction of arrows). Absent: no crate of that name.
const ARROWS: &[(&str, &[&str])] = &[
    ("junban-core", &[]),
    ("junban-engine", &["junban-core"]),
    ("junban-api", &["junban-core"]),
    ("junban-kube", &["junban-engine", "junban-api", "junban-core"]),
    ("junban-drivers", &["junban-engine", "junban-core"]),
    // Arithmetic shared with core would hide a bug in both.
    ("junban-world", &[]),
    // The custom resources of a scenario go through the same conversion in both worlds.
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

/// Lines of a source file; a longer one is split.
const LINES_MAX: usize = 600;

/// Text that may not stand in the sources of a crate.
const BANNED: &[(&str, &[&str], &str)] = &[
    (
        "junban-core",
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
        "junban-engine",
        &["HashMap", "HashSet", "SystemTime"],
        "the step function is deterministic",
    ),
    (
        "junban-engine",
        &["Timestamp::now"],
        "the wall clock is the API server's: ask ServerClock",
    ),
    (
        "junban-kube",
        &["Timestamp::now", "SystemTime"],
        "the wall clock is the API server's: ask ServerClock",
    ),
    (
        "junban-world",
        &["Instant::now", "SystemTime", "HashMap", "HashSet"],
        "the simulated world has one seed and one order",
    ),
];

/// The one place where a controller reads its machine's wall clock.
const WALL_CLOCK_AT_HOME: &str = "crates/junban-engine/src/clock.rs";

/// Two crypto providers in one process panic at the first connection, and each of these builds C for minutes. `deny.toml`
/// bans them as well.
const BANNED_CRATES: &[&str] = &["aws-lc-rs", "openssl-sys"];

/// Where keys that users see may be spelt.
const KEYS_AT_HOME: &str = "crates/junban-api/src/names";

pub(crate) fn run() -> Result<()> {
    let root = root()?;
    let mut problems = Vec::new();
    arrows(&root, &mut problems)?;
    for file in sources(&root)? {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let path = file.strip_prefix(&root)?.to_string_lossy().into_owned();
        sizes(&path, &text, &mut problems);
        banned(&path, &text, &mut problems);
        keys(&path, &text, &mut problems);
    }
    guards(&root, &mut problems)?;
    banned_crates(&fs::read_to_string(root.join("Cargo.lock"))?, &mut problems);
    if problems.is_empty() {
        writeln!(std::io::stdout(), "tidy: nothing to mend")?;
        return Ok(());
    }
    bail!("{} to mend:\n  {}", problems.len(), problems.join("\n  "))
}

fn banned_crates(lock: &str, problems: &mut Vec<String>) {
    let is_there = |name: &&&str| lock.lines().any(|line| line == format!("name = \"{name}\""));
    let there = BANNED_CRATES.iter().filter(is_there);
    problems.extend(there.map(|name| format!("Cargo.lock: {name} is banned (deny.toml says why)")));
}

/// The checkout that cargo was called in.
pub(crate) fn root() -> Result<PathBuf> {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    Ok(Path::new(&xtask)
        .parent()
        .context("xtask stands in the workspace")?
        .to_owned())
}

fn arrows(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let allowed: BTreeMap<_, BTreeSet<_>> = ARROWS
        .iter()
        .map(|(name, uses)| (*name, uses.iter().copied().collect()))
        .collect();
    let mut folders: Vec<_> = fs::read_dir(root.join("crates"))?.collect::<Result<_, _>>()?;
    folders.sort_by_key(fs::DirEntry::file_name);
    let manifests = folders
        .into_iter()
        .map(|folder| folder.path().join("Cargo.toml"))
        .chain([root.join("xtask/Cargo.toml")]);
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
        let value_of = |key: &str| {
            text.lines().find_map(|line| {
                line.strip_prefix(key)?
                    .trim()
                    .strip_prefix('=')?
                    .trim()
                    .strip_prefix('"')?
                    .strip_suffix('"')
            })
        };
        let name = value_of("name").context("a package has a name")?;
        let Some(uses) = allowed.get(name) else {
            problems.push(format!("{name}: a crate that xtask/src/tidy.rs does not know"));
            continue;
        };
        // Dependencies for tests alone may point where they need to.
        let normal = text.split("[dev-dependencies]").next().unwrap_or(&text);
        let ours = normal
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|word| word.starts_with("junban-"));
        for used in ours.filter(|used| *used != name && !uses.contains(used)) {
            problems.push(format!(
                "{name} may not use {used}: see the arrows in ARCHITECTURE.md"
            ));
        }
    }
    Ok(())
}

/// Every Rust and Go source file of ours.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask"), root.join("testbed")];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = item?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ending == "rs" || ending == "go")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Each guard has a test that takes it out.
fn guards(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let list = fs::read_to_string(root.join("crates/junban-core/src/guard.rs")).context("read guard.rs")?;
    let body = list
        .split_once("pub enum Guard {")
        .and_then(|(_, rest)| rest.split_once("\n}"))
        .context("guard.rs has `pub enum Guard`")?
        .0;
    let mut tests = String::new();
    for item in
        fs::read_dir(root.join("crates/junban-trial/tests/guards")).context("list the guards' tests")?
    {
        tests.push_str(&fs::read_to_string(item?.path())?);
    }
    let names = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|line| !line.starts_with("//"));
    for name in names {
        let used = tests
            .split(&format!("Guard::{name}"))
            .skip(1)
            .any(|after| !after.starts_with(char::is_alphanumeric));
        if !used {
            problems.push(format!(
                "Guard::{name}: no test in crates/junban-trial/tests/guards takes it out"
            ));
        }
    }
    Ok(())
}

fn sizes(path: &str, text: &str, problems: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{path}: {lines} lines, more than {LINES_MAX}: split it"));
    }
}

fn banned(path: &str, text: &str, problems: &mut Vec<String>) {
    for (name, words, why) in BANNED {
        if !path.starts_with(&format!("crates/{name}/src/")) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            let at_home = |word: &str| path == WALL_CLOCK_AT_HOME && word == "Timestamp::now";
            for word in words
                .iter()
                .filter(|word| code.contains(**word) && !at_home(word))
            {
                problems.push(format!("{path}:{}: {word}: {why}", number + 1));
            }
        }
    }
}

/// Labels and annotations are spelt in `junban-api::names` and nowhere else (style.md, shape 9). Messages and hints
/// for people, tests, and the world (which uses nothing of ours) may name them.
fn keys(path: &str, text: &str, problems: &mut Vec<String>) {
    let code_of_ours = path.starts_with("crates/junban-kube/src")
        || path.starts_with("crates/junban-engine/src")
        || path.starts_with("crates/junban-core/src");
    if path.starts_with(KEYS_AT_HOME) || !code_of_ours || path.contains("test") || path.contains("fixture") {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        // A key on its own is a string that begins with the prefix; a sentence that names one is not.
        if code.contains("\"junban.dev/") {
            problems.push(format!(
                "{path}:{}: a key is spelt here: it belongs into junban-api::names",
                number + 1
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::banned_crates;

    #[test]
    fn a_banned_crate_is_found_in_the_lock_file_by_its_whole_name() {
        let mut problems = Vec::new();
        banned_crates("name = \"aws-lc-rs-like\"\n", &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        banned_crates("[[package]]\nname = \"openssl-sys\"\n", &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
