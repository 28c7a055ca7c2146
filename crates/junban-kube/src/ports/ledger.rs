//! Writes the ledger: replaces the queue's status by compare-and-swap.

use junban_api::convert;
use junban_api::names;
use junban_core::effect::{QueueWrite, WriteOutcome};
use junban_engine::ports::LedgerPort;

use super::KubePorts;
use crate::gone::Gone;
use crate::resource::Kind;

impl LedgerPort for KubePorts {
    async fn write_queue(&self, write: QueueWrite) -> WriteOutcome {
        let previous = self.store.previous_status(Kind::Queue, names::QUEUE);
        let status = convert::queue::status(Some(&write.ledger), &write.summary, &previous, self.wall());
        let uid = write.uid.as_str();
        match self
            .replace_status(Kind::Queue, names::QUEUE, uid, write.version, status)
            .await
        {
            Ok(object) => {
                self.store.apply_queue(&object);
                WriteOutcome::Done
            }
            Err(outcome) => {
                if outcome == WriteOutcome::Gone {
                    self.store.remove_queue(Gone::Uid(uid));
                }
                outcome
            }
        }
    }
}
