//! The Lease of the leader in the API server.

use junban_core::ids::Version;
use junban_core::time::Reading;
use junban_engine::elector::{LeaseAnswer, LeaseCall, LeaseView, LeaseWrite};

#[derive(Debug, Default)]
pub(super) struct LeaseObject {
    lease: Option<LeaseView>,
    writes: u64,
}

impl LeaseObject {
    pub(super) fn call(&mut self, call: &LeaseCall) -> LeaseAnswer {
        match (call, &self.lease) {
            (LeaseCall::Read, Some(lease)) => LeaseAnswer::Is(lease.clone()),
            (LeaseCall::Read | LeaseCall::Replace(..), None) => LeaseAnswer::Absent,
            (LeaseCall::Create(_), Some(_)) => LeaseAnswer::Conflict,
            (LeaseCall::Replace(version, _), Some(lease)) if *version != lease.version => {
                LeaseAnswer::Conflict
            }
            (LeaseCall::Create(write) | LeaseCall::Replace(_, write), _) => self.write(write),
        }
    }

    fn write(&mut self, write: &LeaseWrite) -> LeaseAnswer {
        self.writes += 1;
        let lease = LeaseView {
            holder: write.holder.clone(),
            transitions: write.transitions,
            renew: self.writes.to_string(),
            version: Version(self.writes),
            clock: Reading { ..write.clock },
            queue_paused: write.queue_paused,
        };
        self.lease = Some(lease.clone());
        LeaseAnswer::Is(lease)
    }
}
