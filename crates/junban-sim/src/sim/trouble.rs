//! What goes wrong between a process and the API server, for tests that aim at one request: a request that arrives
//! late or never, an answer that is late or lost, a process that dies with its request on the way.

use junban_core::effect::{Effect, EvictOutcome, Evidence, Outcome, PowerAnswer, WriteOutcome};
use junban_core::entry::PowerOutcome;
use junban_world::{Ms, World};

/// What becomes of one request. The default: nothing special.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// It arrives so much later.
    pub late: Ms,
    /// Its answer arrives so much later.
    pub answer_late: Ms,
    /// It never arrives, and its sender does not know.
    pub request_lost: bool,
    /// It is done, and its sender does not know.
    pub answer_lost: bool,
    /// Its sender has the answer, and its view learns of what the answer shows by the watches alone.
    pub unshown: bool,
    /// Its process gets a SIGKILL when it has sent it.
    pub kill: bool,
}

/// Decides for each request of each process, by the process's number.
pub type OnSend = Box<dyn FnMut(u32, &Effect) -> Trouble>;
/// Changes a request when it arrives: to take out a precondition that the API server would hold.
pub type OnArrival = Box<dyn FnMut(&mut Effect, &World)>;

/// Everything that goes wrong in a run.
#[derive(Default)]
pub struct Troubles {
    pub on_send: Option<OnSend>,
    pub on_arrival: Option<OnArrival>,
    /// Each process holds a Lease of its own: all lead, all the time.
    pub split_brain: bool,
}

/// The answer that a client makes up when none came.
pub(super) fn unknown(effect: &Effect) -> Outcome {
    let text = || "the request timed out".to_owned();
    match effect {
        Effect::Evict(_) | Effect::DeletePod(_) => Outcome::Evict(EvictOutcome::Unknown(text())),
        Effect::Power(_) => Outcome::Power(PowerAnswer {
            outcome: PowerOutcome::Unknown,
            message: text(),
        }),
        Effect::Read(_) => Outcome::Read(Evidence::Failed(text())),
        Effect::Announce(_) => Outcome::Announced,
        _ => Outcome::Write(WriteOutcome::Unknown(text())),
    }
}
