//! The controllers: child processes with the token of their ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use jiff::SignedDuration;
use junban_engine::shell::EXIT_AS_ASKED;
use junban_testbed::ACCOUNT;
use junban_testbed::junban::Controller;
use rustix::process::{Pid, Signal, kill_process};

use crate::scenario::model::{Act, Scenario};
use crate::testbed::Testbed;

pub(super) struct Controllers {
    program: PathBuf,
    kubeconfig: PathBuf,
    logs: PathBuf,
    exit_after_writes: Option<u64>,
    /// For each controller how far the clock of its machine is ahead.
    clocks: BTreeMap<u32, SignedDuration>,
    running: BTreeMap<u32, Controller>,
    /// Controllers that got SIGTERM and have not ended yet.
    closing: BTreeSet<u32>,
    /// The first controller has ended itself after its write.
    exited: bool,
}

impl Controllers {
    pub(super) fn new(bed: &Testbed, scenario: &Scenario, exit_after_writes: Option<u64>) -> Result<Self> {
        // With a proxy in between, the controllers can be cut off.
        let is_cut_off = scenario.acts().any(|(_, act)| *act == Act::CutOff);
        let mut arguments = vec!["--service-account", ACCOUNT];
        arguments.extend(is_cut_off.then_some("--proxy"));
        Ok(Self {
            program: bed.junban.clone(),
            kubeconfig: bed.kubeconfig(&arguments)?,
            logs: bed.logs.clone(),
            exit_after_writes,
            clocks: BTreeMap::new(),
            running: BTreeMap::new(),
            closing: BTreeSet::new(),
            exited: false,
        })
    }

    /// Starts a controller unless it runs.
    pub(super) fn start(&mut self, number: u32) -> Result<()> {
        self.look_after()?;
        if self.closing.contains(&number) {
            bail!("controller {number} got SIGTERM and has not ended yet");
        }
        if self.running.contains_key(&number) {
            return Ok(());
        }
        // The same name after each start, as a pod keeps its name when its container starts again.
        let mut options = vec!["--identity".to_owned(), format!("junban-{number}")];
        options.push("--log=info,junban=debug,junban_kube=debug,junban_engine=debug".to_owned());
        if let (1, Some(writes), false) = (number, self.exit_after_writes, self.exited) {
            options.extend(["--exit-after-writes".to_owned(), writes.to_string()]);
        }
        if let Some(ahead) = self.clocks.get(&number).filter(|ahead| !ahead.is_zero()) {
            options.push(format!("--clock-ahead-ms={}", ahead.as_millis()));
        }
        let log = self.logs.join(format!("controller-{number}.log"));
        let started = Controller::start_with(&self.program, &self.kubeconfig, &log, &options)?;
        self.running.insert(number, started);
        Ok(())
    }

    fn start_at(&mut self, number: u32, clock_ahead: SignedDuration) -> Result<()> {
        if !clock_ahead.is_zero() && self.running.contains_key(&number) {
            bail!("controller {number} runs; its clock can only be set at its start");
        }
        self.clocks.insert(number, clock_ahead);
        self.start(number)
    }

    pub(super) fn exited(&self) -> bool {
        self.exited
    }

    /// Starts the controller again that ended itself after its write. Any other controller that ended is an error.
    pub(super) fn look_after(&mut self) -> Result<()> {
        let mut ended = Vec::new();
        for (number, child) in &mut self.running {
            if let Some(status) = child.ended()? {
                ended.push((*number, status));
            }
        }
        for (number, status) in ended {
            self.running.remove(&number);
            if self.closing.remove(&number) && status.success() {
                continue;
            }
            let as_asked = status.code() == Some(EXIT_AS_ASKED);
            if number != 1 || self.exit_after_writes.is_none() || self.exited || !as_asked {
                bail!("controller {number} ended by itself: {status}");
            }
            self.exited = true;
            self.start(1)?;
        }
        Ok(())
    }

    /// Does an act that concerns controllers; `None` for any other act.
    pub(super) fn act(&mut self, act: &Act) -> Option<Result<()>> {
        Some(match act {
            Act::KillController(number) => self.kill(*number),
            Act::StartController(number, ahead) => self.start_at(*number, *ahead),
            Act::StopController(number) => {
                self.closing.insert(*number);
                self.signal(*number, Signal::TERM)
            }
            Act::RestartController(number, ahead) => {
                self.kill(*number).and_then(|()| self.start_at(*number, *ahead))
            }
            Act::FreezeController(number) => self.signal(*number, Signal::STOP),
            Act::ThawController(number) => self.signal(*number, Signal::CONT),
            _ => return None,
        })
    }

    fn kill(&mut self, number: u32) -> Result<()> {
        self.closing.remove(&number);
        if let Some(mut child) = self.running.remove(&number) {
            child.kill()?;
        }
        Ok(())
    }

    fn signal(&self, number: u32, signal: Signal) -> Result<()> {
        let child = self
            .running
            .get(&number)
            .with_context(|| format!("controller {number} does not run"))?;
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("the pid of the controller is not valid")?;
        Ok(kill_process(pid, signal)?)
    }

    pub(super) fn stop(&mut self) {
        self.running.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The first controller is asked to end itself after a write, and ends with this status.
    fn ends_with(status: i32) -> (bool, Result<(), String>) {
        let logs = std::env::temp_dir().join(format!("junban-controllers-{}-{status}", std::process::id()));
        std::fs::create_dir_all(&logs).unwrap();
        let program = logs.join("program");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--exit-after-writes*) exit {status};; *) exec sleep 60;; esac\n"
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut controllers = Controllers {
            program,
            kubeconfig: logs.join("kubeconfig"),
            logs: logs.clone(),
            exit_after_writes: Some(3),
            clocks: BTreeMap::new(),
            running: BTreeMap::new(),
            closing: BTreeSet::new(),
            exited: false,
        };
        controllers.start(1).unwrap();
        let mut said = Ok(());
        while said.is_ok() && !controllers.exited() {
            said = controllers.look_after().map_err(|error| error.to_string());
        }
        std::fs::remove_dir_all(logs).unwrap();
        (controllers.exited(), said)
    }

    #[test]
    fn an_exit_after_a_write_is_not_taken_for_a_panic() {
        assert_eq!(ends_with(EXIT_AS_ASKED), (true, Ok(())));
    }

    #[test]
    fn a_panic_is_not_taken_for_an_exit_after_a_write() {
        let (exited, said) = ends_with(101);
        assert!(!exited);
        assert_eq!(
            said.unwrap_err(),
            "controller 1 ended by itself: exit status: 101"
        );
    }
}
