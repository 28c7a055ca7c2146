//! The attempts that this process itself recorded.

use crate::effect::PowerAnswer;
use crate::time::Mono;

/// One attempt that this process itself recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnAttempt {
    /// When the write-ahead record was sent.
    pub recorded: Mono,
    /// The mark as read live before the record: the attempt is written with a `test` on exactly this.
    pub mark_text: Option<String>,
    pub stage: AttemptStage,
}

#[derive(Clone, PartialEq, Debug)]
pub enum AttemptStage {
    /// The record was sent.
    Recorded,
    /// The attempt stands in the mark, acknowledged at the time given.
    Marked(Mono),
    /// The power action was handed to the driver.
    Acting,
    /// The driver answered.
    Ended(PowerAnswer),
    /// A guard between the record and the act failed. Nothing was started, and this process will start nothing.
    Abandoned(String),
}
