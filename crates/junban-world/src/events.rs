//! The event queue of virtual time: what will happen, in order of time, then of scheduling.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::api::{Ms, Name, ObjKey, OwnerKey};
use crate::truth::{DownCause, PowerTag};

/// A step in the life of a pod on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodStep {
    Started,
    Ready,
    Stopped,
    Finished,
    /// The kubelet, back from a boot, reports that the containers of before are gone.
    Lost,
}

/// What will happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Lease {
        node: Name,
        epoch: u64,
    },
    /// Node lifecycle: look whether the Lease is too old.
    LeaseCheck {
        node: Name,
    },
    /// Node lifecycle: bring the taints into line with conditions and cordon.
    Taints {
        node: Name,
    },
    /// Node lifecycle: a NoExecute taint has stood for the tolerated time.
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
    Detached {
        attachment: Name,
    },
    /// The pods of a Node that is gone are collected.
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
    /// Earliest first out of a max-heap.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

/// The queue.
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
