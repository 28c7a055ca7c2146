//! A source file has at most [`LINES_MAX`] lines.

use anyhow::Result;

use super::files::{Files, below};

const LINES_MAX: usize = 600;

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let sources = [".rs", ".go"]
        .into_iter()
        .flat_map(|ending| below(files, "", ending));
    let long = sources
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX);
    Ok(long
        .map(|(path, lines)| format!("{path}: {lines} lines, more than {LINES_MAX}: split the file"))
        .collect())
}
