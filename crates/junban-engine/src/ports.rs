//! The ports, named by need. They take effects' data and return outcome enums in which "unknown" is a variant of
//! its own; the real cluster and the simulated one implement them.
//!
//! Contract of every port that reads or writes an object: *before* the answer is returned, what the server showed
//! (the object after a write, the object read live, its absence) has been applied to the [`Cluster`] that the
//! next plan sees, the higher resourceVersion winning. So the engine reads its own writes, whatever the watch's lag.
//!
//! [`Cluster`]: junban_core::cluster::Cluster

use std::future::Future;
use std::time::Duration;

use junban_core::effect::{
    Announcement, Effect, EvictOutcome, Evidence, NewEntry, NodePatch, Outcome, PodLeave, PowerAnswer,
    PowerOrder, QueueWrite, Read, RecordWrite, WriteOutcome,
};
use junban_core::ids::{EntryName, EntryUid, PolicyName, Version};
use junban_core::policy::PolicySummary;

/// The ledger: who may make a node unavailable.
pub trait LedgerPort: Send + Sync {
    /// Replaces the queue's status if its UID and resourceVersion are still those given.
    fn write_queue(&self, write: QueueWrite) -> impl Future<Output = WriteOutcome> + Send;
}

/// Guarded writes to Nodes.
pub trait NodePort: Send + Sync {
    /// One JSON patch whose tests must all hold.
    fn patch_node(&self, patch: NodePatch) -> impl Future<Output = WriteOutcome> + Send;
}

/// Entries and policy status.
pub trait EntryPort: Send + Sync {
    /// Creates an entry. One of that name with the same spec counts as [`WriteOutcome::Done`]; with another spec
    /// it is [`WriteOutcome::Refused`].
    fn create_entry(&self, new: NewEntry) -> impl Future<Output = WriteOutcome> + Send;
    /// Replaces an entry's status on its resourceVersion.
    fn write_record(&self, write: RecordWrite) -> impl Future<Output = WriteOutcome> + Send;
    /// Deletes an entry, with UID and resourceVersion as preconditions.
    fn delete_entry(
        &self,
        name: EntryName,
        uid: EntryUid,
        version: Version,
    ) -> impl Future<Output = WriteOutcome> + Send;
    /// Replaces a policy's status on its resourceVersion.
    fn write_policy_summary(
        &self,
        name: PolicyName,
        version: Version,
        summary: PolicySummary,
    ) -> impl Future<Output = WriteOutcome> + Send;
}

/// How pods leave.
pub trait EvictPort: Send + Sync {
    /// The Eviction API. Not sent when `not_after` has passed.
    fn evict(&self, leave: PodLeave) -> impl Future<Output = EvictOutcome> + Send;
    /// A plain deletion after a denial, where the policy allows it.
    fn delete_pod(&self, leave: PodLeave) -> impl Future<Output = EvictOutcome> + Send;
}

/// Reads that bypass every cache.
pub trait ReadPort: Send + Sync {
    fn read(&self, read: Read) -> impl Future<Output = Evidence> + Send;
}

/// Power actions.
pub trait PowerPort: Send + Sync {
    /// The longest time that a call of [`PowerPort::power`] takes: a process that ends waits for it.
    fn longest(&self) -> Duration;
    /// Starts a power action unless `not_after` has passed (then: surely nothing was started).
    fn power(&self, order: PowerOrder) -> impl Future<Output = PowerAnswer> + Send;
}

/// Telling people.
pub trait NotifyPort: Send + Sync {
    /// Sends an Event; failing is logged and nothing else.
    fn announce(&self, announcement: Announcement) -> impl Future<Output = ()> + Send;
}

/// Everything an engine needs to act.
pub trait Ports: LedgerPort + NodePort + EntryPort + EvictPort + ReadPort + PowerPort + NotifyPort {}

impl<T: LedgerPort + NodePort + EntryPort + EvictPort + ReadPort + PowerPort + NotifyPort> Ports for T {}

/// Carries one effect to its port. No choice is made here.
pub async fn execute(ports: &impl Ports, effect: Effect) -> Outcome {
    match effect {
        Effect::WriteQueue(write) => Outcome::Write(ports.write_queue(write).await),
        Effect::PatchNode(patch) => Outcome::Write(ports.patch_node(patch).await),
        Effect::CreateEntry(new) => Outcome::Write(ports.create_entry(new).await),
        Effect::WriteRecord(write) => Outcome::Write(ports.write_record(write).await),
        Effect::DeleteEntry {
            name, uid, version, ..
        } => Outcome::Write(ports.delete_entry(name, uid, version).await),
        Effect::WritePolicySummary {
            name,
            version,
            summary,
        } => Outcome::Write(ports.write_policy_summary(name, version, summary).await),
        Effect::Evict(leave) => Outcome::Evict(ports.evict(leave).await),
        Effect::DeletePod(leave) => Outcome::Evict(ports.delete_pod(leave).await),
        Effect::Power(order) => Outcome::Power(ports.power(order).await),
        Effect::Read(read) => Outcome::Read(ports.read(read).await),
        Effect::Announce(announcement) => {
            ports.announce(announcement).await;
            Outcome::Announced
        }
    }
}
