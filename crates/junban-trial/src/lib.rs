//! Scenario files and what runs them: in the simulated world, and on the real control plane of `testbed/`. Tests and
//! `cargo xtask` use it; nothing of it is in the shipped binary.

mod json;
pub mod real;
pub mod rehearsal;
pub mod scenario;
pub mod simulated;
mod testbed;
mod time;
mod watched;
