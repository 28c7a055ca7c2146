//! The async shell around the step function: it waits, reads the clocks, carries effects side by side, and makes
//! no choice. A wake-up (a watch event, an answer, the timer that the last step asked for) is one step, with all
//! answers that have come by then folded in; nothing here polls.
//!
//! It steps only while the elector can prove that this process leads, and checks that once more right before an
//! effect is carried. Effects that are under way when the Lease is lost are left to end: each carries its own
//! preconditions. Their answers reach nobody.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use junban_core::cluster::Cluster;
use junban_core::effect::{Effect, EvictOutcome, Evidence, Outcome, PowerAnswer, WriteOutcome};
use junban_core::entry::PowerOutcome;
use junban_core::reason::Blocker;
use junban_core::report::Report;
use junban_core::time::{Mono, Now};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinError;

use crate::clock::{ServerClock, boottime};
use crate::elector::{Elector, LeaseAnswer, LeaseCall, Next};
use crate::ports::{Ports, execute};
use crate::step::{Answer, Engine, Request, Step};

/// Calls on the Lease, each with a deadline of 2 s.
pub trait LeasePort: Send + Sync {
    fn call(&self, call: LeaseCall) -> impl Future<Output = LeaseAnswer> + Send;
}

/// Told of each acknowledged write, with its number from 1, before anything else happens.
pub type OnWrite = Arc<dyn Fn(u64) + Send + Sync>;

/// The exit status of a process that was asked to end after a write, and did. No panic and no error has it.
pub const EXIT_AS_ASKED: i32 = 86;

/// What a shell works with.
pub struct Parts<P, L> {
    pub ports: Arc<P>,
    pub lease: L,
    /// Every initial list is in it.
    pub cluster: Arc<Mutex<Cluster>>,
    /// Woken whenever the cluster has changed.
    pub changed: Arc<Notify>,
    pub wall: Arc<ServerClock>,
    pub elector: Arc<Mutex<Elector>>,
    pub on_write: OnWrite,
    /// A nonce for each engine.
    pub nonce: Box<dyn Fn() -> String + Send + Sync>,
}

/// A power action begins less than 10 s after its record: a process that ends waits for that, and for the action.
const ACT_WITHIN: Duration = Duration::from_secs(10);

/// Runs until `stop` resolves, for whatever reason it gives. Then nothing new starts; power actions that are on their
/// way are seen through to the driver's answer, whoever leads by then, for a command that is cut off may leave a server
/// half way, and whoever leads next could not know what it did; and the Lease is released.
///
/// Calls on the Lease have a task of their own here, so that a long step delays no renewal. The error: that task has
/// ended, which only a bug can do, and this process would never lead again.
pub async fn run<P, L, R>(parts: Parts<P, L>, stop: impl Future<Output = R>) -> Result<R, JoinError>
where
    P: Ports + 'static,
    L: LeasePort + 'static,
{
    let lease = Arc::new(parts.lease);
    let elector = parts.elector.clone();
    let mut renewals = tokio::spawn(renew(lease.clone(), elector.clone(), parts.changed.clone()));
    let carrier = Carrier {
        ports: parts.ports,
        elector: elector.clone(),
        on_write: parts.on_write,
        writes: Arc::default(),
        powers: watch::Sender::default(),
    };
    let closes_within = ACT_WITHIN + carrier.ports.longest();
    let closes_by = OnceLock::new();
    let stopped = async {
        let why = tokio::select! {
            why = stop => Ok(why),
            Err(error) = &mut renewals => Err(error),
        };
        let _ = closes_by.set(boottime() + closes_within);
        parts.changed.notify_one();
        why
    };
    let led = lead(
        &carrier,
        &parts.cluster,
        &parts.changed,
        &parts.wall,
        &parts.nonce,
        &closes_by,
    );
    let (why, ()) = tokio::join!(stopped, led);
    renewals.abort();
    let release = locked(&elector).release(boottime());
    if let Some(call) = release {
        release_with(lease.as_ref(), call).await;
    }
    if let Some(by) = closes_by.get() {
        carrier.powers_ended(*by).await;
    }
    why
}

