//! What goes wrong on purpose while everything is rebooted.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::bed::Bed;
use super::figures::power_lines;
use super::watcher::{Watcher, now};
use junban_testbed::junban::Controller;

const KILL_EVERY: Duration = Duration::from_secs(20);
const PAUSE_FOR: Duration = Duration::from_secs(15);
/// From the command's end to the last thing that may still begin (lifecycle.md 5).
const PAUSE_HOLDS_AFTER: f64 = 5.0;

pub(super) struct Trouble {
    /// SIGKILL for the controller every 20 s, and a pause in the middle.
    pub(super) wanted: bool,
    last_kill: Instant,
    pub(super) kills: usize,
    paused: bool,
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

    /// Called a few times a second while the run goes on.
    pub(super) fn act(
        &mut self,
        bed: &Bed,
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
        if !self.paused && watcher.look().turns_begun() * 2 >= nodes {
            self.paused = true;
            self.pause(bed, watcher)?;
        }
        Ok(())
    }

    fn pause(&mut self, bed: &Bed, watcher: &Watcher) -> Result<()> {
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
            if line.at() > from && line.at() < to {
                self.broken
                    .push(format!("{} was powered while paused", line.node));
            }
        }
        for cordon in &watcher.look().cordons {
            if cordon.on && cordon.seen > from && cordon.seen < to {
                self.broken
                    .push(format!("{} was cordoned while paused", cordon.node));
            }
        }
        Ok(())
    }
}
