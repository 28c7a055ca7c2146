//! The Lease elector: a synchronous state machine. It says which call on the Lease to make and when, and whether this
//! process leads. It keeps the cluster clock (docs/design/life-cycle.md#time), which an annotation of the Lease carries.
//!
//! It knows nothing of Kubernetes and reads no clock. It judges as client-go does whether another holder is dead: by how
//! long *this* process, on its own CLOCK_BOOTTIME, has seen no change of the Lease. It never compares the time that the
//! holder wrote. The Lease only makes it rare that two controllers act at once; compare-and-swap keeps them safe
//! (docs/design/ledger.md#two-controllers).

use std::time::Duration;

use junban_core::ids::Version;
use junban_core::time::{Mono, Reading};

/// Our identity, and the times of the election.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Unique among running processes. A process that starts with the holder's identity takes over at once.
    pub identity: String,
    /// How long a Lease must be unchanged before another process may take it.
    pub lease_duration: Duration,
    /// How long we still lead after the last successful renewal began.
    pub renew_deadline: Duration,
    /// The time between two calls.
    pub retry: Duration,
}

impl Settings {
    /// 10, 7 and 2 s. So a call that a leader sends in time has 3 s to arrive before another process can lead.
    pub fn new(identity: impl Into<String>) -> Self {
        Self {
            identity: identity.into(),
            lease_duration: Duration::from_secs(10),
            renew_deadline: Duration::from_secs(7),
            retry: Duration::from_secs(2),
        }
    }
}

/// The Lease as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseView {
    /// Empty: the Lease was released.
    pub holder: String,
    pub transitions: u32,
    /// `renewTime` as text: only its changes count.
    pub renew: String,
    pub version: Version,
    /// The cluster clock at this renewal.
    pub clock: Reading,
    /// Whether the queue was paused when a leader last saw it.
    pub queue_paused: bool,
}

/// The Lease to write. The port adds the times, which nobody reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseWrite {
    /// Empty: the Lease is released.
    pub holder: String,
    pub transitions: u32,
    /// Whether `acquireTime` changes as well.
    pub acquired: bool,
    pub clock: Reading,
    /// Whether the queue was paused when a leader last saw it.
    pub queue_paused: bool,
}

/// A call on the Lease. There is at most one at a time. Each has a deadline of 2 s.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaseCall {
    Read,
    Create(LeaseWrite),
    /// Only if the Lease still has this resourceVersion.
    Replace(Version, LeaseWrite),
}

/// The answer to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaseAnswer {
    /// The Lease as it was read or written.
    Is(LeaseView),
    /// 404.
    Absent,
    /// 409: somebody else wrote the Lease.
    Conflict,
    /// Any other answer. A write may or may not have been done.
    Failed(String),
}

/// What to do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    Call(LeaseCall),
    /// Make no call before then.
    Wait(Mono),
}

#[derive(Debug)]
pub struct Elector {
    settings: Settings,
    /// The Lease as last read, and when it was first seen so.
    seen: Option<(LeaseView, Mono)>,
    absent: bool,
    last_call: Option<Mono>,
    /// When the last successful renewal began. `None`: not leading.
    renewed: Option<Mono>,
    /// Rises each time that this process begins to lead.
    term: u64,
    clock: Reading,
    counted_to: Mono,
    paused: bool,
    /// Whether the queue was paused when a leader last saw it. The Lease keeps it beyond the queue object.
    queue_was_paused: bool,
}

