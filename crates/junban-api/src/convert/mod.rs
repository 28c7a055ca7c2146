//! From Kubernetes objects to core's types and back, one file for each kind.
//!
//! Our own objects are *parsed, not validated*: one step collects all field errors, and later code need not check again.
//! They come as [`kube::core::DynamicObject`], not from kube's typed lists, so that one unreadable object does not hide the
//! others (docs/design/overview.md#objects). Objects of Kubernetes itself come from k8s-openapi. An object that no API
//! server can have written is [`Incomplete`].

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
mod neighbours;
mod owner;
mod quantity;
pub(crate) mod selector;
mod span;
mod time;
mod wish;

pub(crate) use fields::Fields;
pub use fields::{FieldError, Unreadable};
pub use meta::Incomplete;
pub use quantity::{bytes_or_units, millicores, resources};
pub use span::{format_span, parse_span};
pub use time::{format_goal, parse_goal};

#[cfg(test)]
#[path = "tests/ours.rs"]
mod tests;
