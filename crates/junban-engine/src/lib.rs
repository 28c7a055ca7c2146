//! The engine: ports by need, a synchronous step function, and the async shell that carries its effects.

pub mod clock;
pub mod elector;
pub mod ports;
pub mod shell;
pub mod step;
