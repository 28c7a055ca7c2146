//! The custom resources, their conversion to and from core's types, and every name that users see.
//!
//! This crate knows the shape of Kubernetes objects. It talks to no server and decides nothing.

pub mod convert;
pub mod lint;
pub mod names;
pub mod resources;
