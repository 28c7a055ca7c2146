//! The async shell around the step function. It waits, reads the clocks and executes effects side by side. It decides
//! nothing. Each wake-up (a watch event, an answer, the timer that the last step asked for) makes one step, which takes
//! in all answers that have arrived. Nothing here polls.
//!
//! The shell steps only while the elector can prove that this process leads, and checks that again right before it
//! executes an effect. When the Lease is lost, effects that are already under way go on: each carries its own
//! preconditions. Nobody receives their answers.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use junban_core::blocker::Blocker;
use junban_core::cluster::Cluster;
use junban_core::effect::{Effect, EvictOutcome, Evidence, Outcome, PowerAnswer, WriteOutcome};
use junban_core::entry::PowerOutcome;
use junban_core::queue::Queue;
use junban_core::report::Report;
use junban_core::time::{Mono, Now};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinError;

use crate::clock::{ServerClock, boottime};
use crate::elector::{Elector, LeaseAnswer, LeaseCall, Next};
use crate::ports::{Ports, execute};
use crate::step::{Answer, Engine, Request, StepOutput};

/// Makes calls on the Lease, each with a deadline of 2 s.
pub trait LeasePort: Send + Sync {
    fn call(&self, call: LeaseCall) -> impl Future<Output = LeaseAnswer> + Send;
}

/// Is called after each acknowledged write, before anything else happens, with the number of the write, from 1.
pub type OnWrite = Arc<dyn Fn(u64) + Send + Sync>;

/// The exit status of a process that ended after a write because it was told to. No panic and no error gives it.
pub const EXIT_AS_ASKED: i32 = 86;

/// What a shell works with.
pub struct Parts<P, L> {
    pub ports: Arc<P>,
    pub lease: L,
    /// Contains every first list already.
    pub cluster: Arc<Mutex<Cluster>>,
    /// Notified whenever the cluster has changed.
    pub changed: Arc<Notify>,
    pub wall: Arc<ServerClock>,
    pub elector: Arc<Mutex<Elector>>,
    /// The report of the last step, for the metrics.
    pub report: Arc<Mutex<Report>>,
    pub on_write: OnWrite,
    /// Makes a nonce for each engine.
    pub nonce: Box<dyn Fn() -> String + Send + Sync>,
}

/// A power action begins less than 10 s after its record. A process that ends waits for that and for the action.
const ACT_WITHIN: Duration = Duration::from_secs(10);

/// Runs until `stop` resolves, and returns its value. Then nothing new starts and the Lease is released. Running power
/// actions go on until their drivers answer, even if another process leads by then: a command that is cut off may leave
/// a server half rebooted, and the next leader could not know what the command did.
///
/// A task of its own makes the calls on the Lease, so that a long step delays no renewal. An error means that this task
/// has ended. Only a bug can end it, and then this process would never lead again.
pub async fn run<P, L, R>(parts: Parts<P, L>, stop: impl Future<Output = R>) -> Result<R, JoinError>
where
    P: Ports + 'static,
    L: LeasePort + 'static,
{
    let lease = Arc::new(parts.lease);
    let elector = parts.elector.clone();
    let mut renewals = tokio::spawn(renew(lease.clone(), elector.clone(), parts.changed.clone()));
    let executor = Executor {
        ports: parts.ports,
        elector: elector.clone(),
        on_write: parts.on_write,
        writes: Arc::default(),
        power_actions: watch::Sender::default(),
    };
    let closes_within = ACT_WITHIN + executor.ports.longest();
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
        &executor,
        &parts.cluster,
        &parts.changed,
        &parts.report,
        &parts.wall,
        &parts.nonce,
        &closes_by,
    );
    let (why, ()) = tokio::join!(stopped, led);
    renewals.abort();
    let release = locked(&elector).release(boottime());
    if let Some(call) = release {
        release_lease(lease.as_ref(), call).await;
    }
    if let Some(by) = closes_by.get() {
        executor.wait_for_power_actions(*by).await;
    }
    why
}

/// Releases the Lease, so that others need not wait 10 s. A renewal that was cut off may have been done. Then the Lease
/// has a newer version: it is read, and released again.
async fn release_lease<L: LeasePort>(lease: &L, call: LeaseCall) {
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

/// Renews the Lease, and wakes the engine when this process begins or stops to lead.
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
                None => tracing::warn!(holder = locked(&elector).holder(), "no longer leads"),
            }
            led = leads;
            changed.notify_one();
        }
    }
}

struct Executor<P> {
    ports: Arc<P>,
    elector: Arc<Mutex<Elector>>,
    on_write: OnWrite,
    writes: Arc<AtomicU64>,
    /// Each running power action holds a receiver.
    power_actions: watch::Sender<()>,
}

