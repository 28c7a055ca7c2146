//! The event queue in virtual time. Events of the same time happen in the order in which they were queued.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::api::{Ms, Name, ObjKey, OwnerKey};
use crate::truth::{DownCause, PowerTag};

/// What happens next to a pod on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodStep {
    Started,
    Ready,
    Stopped,
    Finished,
    /// The kubelet has booted and reports that the earlier containers are gone.
    ContainersLost,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Lease {
        node: Name,
        epoch: u64,
    },
    /// The node lifecycle controller checks whether the Lease is too old.
    LeaseCheck {
        node: Name,
    },
    /// The node lifecycle controller sets the taints that follow from conditions and cordon.
    Taints {
        node: Name,
    },
    /// A NoExecute taint has been there for the tolerated time: its pods have to leave.
    TaintEvict {
        node: Name,
        since: Ms,
    },
    /// A power action reaches the machine.
    Power {
        machine: Name,
        tag: Option<PowerTag>,
        again: bool,
        cause: DownCause,
    },
    KernelUp {
        machine: Name,
        epoch: u64,
    },
    KubeletUp {
        machine: Name,
        epoch: u64,
    },
    Pod {
        key: ObjKey,
        uid: Name,
        run: u64,
        step: PodStep,
    },
    Owner(OwnerKey),
    Budget(ObjKey),
    Schedule,
    /// The operator of this number looks at its pods.
    Operator(usize),
    Detached {
        attachment: Name,
    },
    /// The garbage collector removes the pods of a deleted Node.
    Collect {
        node: Name,
    },
}

#[derive(Debug)]
struct Due {
    at: Ms,
    seq: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// Reversed, so that the heap, which gives its greatest item, gives the earliest event.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Due>,
    seq: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Ms, event: Event) {
        self.seq += 1;
        self.heap.push(Due {
            at,
            seq: self.seq,
            event,
        });
    }

    pub(crate) fn next_at(&self) -> Option<Ms> {
        self.heap.peek().map(|d| d.at)
    }

    pub(crate) fn pop_until(&mut self, until: Ms) -> Option<(Ms, Event)> {
        if self.next_at()? > until {
            return None;
        }
        self.heap.pop().map(|d| (d.at, d.event))
    }
}
