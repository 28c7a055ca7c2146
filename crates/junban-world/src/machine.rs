//! Machines: power, boots and what goes wrong with them. Knows nothing of pods.

use std::collections::BTreeMap;

use crate::api::{Map, Ms, Name, Taint};
use crate::rng::{Rng, Span};
use crate::truth::{DownCause, PowerTag};

/// What is wrong with a machine or with the way to its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Goes down and stays down until [`World::heal`](crate::World::heal).
    NeverReturns,
    /// Comes back with the bootID that it had.
    SameBootId,
    /// Comes back with a kubelet that says Ready=False until [`World::heal`](crate::World::heal).
    NotReady,
    /// Boots this many times as long.
    Slow(u64),
    /// The driver says Started; nothing happens.
    PowerLost,
    /// The driver surely starts nothing (exit 75).
    Refuse,
    /// The driver's answer is unknown; the power action takes effect.
    PowerUnknown,
    /// The driver's answer is unknown; nothing happens.
    PowerUnknownLost,
    /// The effect comes this many milliseconds after the answer.
    PowerLate(Ms),
    /// The BMC acts a second time this many milliseconds after the first.
    PowerTwice(Ms),
}

/// A fault and how often it will still show (`None`: always).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultRule {
    pub fault: Fault,
    pub times: Option<u32>,
}

/// Whether the operating system runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerState {
    Up,
    /// Down or booting.
    Down,
    /// Down, and no boot is under way.
    Dead,
}

/// A machine. Its name is that of the Node that it registers.
#[derive(Debug)]
pub struct Machine {
    pub name: Name,
    pub system_uuid: String,
    /// Of the last boot.
    pub boot_id: String,
    pub state: PowerState,
    pub boots: u32,
    /// Why it went down last.
    pub down_cause: DownCause,
    pub down_at: Ms,
    /// From loss of power to Ready.
    pub boot_time: Span,
    /// Whether the kubelet runs, and whether it says Ready.
    pub kubelet_up: bool,
    pub kubelet_ready: bool,
    /// The boot that the Node showed when the Lease was renewed last.
    pub(crate) leased_boot: String,
    pub faults: Vec<FaultRule>,
    pub(crate) labels: Map,
    pub(crate) allocatable: BTreeMap<String, i64>,
    pub(crate) taints: Vec<Taint>,
    /// Of the present boot; an event of another boot is void.
    pub(crate) epoch: u64,
    pub(crate) rng: Rng,
}

/// A call of a power driver.
#[derive(Debug, Clone, Default)]
pub struct PowerRequest {
    /// The Node's name; the machine of that name is meant.
    pub node: String,
    pub tag: PowerTag,
    /// As an agent on the host checks it: with another bootID nothing is started.
    pub only_boot_id: Option<String>,
    /// As a BMC driver checks it: with another machine nothing is started.
    pub only_system_uuid: Option<String>,
}

impl Machine {
    /// The first fault that `pick` accepts; one of its times is used up.
    pub(crate) fn take(&mut self, pick: impl Fn(Fault) -> bool) -> Option<Fault> {
        let at = self.faults.iter().position(|r| pick(r.fault))?;
        let rule = &mut self.faults[at];
        let fault = rule.fault;
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(at);
            }
        }
        Some(fault)
    }
}
