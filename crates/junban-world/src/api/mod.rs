//! A small API server: objects, resource versions, preconditions, watches, and the faults of its callers.

pub mod budget;
pub mod changes;
pub mod custom;
pub mod error;
pub mod faults;
pub mod meta;
pub mod node;
pub mod operator;
pub mod owner;
pub mod pod;
pub mod store;
pub mod volume;
pub mod webhook;

pub use budget::{Budget, BudgetStatus, Demand, UnhealthyPolicy};
pub use changes::{Change, Object};
pub use custom::{Custom, NewCustom, Preconditions};
pub use error::ApiError;
pub use faults::{CallerFaults, CallerLog, Deny, LostAnswer, Verb};
pub use meta::{Expression, IntOrPercent, Map, Meta, Ms, Name, ObjKey, OwnerKind, OwnerRef, Selector};
pub use node::{Effect, Lease, Node, NodeOp, NodeStatus, Ready, Taint, Toleration};
pub use operator::OperatorKind;
pub use owner::{Owner, OwnerKey};
pub use pod::{Behaviour, Phase, Pod, PodStatus, PodTemplate, Spread, VolumeKind};
pub use store::Store;
pub use volume::{Attachment, Claim, Service, Volume};
pub use webhook::Webhook;
