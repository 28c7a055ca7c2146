//! The synchronous step function: answers in, effects out. It owns the memory of one leader; the shell that
//! carries its effects owns everything that waits.

use std::collections::BTreeMap;

use junban_core::cluster::Cluster;
use junban_core::effect::{Effect, Outcome};
use junban_core::time::{Mono, Now};

/// Names one effect in flight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// An effect to carry out, and the name under which its answer comes back.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    pub id: RequestId,
    pub effect: Effect,
}

/// What came of a request.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    pub id: RequestId,
    pub outcome: Outcome,
}

/// What one step wants.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Step {
    pub requests: Vec<Request>,
    /// When to step again if nothing else happens before: the earliest moment at which a wait ends.
    pub wake_at: Option<Mono>,
}

/// One leader's engine. A new leader, or the same one after it lost its Lease, starts with a new one.
#[derive(Debug)]
pub struct Engine {
    in_flight: BTreeMap<RequestId, (Mono, Effect)>,
}

impl Engine {
    /// `nonce`: random per engine.
    pub fn new(nonce: impl Into<String>) -> Self {
        let _ = nonce.into();
        Self {
            in_flight: BTreeMap::new(),
        }
    }

    /// Folds in the answers that have come, plans, and returns what is to be done now.
    pub fn step(&mut self, _cluster: &Cluster, _now: Now, answers: Vec<Answer>) -> Step {
        for answer in answers {
            self.in_flight.remove(&answer.id);
        }
        Step::default()
    }
}
