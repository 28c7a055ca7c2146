//! The gates between an entry in Queued and its power action. Each gate is one file that answers one question about one
//! candidate. A gate never says a bare "no": it returns the reason, with the object that causes it.
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
mod tally;

pub use tally::{Candidate, Tally};
