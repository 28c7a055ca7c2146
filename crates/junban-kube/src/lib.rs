//! The ports on a real cluster: clients, caches, guarded writes, evictions, live reads, the Lease, Events.
//!
//! Only this crate talks to an API server. It makes no choice: what it does was decided, and what it sees is
//! handed on as core's types.

mod answer;
pub mod cache;
pub mod connect;
pub mod glance;
mod gone;
pub mod layer;
pub mod lease;
mod patch;
pub mod ports;
pub mod resource;
pub mod store;
mod volumes;

pub use connect::Connection;
pub use lease::KubeLease;
pub use ports::KubePorts;
pub use store::Store;
