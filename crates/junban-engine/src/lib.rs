//! The engine: the ports, a synchronous step function, and the async shell that executes its effects.

pub mod clock;
pub mod elector;
pub mod ports;
pub mod shell;
pub mod step;
