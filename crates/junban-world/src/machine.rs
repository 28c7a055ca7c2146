//! Machines and their faults.

use std::collections::BTreeMap;

use crate::api::{Map, Ms, Name, Ready, Taint};
use crate::rng::{Rng, Span};
use crate::truth::{DownCause, PowerTag};

/// A fault of a machine or of its power driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The machine goes down and stays down until [`World::heal`](crate::World::heal).
    NeverReturns,
    /// The machine boots with the bootID that it had before.
    SameBootId,
    /// After the boot the kubelet reports Ready=False until [`World::heal`](crate::World::heal).
    NotReady,
    /// The boot takes this many times as long.
    Slow(u64),
    /// The driver answers Started, but nothing happens.
    PowerLost,
    /// The driver starts nothing and says so (exit 75).
    Refuse,
    /// The driver's answer is unknown, and the power action takes effect.
    PowerUnknown,
    /// The driver's answer is unknown, and nothing happens.
    PowerUnknownLost,
    /// The power action takes effect this many milliseconds after the answer.
    PowerLate(Ms),
    /// The BMC acts a second time, this many milliseconds after the first time.
    PowerTwice(Ms),
}

/// A fault, and how many times it still happens (`None`: always).
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
    /// Down, and not booting.
    Dead,
}

/// A machine. It has the same name as the Node that it registers.
#[derive(Debug)]
pub struct Machine {
    pub name: Name,
    pub system_uuid: String,
    /// The bootID of the newest boot.
    pub boot_id: String,
    pub state: PowerState,
    pub boots: u32,
    /// Why it went down last.
    pub down_cause: DownCause,
    pub down_at: Ms,
    /// From loss of power to Ready.
    pub boot_time: Span,
    pub kubelet_up: bool,
    /// Whether the kubelet reports Ready=True.
    pub kubelet_ready: bool,
    /// The bootID that the Node showed when the Lease was renewed last.
    pub(crate) leased_boot: String,
    pub faults: Vec<FaultRule>,
    pub(crate) labels: Map,
    pub(crate) allocatable: BTreeMap<String, i64>,
    pub(crate) taints: Vec<Taint>,
    /// What it had when it was built.
    pub(crate) built: BTreeMap<String, i64>,
    /// What it has otherwise from its next boot on.
    pub(crate) next_allocatable: BTreeMap<String, i64>,
    /// The taints that an agent adds to its Node after each boot.
    pub(crate) boot_taints: Vec<Taint>,
    /// The number of the present boot. Events of an earlier boot are dropped.
    pub(crate) epoch: u64,
    pub(crate) rng: Rng,
}

/// A call of a power driver.
#[derive(Debug, Clone, Default)]
pub struct PowerRequest {
    /// The name of the Node, which is also the name of its machine.
    pub node: String,
    pub tag: PowerTag,
    /// An agent on the host checks this: it starts nothing if the bootID is another one.
    pub only_boot_id: Option<String>,
    /// A BMC driver checks this: it starts nothing if the machine is another one.
    pub only_system_uuid: Option<String>,
}

impl Machine {
    /// What the kubelet reports about its Node.
    pub(crate) fn reported_ready(&self) -> Ready {
        if self.kubelet_ready {
            Ready::True
        } else {
            Ready::False
        }
    }

    /// The first fault that `pick` accepts. It happens one time less from now on.
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
