//! Runs the production engine on a simulated cluster in virtual time. Here are the engine's ports over the world, the loop
//! that runs the controller processes, and the demo.

mod cache;
pub mod custom_resources;
pub mod demo;
pub mod objects;
mod ports;
pub mod sim;
pub mod watch;

pub use cache::cluster;
