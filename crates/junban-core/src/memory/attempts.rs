//! The attempts that this process itself recorded (docs/design/ledger.md#the-act).

use crate::effect::PowerAnswer;
use crate::time::Mono;

#[derive(Clone, PartialEq, Debug)]
pub struct OwnAttempt {
    /// When the write-ahead record was sent.
    pub recorded: Mono,
    /// The mark's text as read live before the record. The write of the attempt tests it.
    pub mark_text: Option<String>,
    pub stage: AttemptStage,
}

#[derive(Clone, PartialEq, Debug)]
pub enum AttemptStage {
    /// The record was sent.
    Recorded,
    /// The attempt has been in the mark since this moment.
    Marked(Mono),
    /// The power action was handed to the driver.
    Acting,
    /// The driver answered.
    Ended(PowerAnswer),
    /// A condition between the record and the act failed, for this reason. This process started nothing and will start
    /// nothing.
    Abandoned(String),
}
