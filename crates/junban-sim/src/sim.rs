//! The loop: runs production engines over the simulated world in virtual time.
//!
//! Each process has an elector, a cache of the cluster that its watches update with a lag, and an engine while it
//! leads. The engine sends a request; half a latency later the request acts on the world; after the other half the
//! answer arrives. The world's seed decides everything.

mod event;
mod lease;
mod process;
mod trouble;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::FutureExt as _;
use junban_core::effect::{Effect, Read};
use junban_core::time::SignedDuration;
use junban_engine::clock::ServerClock;
use junban_engine::elector::LeaseAnswer;
use junban_engine::ports::execute;
use junban_engine::shell::locked;
use junban_engine::step::{Answer, Request};
use junban_world::{Ms, Rng, Span, World};

use crate::ports::SimPorts;
use crate::watch::{Lags, Watch};
use event::{Event, ProcessLife};
use lease::LeaseObject;
use process::{Process, State};
pub use trouble::{OnArrival, OnSend, Trouble, Troubles};

/// Delays between a process and the API server.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// From a request to its answer.
    pub latency: Span,
    /// How long a power driver takes.
    pub driver: Span,
    /// From a change until a watch shows it. It is drawn once for each watch of each process.
    pub watch: Span,
    /// One watch of one process (by its number) with this lag.
    pub late_watch: Option<(u32, Watch, Ms)>,
    /// Processes look at their watches on multiples of this, so that many changes give one plan.
    pub grain: Ms,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            latency: Span::ms(2, 12),
            driver: Span::ms(100, 400),
            watch: Span::ms(5, 40),
            late_watch: None,
            grain: 1,
        }
    }
}

/// How long the ports of a real cluster wait for an answer, in milliseconds.
const DEADLINE: Ms = 10_000;
const SHORT_DEADLINE: Ms = 2_000;
const LEASE_DEADLINE: Ms = 5_000;

/// The world and the processes over it.
pub struct Sim {
    world: Arc<Mutex<World>>,
    delays: Delays,
    processes: BTreeMap<u32, Process>,
    events: BTreeMap<(Ms, u64), Event>,
    sequence: u64,
    rng: Rng,
    /// One Lease for all processes; in a split brain one for each.
    leases: BTreeMap<u32, LeaseObject>,
    troubles: Troubles,
    /// For each process whose machine has a wrong clock, how far that clock is ahead.
    clocks: BTreeMap<u32, SignedDuration>,
    /// Effects that the engine's independent check refused. Each is a bug of the planner.
    refused: Vec<String>,
    /// The processes have been told of changes up to this resourceVersion.
    seen: u64,
    /// Nothing passes between the processes and the API server.
    cut_off: bool,
}

impl Sim {
    pub fn new(world: World, delays: Delays) -> Self {
        let rng = Rng::stream(world.seed(), "network");
        let seen = world.store().resource_version();
        Self {
            world: Arc::new(Mutex::new(world)),
            delays,
            processes: BTreeMap::new(),
            events: BTreeMap::new(),
            sequence: 0,
            rng,
            leases: BTreeMap::new(),
            troubles: Troubles::default(),
            clocks: BTreeMap::new(),
            refused: Vec::new(),
            seen,
            cut_off: false,
        }
    }

    /// Sets what goes wrong on the way between the processes and the API server.
    pub fn trouble(&mut self, troubles: Troubles) {
        self.troubles = troubles;
    }

    /// Takes the effects that the independent check refused since the last call.
    pub fn take_refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    pub fn now(&self) -> Ms {
        self.world().now()
    }

    /// From the next start of this process, its machine's clock is this far ahead; a negative value is behind.
    pub fn set_clock(&mut self, number: u32, ahead: SignedDuration) {
        self.clocks.insert(number, ahead);
    }

    /// Starts a process unless it runs. With `exit_after_writes` it ends itself after that acknowledged write.
    pub fn start(&mut self, number: u32, exit_after_writes: Option<u64>) {
        let life = self.processes.get(&number).map_or(1, |process| process.life + 1);
        if self.is_running(number) {
            return;
        }
        let mut rng = Rng::stream(self.world().seed(), &format!("watches of {number}.{life}"));
        let late = self.delays.late_watch.filter(|(whose, ..)| *whose == number);
        let lags = Lags::draw(
            &mut rng,
            self.delays.watch,
            late.map(|(_, watch, ms)| (watch, ms)),
        );
        let ahead = self.clocks.get(&number).copied().unwrap_or_default();
        let wall = ServerClock::on_machine_ahead(ahead);
        let process = Process::new(number, life, &self.world(), lags, exit_after_writes, wall);
        self.processes.insert(number, process);
        let now = self.now();
        self.push(now, Event::Tick(ProcessLife { number, life }));
    }

    pub fn is_running(&self, number: u32) -> bool {
        self.processes
            .get(&number)
            .is_some_and(|process| process.state != State::Dead)
    }

