//! The controllers of the cluster: node lifecycle, workloads, disruption, endpoints.

pub mod disruption;
pub mod endpoints;
pub mod node;
pub mod workload;
