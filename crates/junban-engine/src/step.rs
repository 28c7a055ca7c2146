//! The synchronous step function: answers in, effects out. It owns the memory of one leader. The shell executes the
//! effects, and owns everything that waits.

use std::collections::BTreeMap;
use std::time::Duration;

use junban_core::cluster::Cluster;
use junban_core::effect::{Effect, Outcome};
use junban_core::memory::Memory;
use junban_core::plan::plan;
use junban_core::recheck;
use junban_core::report::Report;
use junban_core::schedule::Schedule;
use junban_core::time::{Mono, Now};

/// The name of an effect that is being executed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// An effect to execute, and the name under which its answer comes back.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    pub id: RequestId,
    pub effect: Effect,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    pub id: RequestId,
    pub outcome: Outcome,
}

/// What a step returns.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StepOutput {
    pub requests: Vec<Request>,
    /// When to step again if nothing happens before: the earliest moment at which a wait ends.
    pub wake_at: Option<Mono>,
    /// Why nothing else is done, for status, metrics and the log.
    pub report: Report,
    /// Effects that the independent check refused. Each is a bug in the planner.
    pub refused: Vec<String>,
}

/// A schedule looks at the budgets of every pod, so it is not made for every step. It is an order only: an old one harms
/// nobody.
const SCHEDULE_EVERY: Duration = Duration::from_secs(5);

/// The engine of one leader. A new leader starts with a new engine, and so does a leader that lost its Lease.
#[derive(Debug)]
pub struct Engine {
    memory: Memory,
    schedule: Schedule,
    /// When the schedule was made.
    scheduled: Option<Mono>,
    in_flight: BTreeMap<RequestId, (Mono, Effect)>,
    next: u64,
}

impl Engine {
    /// `nonce` is random for each engine. It goes into the ids of the engine's marks.
    pub fn new(nonce: impl Into<String>) -> Self {
        Self {
            memory: Memory::new(nonce),
            schedule: Schedule::default(),
            scheduled: None,
            in_flight: BTreeMap::new(),
            next: 0,
        }
    }

    /// What this leader remembers, for metrics and tests.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes in whether the queue was paused when a leader last saw it, as the Lease keeps it.
    pub fn note_pause(&mut self, was_paused: bool) {
        self.memory.queue_was_paused = was_paused;
    }

    /// From now on nothing new starts: no slot, cordon, eviction or write-ahead record. An attempt that is already
    /// recorded goes on until its driver answers: a command that is cut off may leave a server half rebooted.
    pub fn close(&mut self) {
        self.memory.closing = true;
    }

    /// Whether this engine was closed and has nothing left to wait for.
    pub fn is_closed(&self) -> bool {
        self.memory.closing
            && !self.memory.is_acting()
            && !self.in_flight.values().any(|(_, effect)| effect.is_write())
    }

    /// Takes in all answers, plans, and returns what to do now. `cluster` already contains what the answers showed (see
    /// [`crate::ports`]).
    pub fn step(&mut self, cluster: &Cluster, now: Now, answers: Vec<Answer>) -> StepOutput {
        for answer in answers {
            if let Some((sent, effect)) = self.in_flight.remove(&answer.id) {
                self.memory.fold(&effect, sent, answer.outcome, cluster, now.mono);
            }
        }
        self.memory.observe(cluster, now);
        self.make_schedule(cluster, now.mono);
        let plan = plan(cluster, &self.memory, &self.schedule, now);
        let mut output = StepOutput {
            wake_at: plan.wake_at,
            report: plan.report,
            ..StepOutput::default()
        };
        for effect in plan.effects {
            if let Some(objection) = recheck::objection(cluster, now, &effect) {
                output.refused.push(format!("{objection}: {effect:?}"));
                continue;
            }
            self.memory.sent(&effect, cluster, now.mono);
            self.next += 1;
            let id = RequestId(self.next);
            self.in_flight.insert(id, (now.mono, effect.clone()));
            output.requests.push(Request { id, effect });
        }
        output
    }
    /// Makes the schedule anew when it has become old.
    fn make_schedule(&mut self, cluster: &Cluster, now: Mono) {
        if self.scheduled.is_none_or(|at| now.since(at) >= SCHEDULE_EVERY) {
            self.schedule = Schedule::by_scarce_budgets(self.schedule.version + 1, cluster);
            self.scheduled = Some(now);
        }
    }
}
