//! The custom resources `junban.dev/v1alpha1` as Kubernetes sees them: their schemas, rules and defaults.
//!
//! These structs hold what a YAML file says, in YAML's types. `convert` turns them into core's types.
#![expect(
    unreachable_pub,
    reason = "KubeSchema derives a private copy of each struct, and the lint applies to that copy"
)]
#![expect(
    clippy::duplicated_attributes,
    reason = "kube wants printer columns with repeated keys"
)]

mod crd;
mod entry;
mod page;
pub(crate) mod parts;
mod policy;
mod queue;

pub use crd::{crd, crds, schema};
pub use entry::{NodeReboot, NodeRebootSpec, NodeRebootStatus};
pub use page::page;
pub use parts::{COUNT_MAX, CountOrPercent, LabelExpression, LabelSelector, WORDS_MAX};
pub use policy::{
    DrainSpec, GroupsSpec, JobsSpec, LadderStep, OpeningBudgetsSpec, RebootPolicy, RebootPolicySpec,
    RebootPolicyStatus, RebootSpec, UnbudgetedSpec, VerifySpec,
};
pub use queue::{
    ControlPlaneSpec, FailuresSpec, HistorySpec, LedgerStatus, QuorumGroupSpec, RebootQueue, RebootQueueSpec,
    RebootQueueStatus, SlotStatus,
};
