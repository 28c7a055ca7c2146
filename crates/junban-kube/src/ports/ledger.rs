//! Writes the ledger: replaces the queue's status by compare-and-swap.

use junban_api::convert;
use junban_api::names;
use junban_core::effect::{QueueWrite, WriteOutcome};
use junban_engine::ports::LedgerPort;

use super::entry::status_object;
use super::{KubePorts, parameters};
use crate::answer::{DEADLINE, within};
use crate::gone::Gone;
use crate::resource::Kind;

impl LedgerPort for KubePorts {
    async fn write_queue(&self, write: QueueWrite) -> WriteOutcome {
        let previous = self.store.previous_status(Kind::Queue, names::QUEUE);
        let status = convert::queue::status(Some(&write.ledger), &write.summary, &previous, self.wall());
        let object = status_object(
            Kind::Queue,
            names::QUEUE,
            write.uid.as_str(),
            write.version,
            status,
        );
        let api = Kind::Queue.api(&self.connection.calls);
        match within(DEADLINE, api.replace_status(names::QUEUE, &parameters(), &object)).await {
            Ok(object) => {
                self.store.apply_queue(&object);
                WriteOutcome::Done
            }
            Err(failure) => {
                let outcome = failure.outcome();
                if outcome == WriteOutcome::Gone {
                    self.store.remove_queue(Gone::Uid(write.uid.as_str()));
                }
                outcome
            }
        }
    }
}
