//! What goes wrong between a process and the API server: a request arrives late or never, an answer is late or lost, a
//! process dies after it has sent a request. Tests use it to hit one request.

use junban_core::effect::{Effect, EvictOutcome, Evidence, Outcome, PowerAnswer, WriteOutcome};
use junban_core::entry::PowerOutcome;
use junban_world::{Ms, World};

/// What happens to one request. By default nothing goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// The request arrives this much later.
    pub late: Ms,
    /// The answer arrives this much later.
    pub answer_late: Ms,
    /// The request never arrives, and its sender does not know that.
    pub request_lost: bool,
    /// The request is carried out, but its answer is lost.
    pub answer_lost: bool,
    /// The sender gets the answer, but its cache does not take in the objects that the answer shows: only the watches
    /// show them.
    pub unshown: bool,
    /// The process gets SIGKILL after it has sent the request.
    pub kill: bool,
}

/// Called for each request with the number of the process that sends it.
pub type OnSend = Box<dyn FnMut(u32, &Effect) -> Trouble>;
/// Changes a request when it arrives, for example to remove a precondition that the API server tests.
pub type OnArrival = Box<dyn FnMut(&mut Effect, &World)>;

/// Everything that goes wrong in a run.
#[derive(Default)]
pub struct Troubles {
    pub on_send: Option<OnSend>,
    pub on_arrival: Option<OnArrival>,
    /// Each process has a Lease of its own, so all of them lead all the time.
    pub split_brain: bool,
}

/// The answer that a client makes up when it got none.
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
