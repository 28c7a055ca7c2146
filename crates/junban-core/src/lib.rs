//! The pure heart of Junban: what is observed, what is decided, and why. No IO, no clock, no randomness, no logs.

pub mod cluster;
pub mod effect;
pub mod entry;
pub mod ids;
pub mod journal;
pub mod mark;
pub mod policy;
pub mod quantity;
pub mod queue;
pub mod reason;
pub mod selector;
pub mod time;
