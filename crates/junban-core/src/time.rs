//! The three clocks. Each has a type of its own, so that they cannot be compared with each other
//! (docs/design/life-cycle.md#time).
//!
//! | clock | type | what it decides |
//! |---|---|---|
//! | cluster clock | [`Reading`] | every timeout, back-off and settle |
//! | CLOCK_BOOTTIME of this process | [`Mono`] | freshness of evidence, waits of a few seconds |
//! | wall clock of the API server | [`Timestamp`] | which goals are due, `minInterval`, what is shown |

use std::time::Duration;

pub use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The time since an arbitrary moment, on a clock that never jumps and counts suspend time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(pub Duration);

impl Mono {
    pub fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// The time since `earlier`. Zero if `earlier` is later.
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

/// A reading of the cluster clock. It moves only while a leader lives. So a clock that jumps makes no deadline pass
/// early, and a controller that is killed every 20 s makes no deadline pass never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reading {
    /// For how many milliseconds leaders have led.
    #[serde(rename = "led")]
    pub led_ms: u64,
    /// For how many of these milliseconds the queue was not paused.
    #[serde(rename = "running")]
    pub running_ms: u64,
}

impl Reading {
    /// The time led since `earlier`. Zero if `earlier` is later, as after a crash or the loss of the Lease.
    pub fn led_since(self, earlier: Reading) -> Duration {
        Duration::from_millis(self.led_ms.saturating_sub(earlier.led_ms))
    }

    /// The time led without pauses since `earlier`. The clocks of drain and back-off count this time.
    pub fn running_since(self, earlier: Reading) -> Duration {
        Duration::from_millis(self.running_ms.saturating_sub(earlier.running_ms))
    }

    /// The reading after `span`, during which the queue was paused or not.
    pub fn advanced(self, span: Duration, paused: bool) -> Reading {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Reading {
            led_ms: self.led_ms.saturating_add(ms),
            running_ms: self.running_ms.saturating_add(if paused { 0 } else { ms }),
        }
    }
}

/// Writes a span as the objects do, for example `1h30m`. Fractions of a second are dropped.
pub fn format_span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    for (number, unit) in [(hours, 'h'), (minutes, 'm'), (rest, 's')] {
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// All three clocks at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    pub mono: Mono,
    pub clock: Reading,
    pub wall: Timestamp,
}
