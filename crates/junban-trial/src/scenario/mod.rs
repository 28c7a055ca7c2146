//! The scenario language: one statement a line. `docs/scenarios.md` describes it for people who write scenarios.
//!
//! This module reads a file and judges its claims. The runners build a cluster and drive it.

mod act;
pub mod condition;
pub mod facts;
pub mod judge;
pub(crate) mod limits;
pub mod model;
mod names;
mod parse;
pub(crate) mod selector;
pub mod settings;
pub mod sweep;
mod values;
mod words;
pub mod workload;

pub use parse::{Error, parse};
