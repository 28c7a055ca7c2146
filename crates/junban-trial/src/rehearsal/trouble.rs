//! Kills controllers and pauses the queue while all servers are rebooted.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use junban_testbed::junban::Controller;

use super::logs::power_lines;
use super::testbed::InstalledTestbed;
use super::watcher::{Watcher, now};

const KILL_EVERY: Duration = Duration::from_secs(20);
const PAUSE_FOR: Duration = Duration::from_secs(15);
/// Seconds after the end of `junban pause` in which something may still begin (docs/design/life-cycle.md#pause).
const PAUSE_HOLDS_AFTER: f64 = 5.0;

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
    pub(super) fn act(
        &mut self,
        bed: &InstalledTestbed,
        controllers: &mut [Controller],
        watcher: &Watcher,
        nodes: usize,
    ) -> Result<()> {
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
        if !self.paused && watcher.seen().turns_begun() * 2 >= nodes {
            self.paused = true;
            self.pause(bed, watcher)?;
        }
        Ok(())
    }

    fn pause(&mut self, bed: &InstalledTestbed, watcher: &Watcher) -> Result<()> {
        let said = bed.junban(&["pause", "--reason", "rehearsal"])?;
        if !said.status.success() {
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            self.broken.push(format!("pause: {}", text.trim()));
        }
        let from = now() + PAUSE_HOLDS_AFTER;
        sleep(PAUSE_FOR);
        let to = now();
        bed.junban(&["resume"]).context("resume")?;
        for line in power_lines(&bed.ready().power_log)? {
            if line.at > from && line.at < to {
                self.broken
                    .push(format!("{} was powered while paused", line.node));
            }
        }
        for change in &watcher.seen().cordon_changes {
            if change.cordoned && change.seen > from && change.seen < to {
                self.broken
                    .push(format!("{} was cordoned while paused", change.node));
            }
        }
        Ok(())
    }
}
