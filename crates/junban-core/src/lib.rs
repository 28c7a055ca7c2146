//! The pure heart of Junban: what is observed, what is decided, and why. No IO, no clock, no randomness, no logs.
//!
//! The way of one datum: an adapter keeps [`cluster::Cluster`]; [`plan::plan`] reads it together with
//! [`memory::Memory`] and the clocks, and returns [`effect::Effect`]s and a [`report::Report`]; the engine carries
//! the effects and folds the answers into the memory.

mod back_off;
pub mod bound;
pub mod cluster;
pub mod draft;
pub mod drain;
pub mod effect;
pub mod entry;
pub mod explain;
pub mod facts;
#[cfg(test)]
mod fixture;
pub mod format;
pub mod gates;
pub mod goal;
pub mod guard;
pub mod ids;
mod in_order;
pub mod journal;
pub mod ledger;
pub mod mark;
pub mod memory;
pub mod plan;
pub mod policy;
pub mod quantity;
pub mod queue;
pub mod reason;
pub mod recheck;
pub mod report;
pub mod selector;
pub mod status;
pub mod steer;
pub mod time;
mod turn;
