//! The three clocks. Each has its own type, so that no deadline is ever compared with the wrong one.
//!
//! | clock | type | what it decides |
//! |---|---|---|
//! | cluster clock (lifecycle.md 3) | [`Reading`] | every timeout, back-off and settle |
//! | CLOCK_BOOTTIME of this process | [`Mono`] | freshness of evidence, waits of a few seconds |
//! | wall clock of the API server | [`Timestamp`] | which goals are due; what is shown. Nothing else |

use std::time::Duration;

pub use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Time since an arbitrary point, by a clock that never jumps and counts suspend time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(pub Duration);

impl Mono {
    /// Milliseconds since the arbitrary point.
    pub fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, span: Duration) -> Mono {
        Mono(self.0 + span)
    }
}

/// A reading of the cluster clock: how long leaders have led, and how long of that the queue was not paused.
/// It moves only while a leader lives, so neither a clock that jumps nor a controller that is killed every 20 s
/// makes a deadline pass early or never (lifecycle.md 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Milliseconds led.
    #[serde(rename = "led")]
    pub led_ms: u64,
    /// Milliseconds led while not paused. Never more than `led_ms`.
    #[serde(rename = "running")]
    pub running_ms: u64,
}

impl Reading {
    /// Time led since `earlier`. A stored reading above the clock (a crash, a Lease that is gone) counts as now.
    pub fn led_since(self, earlier: Reading) -> Duration {
        Duration::from_millis(self.led_ms.saturating_sub(earlier.led_ms))
    }

    /// Time led while not paused since `earlier`: what the clocks of drain and back-off count.
    pub fn running_since(self, earlier: Reading) -> Duration {
        Duration::from_millis(self.running_ms.saturating_sub(earlier.running_ms))
    }

    /// The reading moved on by `span` in which the queue was or was not paused.
    pub fn advanced(self, span: Duration, paused: bool) -> Reading {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Reading {
            led_ms: self.led_ms.saturating_add(ms),
            running_ms: self.running_ms.saturating_add(if paused { 0 } else { ms }),
        }
    }
}

/// All three clocks, read at one moment. The engine receives it; nothing in core reads a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    pub mono: Mono,
    pub clock: Reading,
    pub wall: Timestamp,
}
