//! The custom resources `junban.dev/v1alpha1` as Kubernetes sees them: their schemas, rules and defaults.
//!
//! These structs are what a YAML file says, in the types that YAML has; `convert` makes core's types of them.
//! Nothing here decides anything.
#![expect(
    unreachable_pub,
    reason = "KubeSchema derives a private twin of each struct, to which the lint then applies"
)]
#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their keys: that is how kube takes them"
)]

mod crd;
mod entry;
mod page;
mod parts;
mod policy;
mod queue;

pub use crd::{crd, crds, schema};
pub use entry::{NodeReboot, NodeRebootSpec, NodeRebootStatus};
pub use page::page;
pub use parts::{COUNT_MAX, CountOrPercent, LabelExpression, LabelSelector, WORDS_MAX};
pub use policy::{
    DrainSpec, GroupsSpec, JobsSpec, LadderStep, RebootPolicy, RebootPolicySpec, RebootPolicyStatus,
    RebootSpec, UnbudgetedSpec, VerifySpec,
};
pub use queue::{
    ControlPlaneSpec, FailuresSpec, HistorySpec, LedgerStatus, RebootQueue, RebootQueueSpec,
    RebootQueueStatus, SlotStatus,
};
