//! Scenarios: prose and commands, line by line. `docs/scenarios.md` describes the language for its writers.
//!
//! This module knows the language and what is claimed; how a world is built and driven is the runners' matter.

mod act;
pub mod condition;
pub mod facts;
pub mod judge;
pub mod model;
mod names;
mod parse;
pub mod quantity;
pub(crate) mod selector;
pub mod settings;
pub mod sweep;
mod words;
pub mod workload;

pub use parse::{Error, parse};