/// Others need not wait 10 s. A renewal that was cut off may have been done: then the version has moved on.
async fn release_with<L: LeasePort>(lease: &L, call: LeaseCall) {
    let mut answer = lease.call(call.clone()).await;
    if answer == LeaseAnswer::Conflict
        && let LeaseCall::Replace(_, write) = call
        && let LeaseAnswer::Is(view) = lease.call(LeaseCall::Read).await
        && view.transitions == write.transitions
    {
        answer = lease.call(LeaseCall::Replace(view.version, write)).await;
    }
    match answer {
        LeaseAnswer::Is(_) => tracing::info!("released the Lease"),
        other => tracing::warn!(?other, "the Lease could not be released"),
    }
}

/// Keeps the Lease, and wakes the engine when leading begins or ends.
async fn renew<L: LeasePort>(
    lease: Arc<L>,
    elector: Arc<Mutex<Elector>>,
    changed: Arc<Notify>,
) -> Infallible {
    let mut led = None;
    loop {
        let next = locked(&elector).next(boottime());
        match next {
            Next::Wait(until) => {
                let end = locked(&elector).valid_until();
                sleep_until(
                    end.filter(|end| *end > boottime())
                        .map_or(until, |end| end.min(until)),
                )
                .await;
            }
            Next::Call(call) => {
                let began = boottime();
                let answer = lease.call(call.clone()).await;
                if let LeaseAnswer::Failed(why) = &answer {
                    tracing::warn!(why, "a call on the Lease failed");
                }
                locked(&elector).answer(&call, began, boottime(), answer);
            }
        }
        let leads = locked(&elector).leads(boottime());
        if leads != led {
            match leads {
                Some(term) => tracing::info!(term, "leads"),
                None => tracing::warn!(holder = locked(&elector).holder(), "does not lead any more"),
            }
            led = leads;
            changed.notify_one();
        }
    }
}

struct Carrier<P> {
    ports: Arc<P>,
    elector: Arc<Mutex<Elector>>,
    on_write: OnWrite,
    writes: Arc<AtomicU64>,
    /// Each power action on its way holds a receiver.
    powers: watch::Sender<()>,
}

impl<P: Ports + 'static> Carrier<P> {
    /// Carries a request in a task of its own; whatever becomes of the task, an answer comes.
    fn carry(&self, request: Request, term: u64, answers: mpsc::UnboundedSender<Answer>) {
        let Request { id, effect } = request;
        let (ports, elector) = (self.ports.clone(), self.elector.clone());
        let (on_write, writes) = (self.on_write.clone(), self.writes.clone());
        let lost = of_a_lost_task(&effect);
        let on_its_way = matches!(effect, Effect::Power(_)).then(|| self.powers.subscribe());
        tokio::spawn(async move {
            let is_write = effect.is_write();
            let task = tokio::spawn(async move {
                let still = locked(&elector).leads(boottime()) == Some(term);
                if still {
                    execute(ports.as_ref(), effect).await
                } else {
                    not_sent(&effect)
                }
            });
            let outcome = match task.await {
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::error!(%error, "a task that carried an effect failed");
                    lost
                }
            };
            if is_write && is_acknowledged(&outcome) {
                on_write(writes.fetch_add(1, Ordering::SeqCst) + 1);
            }
            // Nobody listens any more when the Lease is lost.
            let _ = answers.send(Answer { id, outcome });
            drop(on_its_way);
        });
    }

    /// Waits for the power actions on their way, until `by` at the latest. One may outlive the engine that sent it:
    /// when the Lease lapses that engine is gone, and the one after it knows nothing of the command that still runs.
    async fn powers_ended(&self, by: Mono) {
        tokio::select! {
            biased;
            () = self.powers.closed() => {}
            () = sleep_until(by) => tracing::warn!("ends while a power action is on its way"),
        }
    }
}

/// Leads whenever it can, until it has closed: that is by `closes_by` at the latest, once that is set.
async fn lead<P: Ports + 'static>(
    carrier: &Carrier<P>,
    cluster: &Mutex<Cluster>,
    changed: &Notify,
    wall: &ServerClock,
    nonce: &(dyn Fn() -> String + Send + Sync),
    closes_by: &OnceLock<Mono>,
) {
    loop {
        let leads = locked(&carrier.elector).leads(boottime());
        let Some(term) = leads else {
            if closes_by.get().is_some() {
                return;
            }
            changed.notified().await;
            continue;
        };
        let mut engine = Engine::new(nonce());
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut answers = Vec::new();
        let mut said = Report::default();
        loop {
            if closes_by.get().is_some() {
                engine.close();
            }
            let folded = std::mem::take(&mut answers);
            let Some(step) = step(&mut engine, &carrier.elector, term, cluster, wall, folded) else {
                break;
            };
            log_anew(&step, &said);
            said = step.report;
            for request in step.requests {
                carrier.carry(request, term, sender.clone());
            }
            let late = closes_by.get().is_some_and(|at| *at <= boottime());
            if engine.is_closed() || late {
                return;
            }
            let wake_at = step.wake_at.into_iter().chain(closes_by.get().copied()).min();
            tokio::select! {
                () = changed.notified() => {}
                Some(answer) = receiver.recv() => answers.push(answer),
                () = sleep_until_some(wake_at) => {}
            }
            while let Ok(answer) = receiver.try_recv() {
                answers.push(answer);
            }
        }
    }
}

