//! The ports, named after what the engine needs. They take the data of effects and return outcomes, in which "unknown"
//! is a variant of its own. The real cluster and the simulated one implement them.
//!
//! Every port that reads or writes an object must do this *before* it returns: put what the server showed (the object
//! after a write, the object of a live read, or its absence) into the [`Cluster`] that the next plan sees. The higher
//! resourceVersion wins. So the engine sees its own writes, however late a watch is.
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

/// Writes to the ledger.
pub trait LedgerPort: Send + Sync {
    /// Replaces the queue's status, if the queue still has this UID and resourceVersion.
    fn write_queue(&self, write: QueueWrite) -> impl Future<Output = WriteOutcome> + Send;
}

/// Writes to Nodes.
pub trait NodePort: Send + Sync {
    /// Applies a patch, if all its tests hold.
    fn patch_node(&self, patch: NodePatch) -> impl Future<Output = WriteOutcome> + Send;
}

/// Writes to entries and to the status of policies.
pub trait EntryPort: Send + Sync {
    /// Creates an entry. If an entry of this name exists: [`WriteOutcome::Done`] if it has the same spec, else
    /// [`WriteOutcome::Refused`].
    fn create_entry(&self, new: NewEntry) -> impl Future<Output = WriteOutcome> + Send;
    /// Replaces an entry's status, if the entry still has this resourceVersion.
    fn write_record(&self, write: RecordWrite) -> impl Future<Output = WriteOutcome> + Send;
    /// Deletes an entry, if it still has this UID and resourceVersion.
    fn delete_entry(
        &self,
        name: EntryName,
        uid: EntryUid,
        version: Version,
    ) -> impl Future<Output = WriteOutcome> + Send;
    /// Replaces a policy's status, if the policy still has this resourceVersion.
    fn write_policy_summary(
        &self,
        name: PolicyName,
        version: Version,
        summary: PolicySummary,
    ) -> impl Future<Output = WriteOutcome> + Send;
}

/// Makes pods leave.
pub trait EvictPort: Send + Sync {
    /// Asks the Eviction API. Not sent if `not_after` has passed.
    fn evict(&self, leave: PodLeave) -> impl Future<Output = EvictOutcome> + Send;
    /// Deletes a pod whose eviction was denied, if the policy allows that.
    fn delete_pod(&self, leave: PodLeave) -> impl Future<Output = EvictOutcome> + Send;
}

/// Live reads, past every cache.
pub trait ReadPort: Send + Sync {
    fn read(&self, read: Read) -> impl Future<Output = Evidence> + Send;
}

/// Power actions.
pub trait PowerPort: Send + Sync {
    /// The longest time that a call of [`PowerPort::power`] takes. A process that ends waits so long.
    fn longest(&self) -> Duration;
    /// Starts a power action. If `not_after` has passed, it starts nothing and says so.
    fn power(&self, order: PowerOrder) -> impl Future<Output = PowerAnswer> + Send;
}

/// Events for people.
pub trait NotifyPort: Send + Sync {
    /// Sends an Event. A failure is only logged.
    fn announce(&self, announcement: Announcement) -> impl Future<Output = ()> + Send;
}

pub trait Ports: LedgerPort + NodePort + EntryPort + EvictPort + ReadPort + PowerPort + NotifyPort {}

impl<T: LedgerPort + NodePort + EntryPort + EvictPort + ReadPort + PowerPort + NotifyPort> Ports for T {}

/// Hands an effect to its port. Decides nothing.
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
