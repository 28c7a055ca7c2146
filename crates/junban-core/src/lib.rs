//! The pure core of Junban: what is observed, what is decided, and why. It does no IO, reads no clock, draws no random
//! numbers and logs nothing.
//!
//! An adapter keeps [`cluster::Cluster`] up to date. [`plan::plan`] reads it together with [`memory::Memory`], a
//! [`schedule::Schedule`] and the clocks, and returns [`effect::Effect`]s and a [`report::Report`]. The engine carries
//! out the effects and folds the answers into the memory.
//!
//! The modules stand in storeys. A module uses its own storey and lower ones only, and never in a circle:
//! `cargo xtask tidy` reads the order from this file.

// Storey 1: ids and values
pub mod guard;
pub mod ids;
mod in_order;
pub mod quantity;
pub mod reason;
pub mod selector;
pub mod taint;
pub mod time;

// Storey 2: objects
pub mod blocker;
pub mod budget;
pub mod cluster;
pub mod detail;
pub mod entry;
pub mod format;
pub mod journal;
pub mod mark;
pub mod node;
pub mod object;
pub mod pod;
pub mod policy;
pub mod queue;
pub mod schedule;
pub mod volume;
pub mod workload;

// Storey 3: effects, and what one process remembers
pub mod effect;
pub mod memory;
pub mod report;

// Storey 4: derived
mod back_off;
pub mod derived;
pub mod standing;

// Storey 5: tokens and duties
pub mod duty;
pub mod opening;
pub mod placement;
pub mod tokens;

// Storey 6: the plan while it is made
mod boot_journal;
pub mod builder;
mod live;

// Storey 7: gates
pub mod gates;

// Storey 8: the start desk
pub mod start;

// Storey 9: phases
mod phases;

// Storey 10: the plan
pub mod bound;
pub mod explain;
pub mod goal;
mod ledger;
pub mod plan;
mod queue_write;
pub mod recheck;
mod status;
mod steer;

// Storey 11: what the verbs of the command line decide
pub mod verbs;

#[cfg(test)]
#[path = "tests/fixture.rs"]
mod fixture;
