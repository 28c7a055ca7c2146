//! Drivers: the adapters that perform power actions. Here: `command`, the operator's own program.
//!
//! Knows nothing of Kubernetes, and whether an action may be performed was decided before it comes here; the one
//! thing checked is that it is not too late.

mod command;

pub use command::{Variables, run};