    /// SIGKILL: the process loses its memory; requests that it has sent still arrive.
    pub fn kill(&mut self, number: u32) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.state = State::Dead;
        }
    }

    /// Cuts the processes off from the API server, or connects them again. While they are cut off, every byte is lost
    /// and no connection closes.
    pub fn cut_off(&mut self, on: bool) {
        self.cut_off = on;
        let now = self.now();
        let all: Vec<ProcessLife> = self.processes.values().map(Process::who).collect();
        for who in all {
            self.push(now, Event::Tick(who));
        }
    }

    /// SIGTERM: the process ends when all its power actions have been answered.
    pub fn stop(&mut self, number: u32) {
        let now = self.now();
        if let Some(process) = self.processes.get_mut(&number)
            && process.state != State::Dead
        {
            process.closing = true;
            let who = process.who();
            self.push(now, Event::Tick(who));
        }
    }

    /// Whether a process got SIGTERM and has not ended yet.
    pub fn is_closing(&self, number: u32) -> bool {
        self.processes
            .get(&number)
            .is_some_and(|process| process.closing && process.state != State::Dead)
    }

    /// SIGSTOP.
    pub fn freeze(&mut self, number: u32) {
        if let Some(process) = self.processes.get_mut(&number)
            && process.state == State::Runs
        {
            process.state = State::Frozen;
        }
    }

    /// SIGCONT: the process now receives what arrived in the meantime.
    pub fn thaw(&mut self, number: u32) {
        let now = self.now();
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        if process.state != State::Frozen {
            return;
        }
        process.state = State::Runs;
        let who = process.who();
        for event in std::mem::take(&mut process.waiting) {
            self.push(now, event);
        }
        self.push(now, Event::Tick(who));
    }

    /// Takes the processes that ended themselves since the last call.
    pub fn take_exited(&mut self) -> Vec<u32> {
        let mut exited = Vec::new();
        for process in self.processes.values_mut() {
            if std::mem::take(&mut process.exited) {
                exited.push(process.number);
            }
        }
        exited
    }

    /// How many writes of this process were acknowledged since its last start.
    pub fn writes(&self, number: u32) -> u64 {
        self.processes.get(&number).map_or(0, |process| process.writes)
    }

    /// How many steps all engines took.
    pub fn steps(&self) -> u64 {
        self.processes.values().map(|process| process.steps).sum()
    }

    /// Runs until an object other than a Lease changed in the world, or a process ended itself, but not beyond
    /// `limit`.
    pub fn advance(&mut self, limit: Ms) {
        loop {
            let next_own = self.events.keys().next().map(|(at, _)| *at);
            let next_world = self.world().next_event_at();
            let next = [next_own, next_world].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= limit) else {
                self.world().advance_to(limit);
                self.announce();
                return;
            };
            self.world().advance_to(at);
            let mut changed = self.announce();
            while let Some(entry) = self.events.first_entry() {
                if entry.key().0 > at {
                    break;
                }
                let event = entry.remove();
                self.handle(at, event);
            }
            changed |= self.announce();
            if changed || self.processes.values().any(|process| process.exited) {
                return;
            }
        }
    }

    /// Wakes the processes if the world has changed. Returns whether an object other than a Lease has.
    fn announce(&mut self) -> bool {
        let world = locked(&self.world);
        let last = world.store().resource_version();
        if last == self.seen {
            return false;
        }
        let news = world.changes_since(self.seen).map_or(true, |mut changes| {
            changes.any(|change| !matches!(change.object, junban_world::Object::Lease(_)))
        });
        self.seen = last;
        let due = world.now() + self.delays.watch.min;
        drop(world);
        let due = due.next_multiple_of(self.delays.grain);
        let woken: Vec<ProcessLife> = self
            .processes
            .values_mut()
            .filter(|process| process.state != State::Dead && process.tick_at.is_none_or(|at| at > due))
            .map(|process| {
                process.tick_at = Some(due);
                process.who()
            })
            .collect();
        for who in woken {
            self.push(due, Event::Tick(who));
        }
        news
    }

    fn push(&mut self, at: Ms, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    fn living(&mut self, who: ProcessLife) -> Option<&mut Process> {
        self.processes
            .get_mut(&who.number)
            .filter(|process| process.life == who.life && process.state != State::Dead)
    }

    fn handle(&mut self, now: Ms, event: Event) {
        match event {
            Event::Execute(who, term, request, sent, trouble) => {
                self.execute(now, who, term, *request, sent, trouble);
            }
            Event::Lease(who, call, began) if self.cut_off => {
                let answer = LeaseAnswer::Failed("the request timed out".into());
                self.push(
                    began + LEASE_DEADLINE,
                    Event::LeaseAnswer(who, call, began, answer),
                );
            }
            Event::Lease(who, call, began) => {
                let which = if self.troubles.split_brain { who.number } else { 0 };
                let answer = self.leases.entry(which).or_default().call(&call);
                let back = self.half_latency();
                self.push(now + back, Event::LeaseAnswer(who, call, began, answer));
            }
            Event::Tick(who) => {
                let cut_off = self.cut_off;
                let world = self.world.clone();
                if let Some(process) = self.living(who) {
                    if process.tick_at.is_some_and(|at| at <= now) {
                        process.tick_at = None;
                    }
                    if process.state == State::Frozen {
                        return;
                    }
                    if !cut_off {
                        process.follow(&locked(&world), now);
                    }
                    self.step(who, now);
                }
            }
            event => self.receive(now, event),
        }
    }

    /// Gives a process its event; a frozen process gets it later.
    fn receive(&mut self, now: Ms, event: Event) {
        let (Event::Answer(who, ..) | Event::LeaseAnswer(who, ..)) = &event else {
            return;
        };
        let who = *who;
        let grain = self.delays.grain;
        let Some(process) = self.living(who) else { return };
        if process.state == State::Frozen {
            process.waiting.push(event);
            return;
        }
        match event {
            Event::Answer(_, term, answer, shown, acknowledged) => {
                process.answered(term, *answer, shown, acknowledged);
                if process.state == State::Dead {
                    return;
                }
            }
            Event::LeaseAnswer(_, call, began, answer) => process.lease_answered(&call, began, now, answer),
            _ => return,
        }
        // Take in all answers of this moment before the next plan.
        let due = now.next_multiple_of(grain);
        if process.tick_at.is_none_or(|at| at > due) {
            process.tick_at = Some(due);
            self.push(due, Event::Tick(who));
        }
    }

    fn execute(
        &mut self,
        now: Ms,
        who: ProcessLife,
        term: u64,
        mut request: Request,
        sent: Ms,
        trouble: Trouble,
    ) {
        let ports = SimPorts::new(self.world.clone(), sent);
        if let Some(on_arrival) = &mut self.troubles.on_arrival {
            on_arrival(&mut request.effect, &locked(&self.world));
        }
        let unknown = trouble::unknown(&request.effect);
        let is_write = request.effect.is_write();
        let is_power = matches!(request.effect, Effect::Power(_));
        let silent = self.silence(&request.effect);
        // The ports over the world answer at once.
        let outcome = if trouble.request_lost || silent.is_some() {
            unknown.clone()
        } else {
            let Some(outcome) = execute(&ports, request.effect).now_or_never() else {
                return;
            };
            outcome
        };
        let mut shown = ports.take_shown();
        if trouble.answer_lost || trouble.unshown {
            shown.clear();
        }
        let outcome = if trouble.answer_lost { unknown } else { outcome };
        let acknowledged = is_write && process::is_acknowledged(&outcome);
        let back = if is_power {
            self.delays.driver.draw(&mut self.rng)
        } else {
            silent.unwrap_or_else(|| (now - sent).saturating_sub(trouble.late).max(1))
        } + trouble.answer_late;
        let answer = Box::new(Answer {
            id: request.id,
            outcome,
        });
        self.push(now + back, Event::Answer(who, term, answer, shown, acknowledged));
    }

    /// How long a process that is cut off waits for an answer. `None` if it is not cut off, or if the request does not go
    /// through the API server.
    fn silence(&self, effect: &Effect) -> Option<Ms> {
        match effect {
            Effect::Power(_) | Effect::Read(Read::ControlPlane { .. }) => None,
            Effect::Read(Read::Queue) => Some(SHORT_DEADLINE),
            _ => Some(DEADLINE),
        }
        .filter(|_| self.cut_off)
    }

    /// Lets a process look at its clock: first its elector acts, then its engine if it leads.
    fn step(&mut self, who: ProcessLife, now: Ms) {
        let grain = self.delays.grain;
        let cut_off = self.cut_off;
        let Some(process) = self.living(who) else { return };
        let call = process.next_lease_call(now);
        let requests = process.step(now);
        let release = process.release_if_closed(now);
        let refused = process.take_refused();
        let term = process.term;
        let shown = process
            .next_shown_at()
            .filter(|_| !cut_off)
            .map(|at| at.max(now + 1).next_multiple_of(grain));
        let wake = [process.wake_at(now), shown].into_iter().flatten().min();
        let wake = wake
            .map(|at| at.next_multiple_of(grain))
            .filter(|at| process.tick_at.is_none_or(|tick| *at < tick));
        if let Some(at) = wake {
            process.tick_at = Some(at);
        }
        self.refused.extend(refused);
        for call in [call, release].into_iter().flatten() {
            let there = self.half_latency();
            self.push(now + there, Event::Lease(who, call, now));
        }
        for request in requests {
            let trouble = match &mut self.troubles.on_send {
                Some(on_send) => on_send(who.number, &request.effect),
                None => Trouble::default(),
            };
            if trouble.kill
                && let Some(process) = self.living(who)
            {
                process.end();
            }
            let there = self.half_latency() + trouble.late;
            self.push(
                now + there,
                Event::Execute(who, term, Box::new(request), now, trouble),
            );
        }
        if let Some(at) = wake {
            self.push(at, Event::Tick(who));
        }
    }

    fn half_latency(&mut self) -> Ms {
        (self.delays.latency.draw(&mut self.rng) / 2).max(1)
    }
}
