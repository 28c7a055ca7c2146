//! Why an entry waits: a gate that is not met, or something that it waits for.

use std::fmt;

use crate::detail::Detail;
use crate::object::ObjectRef;
use crate::reason::Reason;

/// A reason, with the object that causes it. Its text is the sentence that people read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Blocker {
    pub reason: Reason,
    pub object: ObjectRef,
    pub detail: Detail,
}

impl Blocker {
    pub fn new(reason: Reason, object: ObjectRef, detail: Detail) -> Self {
        Self {
            reason,
            object,
            detail,
        }
    }

    /// What a person can do about this blocker. Empty if only time helps. `NODE` stands for the node's name.
    pub fn hint(&self) -> &'static str {
        match self.detail {
            Detail::NoQueue => MAKE_QUEUE,
            Detail::UnreadableQueue(_) => READ_QUEUE,
            _ => self.reason.hint(),
        }
    }
}

/// What helps if there is no queue object. A queue that is made while entries wait starts nothing before it is resumed.
pub const MAKE_QUEUE: &str =
    "kubectl apply --server-side -f manifests/defaults, then junban resume, which starts what is queued";
/// What helps if the queue object cannot be read.
pub const READ_QUEUE: &str = "kubectl get rebootqueues -o yaml | junban lint -";

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.detail.write(&self.object, f)
    }
}