impl Elector {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            seen: None,
            absent: false,
            last_call: None,
            renewed: None,
            term: 0,
            clock: Reading::default(),
            counted_to: Mono::default(),
            paused: true,
            queue_was_paused: false,
        }
    }

    /// The term, if this process can prove at `now` that it leads. A new term is a new leader: it must forget what the
    /// leader of the old term remembered.
    pub fn leads(&self, now: Mono) -> Option<u64> {
        self.valid_until()
            .is_some_and(|end| now < end)
            .then_some(self.term)
    }

    /// Until when this process leads if no further renewal succeeds.
    pub fn valid_until(&self) -> Option<Mono> {
        self.renewed.map(|began| began + self.settings.renew_deadline)
    }

    /// The holder as last read. Empty: nobody, or unknown.
    pub fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |(lease, _)| lease.holder.as_str())
    }

    /// Advances the cluster clock to `now`. `paused` counts from now on; the time since the last call counts as the last
    /// call said. Time in which this process could not prove that it leads does not count.
    pub fn advance(&mut self, now: Mono, paused: bool) -> Reading {
        if let Some(end) = self.valid_until() {
            let to = now.min(end);
            self.clock = self.clock.advanced(to.since(self.counted_to), self.paused);
            self.counted_to = self.counted_to.max(to);
        }
        self.paused = paused;
        self.clock
    }

    /// Takes in whether the queue is paused, as this leader sees it. `None`: there is no queue, or a new one. Returns
    /// whether the queue was paused when a leader last saw it.
    pub fn note_pause(&mut self, paused: Option<bool>) -> bool {
        self.queue_was_paused = paused.unwrap_or(self.queue_was_paused);
        self.queue_was_paused
    }

    /// The call to make at `now`, or until when to wait.
    pub fn next(&mut self, now: Mono) -> Next {
        let due = match self.last_call {
            Some(last) => last + self.settings.retry,
            None => now,
        };
        if now < due {
            return Next::Wait(due);
        }
        self.last_call = Some(now);
        self.advance(now, self.paused);
        Next::Call(self.call(now))
    }

    fn call(&self, now: Mono) -> LeaseCall {
        if self.absent {
            return LeaseCall::Create(self.claim(0));
        }
        let Some((lease, since)) = &self.seen else {
            return LeaseCall::Read;
        };
        let ours = lease.holder == self.settings.identity;
        if ours && self.renewed.is_some() {
            let renewal = LeaseWrite {
                acquired: false,
                ..self.claim(lease.transitions)
            };
            return LeaseCall::Replace(lease.version, renewal);
        }
        let expired = now.since(*since) >= self.settings.lease_duration;
        if ours || lease.holder.is_empty() || expired {
            return LeaseCall::Replace(lease.version, self.claim(lease.transitions.saturating_add(1)));
        }
        LeaseCall::Read
    }

    fn claim(&self, transitions: u32) -> LeaseWrite {
        // The later of the stored clock and our own: the cluster clock never runs backwards.
        let stored = self
            .seen
            .as_ref()
            .map_or(Reading::default(), |(lease, _)| lease.clock);
        LeaseWrite {
            holder: self.settings.identity.clone(),
            transitions,
            acquired: true,
            clock: later(stored, self.clock),
            queue_paused: match &self.seen {
                Some((lease, _)) if self.renewed.is_none() => lease.queue_paused,
                _ => self.queue_was_paused,
            },
        }
    }

    /// Takes in the answer to `call`, which was sent at `began` and answered at `now`.
    pub fn answer(&mut self, call: &LeaseCall, began: Mono, now: Mono, answer: LeaseAnswer) {
        match answer {
            LeaseAnswer::Is(lease) => {
                let claimed = !matches!(call, LeaseCall::Read);
                self.absent = false;
                self.observe(lease, now);
                if claimed {
                    self.claimed(began, now);
                    return;
                }
                if self.holder() != self.settings.identity {
                    self.renewed = None;
                }
                if !matches!(self.call(now), LeaseCall::Read) {
                    // Released, or our own: we can take it at once.
                    self.last_call = None;
                }
            }
            LeaseAnswer::Absent => {
                self.seen = None;
                self.absent = true;
                self.last_call = None;
            }
            LeaseAnswer::Conflict => {
                // Somebody wrote it: read it first. Until that read we still lead as long as before.
                self.seen = None;
                self.absent = false;
                self.last_call = None;
            }
            LeaseAnswer::Failed(_) => {}
        }
    }

    fn observe(&mut self, lease: LeaseView, now: Mono) {
        let since = match &self.seen {
            Some((known, since))
                if (&known.holder, &known.renew, known.transitions)
                    == (&lease.holder, &lease.renew, lease.transitions) =>
            {
                *since
            }
            _ => now,
        };
        self.seen = Some((lease, since));
    }

    fn claimed(&mut self, began: Mono, now: Mono) {
        // Judged at `now`, not at `began`: if this process was seen not to lead in between, that term is over.
        if self.leads(now).is_none() {
            self.term += 1;
            self.clock = later(
                self.clock,
                self.seen
                    .as_ref()
                    .map_or(Reading::default(), |(lease, _)| lease.clock),
            );
            self.counted_to = self.counted_to.max(began);
            self.queue_was_paused = self.seen.as_ref().is_some_and(|(lease, _)| lease.queue_paused);
        }
        self.renewed = Some(began);
    }

    /// Stops leading. Returns the call that tells the others, if this process led.
    pub fn release(&mut self, now: Mono) -> Option<LeaseCall> {
        self.leads(now)?;
        let clock = self.advance(now, self.paused);
        self.renewed = None;
        let (lease, _) = self.seen.take()?;
        let write = LeaseWrite {
            holder: String::new(),
            transitions: lease.transitions,
            acquired: false,
            clock,
            queue_paused: self.queue_was_paused,
        };
        Some(LeaseCall::Replace(lease.version, write))
    }
}

fn later(a: Reading, b: Reading) -> Reading {
    Reading {
        led_ms: a.led_ms.max(b.led_ms),
        running_ms: a.running_ms.max(b.running_ms),
    }
}

#[cfg(test)]
mod tests;
