//! The gates between Queued and the power action. Each gate is one file that answers one question about a candidate. A
//! gate that is not met returns the reason, with the object that causes it.
//!
//! The table in [`crate::start`] says in which order the gates are asked, and at which stages.

pub mod budgets;
pub mod capacity;
pub mod control_plane;
pub mod first_proof;
pub mod goal;
pub mod groups;
pub mod health;
pub mod limits;
pub mod node;
pub mod pause;
pub mod policy;
pub mod quorum;
pub mod rights;
mod tally;

pub use tally::{Candidate, Tally};
