//! One controller process: what it has in memory, all of which a SIGKILL takes.

use junban_core::effect::{EvictOutcome, Outcome, WriteOutcome};
use junban_core::time::{Mono, Now};
use junban_engine::clock::ServerClock;
use junban_engine::elector::{Elector, LeaseAnswer, LeaseCall, Next, Settings};
use junban_engine::step::{Answer, Engine, Request};
use junban_world::{Ms, World};

use super::event::{Event, Who};
use crate::cache::{ClusterCache, Shown};
use crate::objects::wall;
use crate::watch::Lags;

/// A plan that wants to be woken so often in a row, and does nothing, is a busy loop.
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
    /// The term of the engine; 0: it does not lead.
    pub(super) term: u64,
    /// When the next tick is due that has been asked for already.
    pub(super) tick_at: Option<Ms>,
    /// What arrived while it was frozen.
    pub(super) waiting: Vec<Event>,
    pub(super) writes: u64,
    pub(super) steps: u64,
    pub(super) exited: bool,
    /// It was asked to end.
    pub(super) closing: bool,
    elector: Elector,
    lease_call_under_way: bool,
    lease_wait: Option<Mono>,
    engine: Option<Engine>,
    cache: ClusterCache,
    lags: Lags,
    answers: Vec<Answer>,
    /// Something happened that a plan looks at.
    news: bool,
    engine_wake: Option<Mono>,
    /// How often in a row the engine woke by itself and wanted nothing.
    idle_wakes: u32,
    exit_after_writes: Option<u64>,
    wall: ServerClock,
    /// What the engine's independent check refused.
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
            // As a pod's name stays when its container is started again.
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

    /// It ends by itself, and is to be started again.
    pub(super) fn end(&mut self) {
        self.state = State::Dead;
        self.exited = true;
    }

    pub(super) fn take_refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    pub(super) fn who(&self) -> Who {
        Who {
            number: self.number,
            life: self.life,
        }
    }

    pub(super) fn follow(&mut self, world: &World, now: Ms) {
        self.news |= self.cache.follow(world, now, &self.lags);
    }

    /// When its watches show the next change.
    pub(super) fn next_shown_at(&self) -> Option<Ms> {
        self.cache.next_shown_at(&self.lags)
    }

    /// An answer of this term's engine, or of one that is no more: then nobody listens.
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

    /// Steps the engine if this process leads and there is something to step for.
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
                "the plan wakes again and again for nothing: next at {wake:?}"
            ));
        }
        step.requests
    }

    /// A process that was asked to end does so when it leads no more or its engine has closed. Returns the call that
    /// releases its Lease.
    pub(super) fn release_if_closed(&mut self, now: Ms) -> Option<LeaseCall> {
        if !self.closing || self.engine.as_ref().is_some_and(|engine| !engine.is_closed()) {
            return None;
        }
        self.state = State::Dead;
        self.elector.release(Mono::from_millis(now))
    }

    /// When it must look at its clock again at the latest.
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

/// Whether a write was acknowledged, as `--exit-after-writes` counts.
pub(super) fn is_acknowledged(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Write(WriteOutcome::Done) | Outcome::Evict(EvictOutcome::Accepted)
    )
}
