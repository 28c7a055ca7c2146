//! The production engine over a simulated cluster in virtual time: the ports over the world, the loop that runs the
//! processes, and the demo.

mod cache;
pub mod demo;
pub mod objects;
mod ports;
pub mod rules;
pub mod sim;
pub mod watch;
