//! Watches: each kind of object has its own watch, and each watch has its own lag. So a Node may show the mark of an entry
//! that the watch of entries has not shown yet.

use junban_world::{Ms, Object, Rng, Span};

use crate::objects::{POLICY, QUEUE};

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

/// The lag of each watch of one process.
#[derive(Debug)]
pub struct Lags([Ms; Watch::COUNT]);

impl Lags {
    /// Draws each lag from `span`. `late` names one watch that has a lag of its own.
    pub(crate) fn draw(rng: &mut Rng, span: Span, late: Option<(Watch, Ms)>) -> Self {
        let mut lags = std::array::from_fn(|_| span.draw(rng));
        if let Some((watch, ms)) = late {
            lags[watch as usize] = ms;
        }
        Self(lags)
    }

    /// The time from a change until the watch shows it.
    pub fn of(&self, watch: Watch) -> Ms {
        self.0[watch as usize]
    }
}
