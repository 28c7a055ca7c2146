//! How a kind's list and watch go on after errors: ever more slowly, and without a line of the log for each.

use std::time::Duration;

use junban_core::time::Mono;
use junban_engine::clock::boottime;

use super::jitter::jittered;

/// The first pause and the longest: each is twice the one before. An API server that is overloaded is not to get
/// whole lists of pods asked of it five times a second by every controller.
const PAUSES_MS: (u32, u32) = (200, 10_000);

/// An error that comes so long after the one before is a new one. It cannot be judged by the events between: kube
/// says that a list begins before every attempt, and nothing when a watch has begun. Longer than any call may take
/// that fails in the end.
const RECOVERED: Duration = Duration::from_secs(60);

/// The same error is said again so often.
const SAID_AGAIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct BackOff {
    pause_ms: u32,
    last: Option<Mono>,
    said: Option<(String, Mono)>,
}

impl BackOff {
    /// Says what failed, if it is news, and waits.
    pub(super) async fn failed(&mut self, what: &'static str, error: &str) {
        let now = boottime();
        if self.is_news(error, now) {
            tracing::warn!(what, error, "a watch failed; it goes on");
        }
        tokio::time::sleep(self.pause(now)).await;
    }

    fn is_news(&mut self, error: &str, now: Mono) -> bool {
        let said = self
            .said
            .as_ref()
            .is_some_and(|(said, at)| said == error && now.since(*at) < SAID_AGAIN);
        if !said {
            self.said = Some((error.to_owned(), now));
        }
        !said
    }

    fn pause(&mut self, now: Mono) -> Duration {
        let goes_on = self.last.is_some_and(|last| now.since(last) < RECOVERED);
        self.pause_ms = if goes_on {
            (self.pause_ms * 2).min(PAUSES_MS.1)
        } else {
            PAUSES_MS.0
        };
        self.last = Some(now);
        Duration::from_millis(jittered(self.pause_ms).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Mono {
        Mono(Duration::from_secs(second))
    }

    #[test]
    fn each_pause_is_longer_than_the_one_before_until_the_longest() {
        let mut back_off = BackOff::default();
        let pauses: Vec<u128> = (0..8).map(|at| back_off.pause(second(at)).as_millis()).collect();
        for (pause, whole) in pauses
            .iter()
            .zip([200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000])
        {
            assert!((whole * 3 / 4..=whole).contains(pause), "{pauses:?}");
        }
        // A watch that held for a minute has recovered.
        assert!(back_off.pause(second(7 + 60)) <= Duration::from_millis(200));
    }

    #[test]
    fn the_same_error_is_said_once_a_minute() {
        let mut back_off = BackOff::default();
        let said = |back_off: &mut BackOff, error, at| back_off.is_news(error, second(at));
        assert!(said(&mut back_off, "forbidden", 0));
        assert!(!said(&mut back_off, "forbidden", 10));
        assert!(!said(&mut back_off, "forbidden", 59));
        assert!(said(&mut back_off, "forbidden", 60));
        assert!(said(&mut back_off, "refused", 61));
    }
}
