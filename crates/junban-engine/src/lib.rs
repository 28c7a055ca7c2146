//! The engine: ports by need, a synchronous step function, and the async shell that carries its effects.

pub mod ports;
pub mod step;
