//! The Lease elector: a synchronous state machine that says which call to make on the Lease and when, and whether
//! this process leads. It keeps the cluster clock (lifecycle.md 3), which travels in an annotation of the Lease.
//!
//! It knows nothing of Kubernetes and reads no clock. Whether another holder is dead is judged as client-go does:
//! by how long *this* process has seen no change of the Lease, on its own CLOCK_BOOTTIME; the time that the holder
//! wrote is never compared with anything. The Lease only keeps two controllers from trying; safety rests on
//! compare-and-swap (lifecycle.md 6).

use std::time::Duration;

use junban_core::ids::Version;
use junban_core::time::{Mono, Reading};

/// Who we are and how patient.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Unique among living processes. A process that starts under the name of the holder takes over at once.
    pub identity: String,
    /// How long a Lease must stand unchanged before it may be taken.
    pub lease_duration: Duration,
    /// How long after the beginning of the last successful renewal we still lead.
    pub renew_deadline: Duration,
    /// Between two calls.
    pub retry: Duration,
}

impl Settings {
    /// 10, 7 and 2 s. From the renew deadline to the lease duration there are 3 s for calls that were sent in
    /// time and arrive late.
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
    /// Empty: released.
    pub holder: String,
    pub transitions: u32,
    /// `renewTime` as text: only its change is looked at.
    pub renew: String,
    pub version: Version,
    /// The cluster clock at that renewal.
    pub clock: Reading,
}

/// The Lease as it shall be; whoever writes it adds the times, which nobody reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseWrite {
    /// Empty: released.
    pub holder: String,
    pub transitions: u32,
    /// Whether `acquireTime` changes as well.
    pub acquired: bool,
    pub clock: Reading,
}

/// A call on the Lease. At most one is under way; each has a deadline of 2 s.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaseCall {
    Read,
    Create(LeaseWrite),
    /// On the resourceVersion.
    Replace(Version, LeaseWrite),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaseAnswer {
    /// Read, or written as asked.
    Is(LeaseView),
    /// 404.
    Absent,
    /// 409: somebody else wrote.
    Conflict,
    /// Anything else. A write may or may not have been done.
    Failed(String),
}

/// What to do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    Call(LeaseCall),
    /// Nothing before then.
    Wait(Mono),
}

#[derive(Debug)]
pub struct Elector {
    settings: Settings,
    /// The Lease as last read, and when it was first seen so.
    seen: Option<(LeaseView, Mono)>,
    absent: bool,
    last_call: Option<Mono>,
    /// Set while leading: when the last successful renewal began.
    renewed: Option<Mono>,
    /// Rises each time that leading begins.
    term: u64,
    clock: Reading,
    counted_to: Mono,
    paused: bool,
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
        }
    }

    /// The term, if this process can prove at `now` that it leads. Another term is another leader: what the one
    /// before remembered counts no more.
    pub fn leads(&self, now: Mono) -> Option<u64> {
        self.valid_until()
            .is_some_and(|end| now < end)
            .then_some(self.term)
    }

    /// Up to when it leads if nothing more is heard.
    pub fn valid_until(&self) -> Option<Mono> {
        self.renewed.map(|began| began + self.settings.renew_deadline)
    }

    /// The holder as last read; empty: nobody, or not known.
    pub fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |(lease, _)| lease.holder.as_str())
    }

    /// Moves the cluster clock on to `now`. `paused` holds from now on; the time since the last call counts as
    /// what was said then. Time in which this process could not prove that it leads does not count.
    pub fn advance(&mut self, now: Mono, paused: bool) -> Reading {
        if let Some(end) = self.valid_until() {
            let to = now.min(end);
            self.clock = self.clock.advanced(to.since(self.counted_to), self.paused);
            self.counted_to = self.counted_to.max(to);
        }
        self.paused = paused;
        self.clock
    }

    /// The call to make at `now`, or until when there is none.
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
        // What the Lease says, unless this process knows of more: a clock never runs backwards.
        let stored = self
            .seen
            .as_ref()
            .map_or(Reading::default(), |(lease, _)| lease.clock);
        LeaseWrite {
            holder: self.settings.identity.clone(),
            transitions,
            acquired: true,
            clock: later(stored, self.clock),
        }
    }

    /// Folds in the answer to `call`, which was sent at `began` and came at `now`.
    pub fn answer(&mut self, call: &LeaseCall, began: Mono, now: Mono, answer: LeaseAnswer) {
        match answer {
            LeaseAnswer::Is(lease) => {
                let claimed = !matches!(call, LeaseCall::Read);
                self.absent = false;
                self.saw(lease, now);
                if claimed {
                    self.claimed(began, now);
                    return;
                }
                if self.holder() != self.settings.identity {
                    self.renewed = None;
                }
                if !matches!(self.call(now), LeaseCall::Read) {
                    // It can be had at once: released, or our own.
                    self.last_call = None;
                }
            }
            LeaseAnswer::Absent => {
                self.seen = None;
                self.absent = true;
                self.last_call = None;
            }
            LeaseAnswer::Conflict => {
                // Somebody wrote: read before anything else. Our validity stands until that says otherwise.
                self.seen = None;
                self.absent = false;
                self.last_call = None;
            }
            LeaseAnswer::Failed(_) => {}
        }
    }

    fn saw(&mut self, lease: LeaseView, now: Mono) {
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
        // By now, and not by when it began: who was seen not to lead in between has given up that term.
        if self.leads(now).is_none() {
            self.term += 1;
            self.clock = later(
                self.clock,
                self.seen
                    .as_ref()
                    .map_or(Reading::default(), |(lease, _)| lease.clock),
            );
            self.counted_to = self.counted_to.max(began);
        }
        self.renewed = Some(began);
    }

    /// Stops leading, and the call that says so to the others, if we lead.
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
