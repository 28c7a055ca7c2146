//! The custom resources, their conversion to and from core's types, and every name that users see.
//!
//! Knows the shape of Kubernetes objects; talks to no server and decides nothing.

pub mod convert;
pub mod lint;
pub mod names;
pub mod resources;