/// The report is the log: each of its notes once per change, and for whoever looks closer what each entry waits for.
fn log_anew(step: &crate::step::Step, said: &Report) {
    for refused in &step.refused {
        tracing::error!(
            refused,
            "the independent check refused an effect: a bug in the planner"
        );
    }
    for note in step.report.notes.iter().filter(|note| !said.notes.contains(note)) {
        tracing::warn!("{note}");
    }
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for (entry, blockers) in &step.report.blockers {
        let (now, before) = (
            blockers.first(),
            said.blockers.get(entry).and_then(|old| old.first()),
        );
        let what = |blocker: &Blocker| (blocker.reason, blocker.object.clone());
        if let Some(blocker) = now.filter(|now| Some(what(now)) != before.map(what)) {
            tracing::debug!(%entry, reason = %blocker.reason, object = %blocker.object, "waits: {}", blocker.message);
        }
    }
    for entry in said
        .blockers
        .keys()
        .filter(|entry| !step.report.blockers.contains_key(*entry))
    {
        tracing::debug!(%entry, "waits for nothing");
    }
}

/// One step; `None`: this process does not lead this term any more.
fn step(
    engine: &mut Engine,
    elector: &Mutex<Elector>,
    term: u64,
    cluster: &Mutex<Cluster>,
    wall: &ServerClock,
    answers: Vec<Answer>,
) -> Option<Step> {
    let cluster = locked(cluster);
    let mono = boottime();
    let clock = {
        let mut elector = locked(elector);
        if elector.leads(mono) != Some(term) {
            return None;
        }
        elector.advance(mono, cluster.queue.is_paused())
    };
    let now = Now {
        mono,
        clock,
        wall: wall.now(),
    };
    Some(engine.step(&cluster, now, answers))
}

async fn sleep_until(at: Mono) {
    tokio::time::sleep(at.since(boottime())).await;
}

async fn sleep_until_some(at: Option<Mono>) {
    match at {
        // A timer of zero would starve nobody, but a plan that asks for the past must not spin.
        Some(at) => tokio::time::sleep(at.since(boottime()).max(Duration::from_millis(1))).await,
        None => std::future::pending().await,
    }
}

fn is_acknowledged(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Write(WriteOutcome::Done) | Outcome::Evict(EvictOutcome::Accepted)
    )
}

/// The answer to an effect that was surely not begun.
fn not_sent(effect: &Effect) -> Outcome {
    const WHY: &str = "the Lease was lost before it was sent";
    match effect {
        Effect::Evict(_) | Effect::DeletePod(_) => Outcome::Evict(EvictOutcome::TooLate),
        Effect::Power(_) => Outcome::Power(PowerAnswer {
            outcome: PowerOutcome::NothingStarted,
            message: WHY.into(),
        }),
        Effect::Read(_) => Outcome::Read(Evidence::Failed(WHY.into())),
        Effect::Announce(_) => Outcome::Announced,
        _ => Outcome::Write(WriteOutcome::Unknown(WHY.into())),
    }
}

/// The answer to an effect whose task ended without one.
fn of_a_lost_task(effect: &Effect) -> Outcome {
    const WHY: &str = "the task that carried it failed";
    match effect {
        Effect::Evict(_) | Effect::DeletePod(_) => Outcome::Evict(EvictOutcome::Unknown(WHY.into())),
        Effect::Power(_) => Outcome::Power(PowerAnswer {
            outcome: PowerOutcome::Unknown,
            message: WHY.into(),
        }),
        Effect::Read(_) => Outcome::Read(Evidence::Failed(WHY.into())),
        Effect::Announce(_) => Outcome::Announced,
        _ => Outcome::Write(WriteOutcome::Unknown(WHY.into())),
    }
}

/// A lock that a panic elsewhere does not take away: what it guards is replaced whole, never left half done.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
