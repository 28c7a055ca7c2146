//! Kills controllers and pauses the queue while all servers are rebooted.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use junban_testbed::junban::Controller;

use crate::scenario::facts::{Facts, NodeFacts};
use crate::testbed::Testbed;

const KILL_EVERY: Duration = Duration::from_secs(20);
const PAUSE_FOR: Duration = Duration::from_secs(15);

pub(super) struct Trouble {
    /// The person asked for it with `--trouble`.
    pub(super) wanted: bool,
    last_kill: Instant,
    pub(super) kills: usize,
    paused: bool,
    /// Rules that were broken, in words.
    pub(super) broken: Vec<String>,
}

impl Trouble {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            last_kill: Instant::now(),
            kills: 0,
            paused: false,
            broken: Vec::new(),
        }
    }

    /// Makes the trouble that is due. Called a few times a second during the run.
    pub(super) fn act(&mut self, bed: &Testbed, controllers: &mut [Controller], facts: &Facts) -> Result<()> {
        if !self.wanted {
            return Ok(());
        }
        if self.last_kill.elapsed() >= KILL_EVERY {
            self.last_kill = Instant::now();
            let next = self.kills % controllers.len();
            controllers[next].kill()?;
            controllers[next] = bed.controller()?;
            self.kills += 1;
        }
        let has_begun = |node: &&NodeFacts| node.marked || node.boots > 0;
        let begun = facts.nodes.values().filter(has_begun).count();
        if !self.paused && begun * 2 >= facts.nodes.len() {
            self.paused = true;
            self.pause(bed)?;
        }
        Ok(())
    }

    fn pause(&mut self, bed: &Testbed) -> Result<()> {
        let said = bed.try_junban(&["pause", "--reason", "rehearsal"])?;
        if !said.status.success() {
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            self.broken.push(format!("pause: {}", text.trim()));
        }
        sleep(PAUSE_FOR);
        bed.junban(&["resume"]).context("resume")?;
        Ok(())
    }
}
