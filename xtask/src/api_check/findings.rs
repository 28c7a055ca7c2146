//! Counts what held and what did not.

use std::io::Write as _;

use anyhow::{Result, bail};

#[derive(Default)]
pub(super) struct Findings {
    good: usize,
    wrong: usize,
}

impl Findings {
    /// Counts a check; prints one that does not hold, with what was seen.
    pub(super) fn expect(&mut self, holds: bool, what: &str, seen: &str) -> Result<()> {
        if holds {
            self.good += 1;
        } else {
            self.wrong += 1;
            writeln!(std::io::stdout(), "FAILED {what}\n       {}", seen.trim())?;
        }
        Ok(())
    }

    pub(super) fn report(&self) -> Result<()> {
        writeln!(
            std::io::stdout(),
            "api-check: {} passed, {} failed",
            self.good,
            self.wrong
        )?;
        if self.wrong > 0 || self.good == 0 {
            bail!("the manifests and the API server disagree");
        }
        Ok(())
    }
}
