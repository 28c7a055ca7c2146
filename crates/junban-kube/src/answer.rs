//! What an answer of the API server means for a write.

use std::future::Future;
use std::time::Duration;

use junban_core::effect::WriteOutcome;
use kube::core::Status;

/// For every call that has no shorter one.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// For the live read of the queue and for calls on the Lease.
pub(crate) const SHORT_DEADLINE: Duration = Duration::from_secs(2);

/// A call that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no.
    Said(Box<Status>),
    /// Nobody knows what became of it.
    Unknown(String),
}

impl Failure {
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Said(status) => Some(status.code),
            Self::Unknown(_) => None,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Said(status) if is_not_found(status))
    }

    /// In words, cut to what a status message may hold.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Said(status) => cut(&status.message),
            Self::Unknown(why) => cut(why),
        }
    }

    /// What it means for a write that carried preconditions.
    pub(crate) fn outcome(self) -> WriteOutcome {
        let words = self.words();
        let Self::Said(status) = self else {
            return WriteOutcome::Unknown(words);
        };
        match status.code {
            404 if is_not_found(&status) => WriteOutcome::Gone,
            409 => WriteOutcome::Conflict,
            400 | 413 | 415 | 422 => WriteOutcome::Refused(words),
            401 | 403 => WriteOutcome::Forbidden(words),
            429 => WriteOutcome::Throttled(retry_after(&status)),
            // With a 503, as with any 5xx, the store may have taken it.
            _ => WriteOutcome::Unknown(words),
        }
    }
}

/// The API server's own word, of which the code is not enough: a proxy in front of it has pages of its own that say
/// 404, and so has a server that does not know the kind at all.
pub(crate) fn is_not_found(status: &Status) -> bool {
    status.code == 404 && status.reason == "NotFound"
}

/// How long the server asks to wait.
pub(crate) fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Carries a call to its end within a deadline; dropping it then closes its connection.
pub(crate) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Failure::Said(status)),
        Ok(Err(error)) => Err(Failure::Unknown(chain(&error))),
        Err(_) => Err(Failure::Unknown(format!(
            "no answer within {} s",
            deadline.as_secs()
        ))),
    }
}

/// An error with its causes: kube's own text says "ServiceError" and no more.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// At most 300 characters, and none that could forge a log line.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
