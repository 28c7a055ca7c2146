//! The two clocks that the shell and the adapters read: CLOCK_BOOTTIME, and the API server's wall clock as its
//! `Date` headers tell it. The cluster clock is the elector's.

use std::sync::Mutex;
use std::time::Duration;

use junban_core::time::{Mono, SignedDuration, Timestamp};

/// CLOCK_BOOTTIME: never jumps and counts suspend time, which Rust's `Instant` does not.
pub fn boottime() -> Mono {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Mono(Duration::new(seconds, nanos))
}

/// The API server's wall clock: the last `Date` header, moved on by CLOCK_BOOTTIME. The clock of this machine is
/// used only until the first answer has come.
#[derive(Debug, Default)]
pub struct ServerClock {
    seen: Mutex<Option<Sighting>>,
    /// So far is this machine's clock taken to be ahead; behind, if negative.
    ahead: SignedDuration,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    date: Timestamp,
    at: Mono,
}

impl ServerClock {
    /// As on a machine whose clock is so far ahead; behind, if negative. For tests.
    pub fn on_machine_ahead(ahead: SignedDuration) -> Self {
        Self {
            ahead,
            ..Self::default()
        }
    }

    /// Takes note of a `Date` header that arrived at `at`. The header has a resolution of one second and is
    /// always a little old, so of two sightings the one that puts the clock further ahead is the better one;
    /// one that is more than two seconds off is a clock that was set, and stands.
    pub fn saw(&self, date: Timestamp, at: Mono) {
        let Ok(mut seen) = self.seen.lock() else { return };
        let keep = seen.is_some_and(|last| {
            let expected = moved_on(last, at);
            let behind = expected.as_millisecond() - date.as_millisecond();
            (0..=2_000).contains(&behind)
        });
        if !keep {
            *seen = Some(Sighting { date, at });
        }
    }

    /// The API server's time at `now`; `None` before its first answer.
    pub fn at(&self, now: Mono) -> Option<Timestamp> {
        let seen = *self.seen.lock().ok()?;
        seen.map(|last| moved_on(last, now))
    }

    /// The wall clock to go by.
    pub fn now(&self) -> Timestamp {
        self.read(boottime(), Timestamp::now())
    }

    /// The wall clock to go by at `now`, on a machine whose clock shows `machine`, but for what it is ahead.
    pub fn read(&self, now: Mono, machine: Timestamp) -> Timestamp {
        self.at(now)
            .unwrap_or_else(|| machine.checked_add(self.ahead).unwrap_or(machine))
    }
}

fn moved_on(last: Sighting, now: Mono) -> Timestamp {
    last.date.checked_add(now.since(last.at)).unwrap_or(last.date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_clock_moves_on_between_two_headers() {
        let clock = ServerClock::default();
        assert_eq!(clock.at(Mono::from_millis(5)), None);
        clock.saw(second(100), Mono::from_millis(1_000));
        assert_eq!(clock.at(Mono::from_millis(4_000)), Some(second(103)));
    }

    #[test]
    fn a_header_cut_to_the_second_does_not_set_the_clock_back() {
        let clock = ServerClock::default();
        clock.saw(second(100), Mono::from_millis(1_000));
        clock.saw(second(100), Mono::from_millis(1_900));
        assert_eq!(clock.at(Mono::from_millis(2_000)), Some(second(101)));
    }

    #[test]
    fn a_clock_that_was_set_is_followed_both_ways() {
        let clock = ServerClock::default();
        clock.saw(second(100), Mono::from_millis(1_000));
        clock.saw(second(50), Mono::from_millis(2_000));
        assert_eq!(clock.at(Mono::from_millis(2_000)), Some(second(50)));
        clock.saw(second(500), Mono::from_millis(3_000));
        assert_eq!(clock.at(Mono::from_millis(3_000)), Some(second(500)));
    }

    #[test]
    fn the_clock_of_the_machine_counts_until_the_first_header() {
        let clock = ServerClock::on_machine_ahead(SignedDuration::from_secs(-50));
        assert_eq!(clock.read(Mono::from_millis(0), second(100)), second(50));
        clock.saw(second(103), Mono::from_millis(1_000));
        assert_eq!(clock.read(Mono::from_millis(1_000), second(100)), second(103));
    }

    #[test]
    fn boottime_moves_forward() {
        let before = boottime();
        assert!(boottime() >= before && before.0 > Duration::ZERO);
    }
}