impl<P: Ports + 'static> Executor<P> {
    /// Executes a request in a task of its own. Even if the task panics, an answer comes.
    fn start(&self, request: Request, term: u64, answers: mpsc::UnboundedSender<Answer>) {
        let Request { id, effect } = request;
        let (ports, elector) = (self.ports.clone(), self.elector.clone());
        let (on_write, writes) = (self.on_write.clone(), self.writes.clone());
        let if_it_panics = answer_without_port(&effect, true, "the task that executed the effect panicked");
        let power_action = matches!(effect, Effect::Power(_)).then(|| self.power_actions.subscribe());
        tokio::spawn(async move {
            let is_write = effect.is_write();
            let task = tokio::spawn(async move {
                let leads = locked(&elector).leads(boottime()) == Some(term);
                if leads {
                    execute(ports.as_ref(), effect).await
                } else {
                    answer_without_port(&effect, false, "the Lease was lost before the effect was sent")
                }
            });
            let outcome = match task.await {
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::error!(%error, "a task that executed an effect panicked");
                    if_it_panics
                }
            };
            if is_write && is_acknowledged(&outcome) {
                on_write(writes.fetch_add(1, Ordering::SeqCst) + 1);
            }
            // Nobody listens after the Lease was lost.
            let _ = answers.send(Answer { id, outcome });
            drop(power_action);
        });
    }

    /// Waits for running power actions, until `by` at the latest. An action may outlive the engine that sent it: that
    /// engine ends with the Lease, and the next engine does not know that the command still runs.
    async fn wait_for_power_actions(&self, by: Mono) {
        tokio::select! {
            biased;
            () = self.power_actions.closed() => {}
            () = sleep_until(by) => tracing::warn!("this process ends while a power action is running"),
        }
    }
}

/// Leads whenever it can. Once `closes_by` is set, it closes and returns, at `closes_by` at the latest.
async fn lead<P: Ports + 'static>(
    executor: &Executor<P>,
    cluster: &Mutex<Cluster>,
    changed: &Notify,
    report: &Mutex<Report>,
    wall: &ServerClock,
    nonce: &(dyn Fn() -> String + Send + Sync),
    closes_by: &OnceLock<Mono>,
) {
    loop {
        let leads = locked(&executor.elector).leads(boottime());
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
        *locked(report) = Report::default();
        loop {
            if closes_by.get().is_some() {
                engine.close();
            }
            let arrived = std::mem::take(&mut answers);
            let Some(output) = step(&mut engine, &executor.elector, term, cluster, wall, arrived) else {
                break;
            };
            log_changes(&output, &locked(report));
            *locked(report) = output.report;
            for request in output.requests {
                executor.start(request, term, sender.clone());
            }
            let late = closes_by.get().is_some_and(|at| *at <= boottime());
            if engine.is_closed() || late {
                return;
            }
            let wake_at = output.wake_at.into_iter().chain(closes_by.get().copied()).min();
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

/// Logs what changed in the report: its notes, and at the level debug what each entry waits for.
fn log_changes(output: &StepOutput, previous: &Report) {
    for refused in &output.refused {
        tracing::error!(
            refused,
            "the independent check refused an effect: a bug in the planner"
        );
    }
    for note in output
        .report
        .notes
        .iter()
        .filter(|note| !previous.notes.contains(note))
    {
        tracing::warn!("{note}");
    }
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for (entry, blockers) in &output.report.blockers {
        let (now, before) = (
            blockers.first(),
            previous.blockers.get(entry).and_then(|old| old.first()),
        );
        let what = |blocker: &Blocker| (blocker.reason, blocker.object.clone());
        if let Some(blocker) = now.filter(|now| Some(what(now)) != before.map(what)) {
            tracing::debug!(%entry, reason = %blocker.reason, object = %blocker.object, "waits: {blocker}");
        }
    }
    for entry in previous
        .blockers
        .keys()
        .filter(|entry| !output.report.blockers.contains_key(*entry))
    {
        tracing::debug!(%entry, "waits for nothing");
    }
}

/// Makes one step. `None`: this process no longer leads in this term.
fn step(
    engine: &mut Engine,
    elector: &Mutex<Elector>,
    term: u64,
    cluster: &Mutex<Cluster>,
    wall: &ServerClock,
    answers: Vec<Answer>,
) -> Option<StepOutput> {
    let cluster = locked(cluster);
    let mono = boottime();
    let clock = {
        let mut elector = locked(elector);
        if elector.leads(mono) != Some(term) {
            return None;
        }
        let shown = cluster.queue.present().and_then(Queue::shows_pause);
        engine.note_pause(elector.note_pause(shown));
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
        // At least 1 ms: a plan that asks for a moment in the past must not spin.
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

/// The answer to an effect that no port has answered. `sent`: whether it may have been executed.
fn answer_without_port(effect: &Effect, sent: bool, why: &str) -> Outcome {
    match effect {
        Effect::Evict(_) | Effect::DeletePod(_) if !sent => Outcome::Evict(EvictOutcome::TooLate),
        Effect::Evict(_) | Effect::DeletePod(_) => Outcome::Evict(EvictOutcome::Unknown(why.into())),
        Effect::Power(_) => Outcome::Power(PowerAnswer {
            outcome: if sent {
                PowerOutcome::Unknown
            } else {
                PowerOutcome::NothingStarted
            },
            message: why.into(),
        }),
        Effect::Read(_) => Outcome::Read(Evidence::Failed(why.into())),
        Effect::Announce(_) => Outcome::Announced,
        _ => Outcome::Write(WriteOutcome::Unknown(why.into())),
    }
}

/// Locks a mutex even after a panic elsewhere: what our mutexes guard is replaced as a whole, never half changed.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
