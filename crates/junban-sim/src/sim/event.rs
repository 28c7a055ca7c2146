//! What can happen at a moment of virtual time.

use junban_engine::elector::{LeaseAnswer, LeaseCall};
use junban_engine::step::{Answer, Request};
use junban_world::Ms;

use super::trouble::Trouble;
use crate::cache::Shown;

/// One life of a process: its number, which starts at 1, and how often it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProcessLife {
    pub(super) number: u32,
    pub(super) life: u32,
}

#[derive(Debug)]
pub(super) enum Event {
    /// A request reaches the world, even if its process has died since.
    Execute(ProcessLife, u64, Box<Request>, Ms, Trouble),
    Answer(ProcessLife, u64, Box<Answer>, Vec<Shown>, bool),
    Lease(ProcessLife, LeaseCall, Ms),
    LeaseAnswer(ProcessLife, LeaseCall, Ms, LeaseAnswer),
    /// A process looks at its watches and its clock.
    Tick(ProcessLife),
}
