//! What happens at a moment of virtual time between the processes and the world.

use junban_engine::elector::{LeaseAnswer, LeaseCall};
use junban_engine::step::{Answer, Request};
use junban_world::Ms;

use super::trouble::Trouble;
use crate::cache::Shown;

/// Names a process: number from 1, and how often it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Who {
    pub(super) number: u32,
    pub(super) life: u32,
}

#[derive(Debug)]
pub(super) enum Event {
    /// The request reaches the world. Once sent, its process need not live for that.
    Execute(Who, u64, Box<Request>, Ms, Trouble),
    Answer(Who, u64, Box<Answer>, Vec<Shown>, bool),
    Lease(Who, LeaseCall, Ms),
    LeaseAnswer(Who, LeaseCall, Ms, LeaseAnswer),
    /// The process looks at its watches and its clock.
    Tick(Who),
}
