//! The pauses after errors of a list or watch. Each pause is longer than the one before. The same error is logged once a
//! minute.

use std::time::Duration;

use junban_core::time::Mono;
use junban_engine::clock::boottime;

use super::jitter::jittered;

/// The first pause and the longest, in milliseconds. Each pause is twice the one before: else every controller would
/// ask an overloaded API server for the list of all pods five times a second.
const PAUSES_MS: (u32, u32) = (200, 10_000);

/// If the last error is older than this, the pauses begin again with the first. Longer than any failing call takes. kube's
/// events cannot show whether a watch has recovered: it reports the beginning of a list before every try, and it does not
/// report that a watch has begun.
const RECOVERED: Duration = Duration::from_secs(60);

/// How often the same error is logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct BackOff {
    pause_ms: u32,
    last: Option<Mono>,
    logged: Option<(String, Mono)>,
}

impl BackOff {
    /// Logs the error if it is news, and waits.
    pub(super) async fn failed(&mut self, what: &'static str, error: &str) {
        let now = boottime();
        if self.is_news(error, now) {
            tracing::warn!(what, error, "a watch failed and is tried again");
        }
        tokio::time::sleep(self.pause(now)).await;
    }

    fn is_news(&mut self, error: &str, now: Mono) -> bool {
        let logged = self
            .logged
            .as_ref()
            .is_some_and(|(logged, at)| logged == error && now.since(*at) < LOG_EVERY);
        if !logged {
            self.logged = Some((error.to_owned(), now));
        }
        !logged
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
        // A minute without an error: the watch has recovered.
        assert!(back_off.pause(second(7 + 60)) <= Duration::from_millis(200));
    }

    #[test]
    fn the_same_error_is_logged_once_a_minute() {
        let mut back_off = BackOff::default();
        let news = |back_off: &mut BackOff, error, at| back_off.is_news(error, second(at));
        assert!(news(&mut back_off, "forbidden", 0));
        assert!(!news(&mut back_off, "forbidden", 10));
        assert!(!news(&mut back_off, "forbidden", 59));
        assert!(news(&mut back_off, "forbidden", 60));
        assert!(news(&mut back_off, "refused", 61));
    }
}
