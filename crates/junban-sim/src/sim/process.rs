//! One controller process and all that it has in memory. SIGKILL takes all of it.

use junban_core::effect::{EvictOutcome, Outcome, WriteOutcome};
use junban_core::queue::Queue;
use junban_core::time::{Mono, Now};
use junban_engine::clock::ServerClock;
use junban_engine::elector::{Elector, LeaseAnswer, LeaseCall, Next, Settings};
use junban_engine::step::{Answer, Engine, Request};
use junban_world::{Ms, World};

use super::event::{Event, ProcessLife};
use crate::cache::{ClusterCache, Shown};
use crate::objects::wall;
use crate::watch::Lags;

/// A plan that asks to be woken this many times in a row, and sends nothing, is a busy loop.
const IDLE_WAKES_MAX: u32 = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Runs,
    Frozen,
    Dead,
}

pub(super) struct Process {
    pub(super) number: u32,
    pub(super) life: u32,
    pub(super) state: State,
    /// The term of the engine; 0 if the process does not lead.
    pub(super) term: u64,
    /// When the next tick comes, if one has been asked for.
    pub(super) tick_at: Option<Ms>,
    /// Events that arrived while the process was frozen.
    pub(super) waiting: Vec<Event>,
    pub(super) writes: u64,
    pub(super) steps: u64,
    pub(super) exited: bool,
    /// The process got SIGTERM.
    pub(super) closing: bool,
    elector: Elector,
    lease_call_under_way: bool,
    lease_wait: Option<Mono>,
    engine: Option<Engine>,
    cache: ClusterCache,
    lags: Lags,
    answers: Vec<Answer>,
    /// Something changed since the last plan.
    news: bool,
    engine_wake: Option<Mono>,
    /// How often in a row the engine woke by its own wish and sent nothing.
    idle_wakes: u32,
    exit_after_writes: Option<u64>,
    wall: ServerClock,
    /// Effects that the engine's independent check refused.
    refused: Vec<String>,
}

impl Process {
    pub(super) fn new(
        number: u32,
        life: u32,
        world: &World,
        lags: Lags,
        exit_after_writes: Option<u64>,
        wall: ServerClock,
    ) -> Self {
        Self {
            number,
            life,
            state: State::Runs,
            term: 0,
            tick_at: None,
            waiting: Vec::new(),
            writes: 0,
            steps: 0,
            exited: false,
            closing: false,
            // The same name after each start, as a pod keeps its name when its container starts again.
            elector: Elector::new(Settings::new(format!("junban-{number}"))),
            lease_call_under_way: false,
            lease_wait: None,
            engine: None,
            cache: ClusterCache::listed(world),
            lags,
            answers: Vec::new(),
            news: false,
            engine_wake: None,
            idle_wakes: 0,
            exit_after_writes,
            wall,
            refused: Vec::new(),
        }
    }

    /// The process ends itself; somebody will start it again.
    pub(super) fn end(&mut self) {
        self.state = State::Dead;
        self.exited = true;
    }

    pub(super) fn take_refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    pub(super) fn who(&self) -> ProcessLife {
        ProcessLife {
            number: self.number,
            life: self.life,
        }
    }

    pub(super) fn follow(&mut self, world: &World, now: Ms) {
        self.news |= self.cache.follow(world, now, &self.lags);
    }

    pub(super) fn next_shown_at(&self) -> Option<Ms> {
        self.cache.next_shown_at(&self.lags)
    }

    /// Takes in an answer. The engine gets it only if it sent the request itself, in the same term.
    pub(super) fn answered(&mut self, term: u64, answer: Answer, shown: Vec<Shown>, acknowledged: bool) {
        self.cache.take(shown);
        if acknowledged {
            self.writes += 1;
            if self.exit_after_writes == Some(self.writes) {
                return self.end();
            }
        }
        if term == self.term {
            self.answers.push(answer);
        }
    }

