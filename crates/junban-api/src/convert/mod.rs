//! From Kubernetes objects to core's types and back, one file a kind.
//!
//! Objects of our own are *parsed, not validated*: one step that collects all field errors, after which nothing
//! needs to be asked again. They are taken as [`kube::core::DynamicObject`], never by kube's typed lists, so that
//! one that does not parse blinds nobody to the rest (design.md 3). Objects of Kubernetes itself come from
//! k8s-openapi; what an API server cannot have written is [`Incomplete`].

pub mod attachment;
pub mod budget;
pub mod claim;
pub mod condition;
pub mod entry;
pub mod lease;
pub mod node;
pub mod pod;
pub mod policy;
pub mod queue;
pub mod workload;

mod affinity;
mod fields;
mod foreign;
mod meta;
mod owner;
mod quantity;
pub(crate) mod selector;
mod span;
mod time;
mod wish;

pub use fields::{FieldError, Unreadable};
pub use meta::Incomplete;
pub use quantity::{bytes_or_units, resources};
pub use span::{format_span, parse_span};
pub use time::{format_goal, parse_goal};

#[cfg(test)]
#[path = "tests/ours.rs"]
mod tests;
