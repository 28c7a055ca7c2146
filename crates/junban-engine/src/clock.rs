//! The two clocks that the shell and the adapters read: CLOCK_BOOTTIME, and the API server's wall clock, which its
//! `Date` headers show. The elector keeps the cluster clock.

use std::sync::Mutex;
use std::time::Duration;

use junban_core::time::{Mono, SignedDuration, Timestamp};

/// CLOCK_BOOTTIME. It never jumps, and it also counts time in suspend, which Rust's `Instant` does not.
pub fn boottime() -> Mono {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Mono(Duration::new(seconds, nanos))
}

/// The API server's wall clock: the last `Date` header plus the time since then on CLOCK_BOOTTIME. The clock of this
/// machine counts only until the first answer.
#[derive(Debug, Default)]
pub struct ServerClock {
    seen: Mutex<Option<Sighting>>,
    /// How far this machine's clock is ahead; negative: behind. Zero except in tests.
    ahead: SignedDuration,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    date: Timestamp,
    at: Mono,
}

impl ServerClock {
    /// A clock on a machine whose own clock is ahead by this much; negative: behind. For tests.
    pub fn on_machine_ahead(ahead: SignedDuration) -> Self {
        Self {
            ahead,
            ..Self::default()
        }
    }

    /// Notes a `Date` header that arrived at `at`. A header is cut to the second and always a little old. So of two
    /// headers the better one is the one that puts this clock further ahead. A header that is more than two seconds
    /// behind means that the server's clock was set back: it counts.
    pub fn observe(&self, date: Timestamp, at: Mono) {
        let Ok(mut seen) = self.seen.lock() else { return };
        let keep = seen.is_some_and(|last| {
            let expected = advanced(last, at);
            let behind = expected.as_millisecond() - date.as_millisecond();
            (0..=2_000).contains(&behind)
        });
        if !keep {
            *seen = Some(Sighting { date, at });
        }
    }

    /// The API server's time at `now`. `None` before its first answer.
    pub fn at(&self, now: Mono) -> Option<Timestamp> {
        let seen = *self.seen.lock().ok()?;
        seen.map(|last| advanced(last, now))
    }

    /// The wall time that counts now.
    pub fn now(&self) -> Timestamp {
        self.read(boottime(), Timestamp::now())
    }

    /// The wall time that counts at `now`. `machine` is this machine's time, without `ahead`.
    pub fn read(&self, now: Mono, machine: Timestamp) -> Timestamp {
        self.at(now)
            .unwrap_or_else(|| machine.checked_add(self.ahead).unwrap_or(machine))
    }
}

fn advanced(last: Sighting, now: Mono) -> Timestamp {
    last.date.checked_add(now.since(last.at)).unwrap_or(last.date)
}

#[cfg(test)]
mod tests;