    pub(super) fn lease_answered(&mut self, call: &LeaseCall, began: Ms, now: Ms, answer: LeaseAnswer) {
        self.lease_call_under_way = false;
        if !matches!(answer, LeaseAnswer::Failed(_)) {
            self.wall.observe(wall(now), Mono::from_millis(now));
        }
        self.elector
            .answer(call, Mono::from_millis(began), Mono::from_millis(now), answer);
    }

    pub(super) fn next_lease_call(&mut self, now: Ms) -> Option<LeaseCall> {
        if self.lease_call_under_way {
            return None;
        }
        match self.elector.next(Mono::from_millis(now)) {
            Next::Call(call) => {
                self.lease_call_under_way = true;
                self.lease_wait = None;
                Some(call)
            }
            Next::Wait(until) => {
                self.lease_wait = Some(until);
                None
            }
        }
    }

    /// Steps the engine if the process leads and something changed, an answer came or the engine asked to be woken.
    pub(super) fn step(&mut self, now: Ms) -> Vec<Request> {
        let mono = Mono::from_millis(now);
        let Some(term) = self.elector.leads(mono) else {
            self.engine = None;
            self.term = 0;
            self.answers.clear();
            self.engine_wake = None;
            return Vec::new();
        };
        if self.engine.is_none() || self.term != term {
            self.engine = Some(Engine::new(format!("{}.{}.{term}", self.number, self.life)));
            self.term = term;
            self.answers.clear();
            self.news = true;
        }
        if self.closing
            && let Some(engine) = &mut self.engine
        {
            engine.close();
            self.news = true;
        }
        let woken = self.engine_wake.is_some_and(|at| at <= mono);
        if !self.news && !woken && self.answers.is_empty() {
            return Vec::new();
        }
        self.news = false;
        self.steps += 1;
        let clock = self.elector.advance(mono, self.cache.cluster.queue.is_paused());
        let Some(engine) = &mut self.engine else {
            return Vec::new();
        };
        let shown = self.cache.cluster.queue.present().and_then(Queue::shows_pause);
        engine.note_pause(self.elector.note_pause(shown));
        let answers = std::mem::take(&mut self.answers);
        let wall = self.wall.read(mono, wall(now));
        let step = engine.step(&self.cache.cluster, Now { mono, clock, wall }, answers);
        self.engine_wake = step.wake_at;
        self.refused.extend(step.refused);
        let idle = woken && step.requests.is_empty();
        self.idle_wakes = if idle { self.idle_wakes + 1 } else { 0 };
        if self.idle_wakes == IDLE_WAKES_MAX {
            let wake = step.wake_at;
            self.refused.push(format!(
                "the plan woke {IDLE_WAKES_MAX} times in a row and sent nothing; it wakes next at {wake:?}"
            ));
        }
        step.requests
    }

    /// Ends a process that got SIGTERM, when it no longer leads or its engine has closed. Returns the call that releases
    /// its Lease.
    pub(super) fn release_if_closed(&mut self, now: Ms) -> Option<LeaseCall> {
        if !self.closing || self.engine.as_ref().is_some_and(|engine| !engine.is_closed()) {
            return None;
        }
        self.state = State::Dead;
        self.elector.release(Mono::from_millis(now))
    }

    /// The latest time at which the process must look at its clock again.
    pub(super) fn wake_at(&self, now: Ms) -> Option<Ms> {
        let until = self.elector.valid_until().filter(|_| self.engine.is_some());
        let ms = |at: Mono| u64::try_from(at.0.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        [self.engine_wake, self.lease_wait, until]
            .into_iter()
            .flatten()
            .map(|at| ms(at).max(now + 1))
            .min()
    }
}

/// Whether `--exit-after-writes` counts this outcome as an acknowledged write.
pub(super) fn is_acknowledged(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Write(WriteOutcome::Done) | Outcome::Evict(EvictOutcome::Accepted)
    )
}
