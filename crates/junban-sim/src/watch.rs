//! Watches: each kind has one of its own, and each is late by itself. A Node may show the mark of an entry that the
//! watch of entries has not shown yet.

use junban_world::{Ms, Object, Rng, Span};

use crate::objects::{POLICY, QUEUE};

/// What one watch shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Watch {
    Nodes,
    Leases,
    Pods,
    Budgets,
    Owners,
    /// Volumes, claims and attachments.
    Volumes,
    Services,
    Queues,
    Policies,
    Entries,
}

impl Watch {
    const COUNT: usize = 10;

    /// The watch that shows an object.
    pub fn of(object: &Object) -> Self {
        match object {
            Object::Node(_) => Self::Nodes,
            Object::Lease(_) => Self::Leases,
            Object::Pod(_) => Self::Pods,
            Object::Budget(_) => Self::Budgets,
            Object::Owner(_) => Self::Owners,
            Object::Volume(_) | Object::Claim(_) | Object::Attachment(_) => Self::Volumes,
            Object::Service(_) => Self::Services,
            Object::Custom(custom) => match custom.kind.as_str() {
                QUEUE => Self::Queues,
                POLICY => Self::Policies,
                _ => Self::Entries,
            },
        }
    }
}

/// How late each watch of one process is.
#[derive(Debug)]
pub struct Lags([Ms; Watch::COUNT]);

impl Lags {
    /// Each drawn from `span`, but for the one that is as late as `late` says.
    pub(crate) fn draw(rng: &mut Rng, span: Span, late: Option<(Watch, Ms)>) -> Self {
        let mut lags = std::array::from_fn(|_| span.draw(rng));
        if let Some((watch, ms)) = late {
            lags[watch as usize] = ms;
        }
        Self(lags)
    }

    /// From a change to the watch that shows it.
    pub fn of(&self, watch: Watch) -> Ms {
        self.0[watch as usize]
    }
}
