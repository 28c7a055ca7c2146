//! What a rehearsal prints.

use std::io::Write as _;

use anyhow::{Context as _, Result};

pub(super) fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to stdout")
}
