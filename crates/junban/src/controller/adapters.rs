//! All ports in one: junban-kube reaches the cluster, the drivers reach the power. This file logs and counts what they
//! do, and decides nothing.

use std::sync::Arc;
use std::time::Duration;

use junban_api::names;
use junban_core::effect::{
    Announcement, EvictOutcome, Evidence, NewEntry, NodePatch, PodLeave, PowerAnswer, PowerOrder, QueueWrite,
    Read, RecordWrite, WriteOutcome,
};
use junban_core::ids::{EntryName, EntryUid, PolicyName, Version};
use junban_core::policy::PolicySummary;
use junban_drivers::{CommandDriver, Drivers, Variables};
use junban_engine::ports::{EntryPort, EvictPort, LedgerPort, NodePort, NotifyPort, PowerPort, ReadPort};
use junban_kube::KubePorts;

use super::metrics::Metrics;

pub(super) fn drivers() -> Drivers {
    Drivers {
        command: CommandDriver::new(Variables {
            node: names::ENV_NODE,
            boot_id: names::ENV_BOOT_ID,
            system_uuid: names::ENV_SYSTEM_UUID,
            attempt: names::ENV_ATTEMPT,
        }),
    }
}

pub(super) struct Adapters {
    pub(super) kube: KubePorts,
    pub(super) drivers: Drivers,
    pub(super) metrics: Arc<Metrics>,
}

impl LedgerPort for Adapters {
    async fn write_queue(&self, write: QueueWrite) -> WriteOutcome {
        let outcome = self.kube.write_queue(write).await;
        log_refusal(&outcome, "queue", "");
        outcome
    }
}

impl NodePort for Adapters {
    async fn patch_node(&self, patch: NodePatch) -> WriteOutcome {
        let (node, what) = (patch.node.clone(), patch.what);
        let outcome = self.kube.patch_node(patch).await;
        log_refusal(&outcome, "node", node.as_str());
        tracing::info!(%node, ?what, ?outcome, "wrote the node");
        outcome
    }
}

impl EntryPort for Adapters {
    async fn create_entry(&self, new: NewEntry) -> WriteOutcome {
        let name = new.name.clone();
        let outcome = self.kube.create_entry(new).await;
        log_refusal(&outcome, "entry", name.as_str());
        tracing::info!(entry = %name, ?outcome, "made an entry");
        outcome
    }

    async fn write_record(&self, write: RecordWrite) -> WriteOutcome {
        let (entry, phase) = (write.name.clone(), write.record.phase);
        let outcome = self.kube.write_record(write).await;
        log_refusal(&outcome, "record", entry.as_str());
        tracing::debug!(%entry, %phase, ?outcome, "wrote the record");
        outcome
    }

    async fn delete_entry(&self, name: EntryName, uid: EntryUid, version: Version) -> WriteOutcome {
        let outcome = self.kube.delete_entry(name.clone(), uid, version).await;
        tracing::info!(entry = %name, ?outcome, "deleted an entry");
        outcome
    }

    async fn write_policy_summary(
        &self,
        name: PolicyName,
        version: Version,
        summary: PolicySummary,
    ) -> WriteOutcome {
        let outcome = self
            .kube
            .write_policy_summary(name.clone(), version, summary)
            .await;
        log_refusal(&outcome, "policy", name.as_str());
        outcome
    }
}

impl EvictPort for Adapters {
    async fn evict(&self, leave: PodLeave) -> EvictOutcome {
        let (pod, node) = (leave.pod.clone(), leave.node.clone());
        let outcome = self.kube.evict(leave).await;
        tracing::info!(%pod, %node, ?outcome, "evicted");
        self.metrics.eviction(&outcome);
        outcome
    }

    async fn delete_pod(&self, leave: PodLeave) -> EvictOutcome {
        let (pod, node) = (leave.pod.clone(), leave.node.clone());
        let outcome = self.kube.delete_pod(leave).await;
        tracing::warn!(%pod, %node, ?outcome, "deleted after a denial, as the policy allows");
        outcome
    }
}

impl ReadPort for Adapters {
    async fn read(&self, read: Read) -> Evidence {
        self.kube.read(read).await
    }
}

impl PowerPort for Adapters {
    fn longest(&self) -> Duration {
        self.drivers.longest()
    }

    async fn power(&self, order: PowerOrder) -> PowerAnswer {
        let (node, driver) = (order.node.clone(), order.step.driver());
        tracing::info!(%node, boot_id = %order.boot_id, attempt = order.attempt, driver, "power action");
        let answer = self.drivers.power(order).await;
        tracing::info!(%node, outcome = ?answer.outcome, message = answer.message, "power action ended");
        self.metrics.power(driver, answer.outcome);
        answer
    }
}

impl NotifyPort for Adapters {
    async fn announce(&self, announcement: Announcement) {
        tracing::info!(node = %announcement.node, reason = announcement.reason, "{}", announcement.message);
        self.kube.announce(announcement).await;
    }
}

/// Warns of a write that the API server refuses: to try again does not help, because this is a bug or a missing right.
fn log_refusal(outcome: &WriteOutcome, what: &'static str, name: &str) {
    if let WriteOutcome::Refused(why) | WriteOutcome::Forbidden(why) = outcome {
        tracing::warn!(what, name, why, "a write was refused");
    }
}
