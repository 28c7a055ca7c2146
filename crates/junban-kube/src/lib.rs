//! The engine's ports on a real cluster: clients, caches, guarded writes, evictions, live reads, the Lease, Events.
//!
//! Only this crate talks to an API server. It decides nothing: it executes what the plan decided, and hands on what
//! it sees as core's types.

mod answer;
pub mod cache;
pub mod connect;
mod gone;
pub mod layer;
pub mod lease;
pub mod list_once;
mod patch;
pub mod ports;
pub mod resource;
pub mod store;
mod volumes;

pub use answer::chain;
pub use connect::Connection;
pub use lease::KubeLease;
pub use ports::KubePorts;
pub use store::Store;
