//! `cargo xtask tidy`: the rules of the repository that a program can check. Each check is a file below `tidy/`. What
//! a check allows stands in a table of that file, each exception with its reason.

mod arrows;
mod banned_crates;
mod circles;
mod citations;
mod files;
mod guards;
mod imports;
mod messages;
mod modules;
mod sizes;
mod storeys;
mod words;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A name, and what finds the problems.
type Check = (&'static str, fn(&files::Files) -> Result<Vec<String>>);

const CHECKS: &[Check] = &[
    ("arrows between crates", arrows::check),
    ("file sizes", sizes::check),
    ("banned words", words::check),
    ("banned crates", banned_crates::check),
    ("tests of guards", guards::check),
    ("citations", citations::check),
    (
        "circles of imports (move what both need into a third file)",
        circles::check,
    ),
    ("storeys of core", storeys::check),
    ("decisions by the text of a message", messages::check),
];

pub(crate) fn run() -> Result<()> {
    let files = files::read(&root()?)?;
    let mut count = 0;
    for (name, check) in CHECKS {
        let problems = check(&files).with_context(|| format!("check {name}"))?;
        count += problems.len();
        if !problems.is_empty() {
            let list = problems.join("\n  ");
            writeln!(std::io::stdout(), "{name}: {} to fix:\n  {list}", problems.len())?;
        }
    }
    if count > 0 {
        bail!("tidy: {count} to fix");
    }
    writeln!(std::io::stdout(), "tidy: nothing to fix")?;
    Ok(())
}

/// The checkout in which cargo was called.
pub(crate) fn root() -> Result<PathBuf> {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    let root = Path::new(&xtask).parent();
    Ok(root.context("xtask is a folder of the workspace")?.to_owned())
}
