//! The plan: total, synchronous, infallible for bad clusters. It reads as a table of contents; each line is a file
//! that answers one question.

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effect::Effect;
use crate::memory::Memory;
use crate::report::Report;
use crate::time::{Mono, Now};
use crate::{goal, ledger, status, steer, turn};

/// What is to be done now, and why nothing else is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    pub effects: Vec<Effect>,
    pub report: Report,
    /// When to plan again if nothing happens before.
    pub wake_at: Option<Mono>,
}

/// Plans from one observation. Pure: the same input gives the same plan.
pub fn plan(cluster: &Cluster, memory: &Memory, now: Now) -> Plan {
    let mut draft = Draft::new(cluster, memory, now);
    // 1. The queue is read live while anything is in flight (lifecycle.md 5).
    ledger::watch_pause(&mut draft);
    // 2. Every turn that is under way moves along its edges, or is recovered.
    turn::advance_all(&mut draft);
    // 3. Slots: put back, freed, dropped, granted; all in one compare-and-swap.
    ledger::settle(&mut draft);
    // 4. Goals become entries; entries whose goal is met or withdrawn end.
    goal::settle(&mut draft);
    // 5. The boot journal.
    goal::journal(&mut draft);
    // 6. The steering taint.
    steer::taints(&mut draft);
    // 7. What people see.
    status::tell(&mut draft);
    let (effects, report, wake_at) = draft.into_parts();
    Plan {
        effects,
        report,
        wake_at,
    }
}

#[cfg(test)]
mod drain_tests;
#[cfg(test)]
mod edges_tests;
#[cfg(test)]
mod gate_tests;
#[cfg(test)]
mod leftover_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod told_tests;
