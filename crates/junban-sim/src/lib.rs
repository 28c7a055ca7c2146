//! The production engine over a simulated cluster in virtual time: the ports over the world, the runner of
//! scenario files, and the demo. The only crate that knows both the world and the engine.

mod cache;
pub mod demo;
pub mod objects;
mod ports;
pub mod real;
pub mod rules;
pub mod scenario;
pub mod sim;
pub mod simulated;
pub mod watch;
