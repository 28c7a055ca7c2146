//! The plan. It cannot fail, whatever the cluster shows. Each line is a file that answers one question.

use crate::builder::PlanBuilder;
use crate::cluster::Cluster;
use crate::effect::Effect;
use crate::memory::Memory;
use crate::report::Report;
use crate::schedule::Schedule;
use crate::time::{Mono, Now};
use crate::{boot_journal, goal, live, phases, queue_write, status, steer};

/// What is to be done now, and why nothing else is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    pub effects: Vec<Effect>,
    pub report: Report,
    /// When to plan again if nothing happens before.
    pub wake_at: Option<Mono>,
}

/// Plans from one observation. Pure: the same input gives the same plan.
pub fn plan(cluster: &Cluster, memory: &Memory, schedule: &Schedule, now: Now) -> Plan {
    let mut plan = PlanBuilder::new(cluster, memory, now);
    // 1. While a slot is held, the queue is read live.
    live::watch_pause(&mut plan);
    // 2. Every turn that is under way moves along its edges, or is recovered.
    phases::advance_all(&mut plan);
    // 3. Slots are put back, freed, dropped and granted, all in one compare-and-swap.
    queue_write::settle(&mut plan, schedule);
    // 4. Goals become entries. Entries whose goal is met or withdrawn end.
    goal::settle(&mut plan);
    // 5. The boot journal.
    boot_journal::write(&mut plan);
    // 6. The steering taint.
    steer::taints(&mut plan);
    // 7. What people see.
    status::report(&mut plan);
    let (effects, report, wake_at) = plan.into_parts();
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
mod implied_tests;
#[cfg(test)]
mod leftover_tests;
#[cfg(test)]
mod status_tests;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod stuck_tests;
#[cfg(test)]
mod tests;
