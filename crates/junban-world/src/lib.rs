//! A whole simulated Kubernetes cluster in virtual time, and the checkers that read its truth.
//!
//! It uses no other crate of this repository: a mistake in shared arithmetic would hide itself. It does not know
//! queues, policies or entries. They are [`Custom`] objects that it cannot read; the test that runs a controller in
//! this world says with [`World::interpret`] what their changes mean.
//!
//! # Use
//!
//! ```
//! use junban_world::*;
//!
//! let mut builder = WorldBuilder::new(42);
//! builder
//!     .nodes(3, Span::secs(20, 30))
//!     .workload(Workload::new(OwnerKind::Deployment, "shop", "cart", 2).on(&["node-1", "node-2"]))
//!     .budget("shop", "cart", Demand::MaxUnavailable(IntOrPercent::Int(1)))
//!     .service("shop", "cart");
//! let mut world = builder.build();
//!
//! // Each call is one request. The client's name is also its field manager.
//! let cordon = [NodeOp::TestUnschedulable(false), NodeOp::SetUnschedulable(true)];
//! world.client("junban").patch_node("node-1", &cordon)?;
//! let (_, pods) = world.client("junban").pods_on("node-1")?;
//! for pod in pods {
//!     let options = EvictOptions { uid: Some(pod.meta.uid.to_string()), ..EvictOptions::default() };
//!     world.client("junban").evict(&pod.meta.namespace, &pod.meta.name, &options)?;
//! }
//!
//! // Nothing happens until the clock advances.
//! world.advance_to(60_000);
//! assert_eq!(world.store().pods_on("node-1").count(), 0);
//!
//! let tag = PowerTag { entry: "uid-of-the-entry".into(), attempt: 1 };
//! let outcome = world.power(&PowerRequest { node: "node-1".into(), tag, ..PowerRequest::default() });
//! assert_eq!(outcome, PowerOutcome::Started);
//! # Ok::<(), ApiError>(())
//! ```
//!
//! # The parts
//!
//! | what | where |
//! |---|---|
//! | time | [`World::now`], [`World::next_event_at`], [`World::advance_to`], [`World::advance_until_change`] (ignores Lease renewals) |
//! | requests of a caller, with its faults | [`World::client`] → [`Client`]: Nodes, Leases, pods, evictions, budgets, owners, attachments, custom objects |
//! | a caller's watches | [`World::changes_since`]; [`World::compact`] |
//! | all objects, without faults | [`World::store`] → [`Store`] |
//! | faults of a caller | [`World::callers`] → `faults(who)`: [`CallerFaults`] (outage, denied right, lost answer); `log(who)`: requests by verb and resource |
//! | rules of custom objects, and the meaning of their changes | [`World::admit`], [`World::interpret`] |
//! | machines | [`World::power`], [`World::inject`] ([`Fault`]), [`World::heal`], [`World::kill`], [`World::reboot_by`], [`World::register_node`], [`World::machine`] |
//! | webhooks that deny evictions, finalizers | [`World::add_webhook`], [`World::release_finalizers`] |
//! | a whole cluster from a size and a seed | [`Demo`] |
//! | what really happened | [`World::take_truth`] → [`TruthEvent`]s, which can be serialised; [`World::emit`] adds notes |
//! | rules that judge the truth | [`Checkers`]`::new(`[`Params`]`)`, `observe(&event)`, `violations()` |
//! | the truth of a real cluster, for the same rules | [`Mirror`]`::new(interpreter)`, `put`, `remove`, `tell`; [`Checkers::of_watches`] |
//! | figures of a run | [`Metrics`]`::new(controllers)`, `observe(&event)` |
//!
//! The same seed and the same calls at the same virtual times give the same world.

mod advance;
pub mod api;
pub mod builder;
pub mod checkers;
pub mod client;
pub mod controllers;
pub mod demo;
mod events;
pub mod eviction;
mod kubelet;
pub mod machine;
pub mod metrics;
mod mirror;
mod observed;
mod operators;
mod pods;
mod power;
pub mod rng;
pub mod scheduler;
mod scheduling;
pub mod truth;
mod wake;
pub mod world;

pub use api::*;
pub use builder::{NodeSpec, Workload, WorldBuilder};
pub use checkers::{Checkers, Groups, ONLY_SIMULATED, Params, PolicyLimits, QuorumGroup, Violation};
pub use client::{Client, DeleteOptions};
pub use demo::Demo;
pub use eviction::EvictOptions;
pub use machine::{Fault, Machine, PowerRequest, PowerState};
pub use metrics::{Metrics, TurnTimes};
pub use mirror::Mirror;
pub use rng::{Rng, Span};
pub use truth::{
    DownCause, EntryFacts, EvictionAnswer, PodFacts, PowerOutcome, PowerTag, Removal, Truth, TruthEvent,
};
pub use world::{Config, Interpreter, World};
