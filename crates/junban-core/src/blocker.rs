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
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.detail.write(&self.object, f)
    }
}
