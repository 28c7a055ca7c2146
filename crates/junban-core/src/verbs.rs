//! What the verbs of the command line decide, as pure functions over a [`Cluster`](crate::cluster::Cluster).
//!
//! The command line turns a decision into writes and text. The simulated people of the scenarios turn the same decision
//! into writes on the simulated world, so a scenario tests what a user gets. A refusal is a value: whoever asked says it
//! in words.

pub mod cancel;
pub mod reboot;
pub mod retry;
pub mod wait;

#[cfg(test)]
mod fixture;
