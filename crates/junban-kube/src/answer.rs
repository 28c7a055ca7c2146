//! What an answer of the API server means for the call.

use std::future::Future;
use std::time::Duration;

use junban_core::effect::WriteOutcome;
use kube::core::Status;

/// The deadline of every call that has no shorter one.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// The deadline of a live read of the queue, of a call on the Lease, and of a call to a member of the control plane.
pub(crate) const SHORT_DEADLINE: Duration = Duration::from_secs(2);

/// A call that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused it with this status.
    Status(Box<Status>),
    /// It may or may not have been done.
    Unknown(String),
}

impl Failure {
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.code),
            Self::Unknown(_) => None,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status(status) if is_not_found(status))
    }

    /// What went wrong, short enough for a status message.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Status(status) => cut(&status.message),
            Self::Unknown(why) => cut(why),
        }
    }

    /// The outcome of a write that carried preconditions.
    pub(crate) fn outcome(self) -> WriteOutcome {
        let text = self.text();
        let Self::Status(status) = self else {
            return WriteOutcome::Unknown(text);
        };
        match status.code {
            404 if is_not_found(&status) => WriteOutcome::Gone,
            409 => WriteOutcome::Conflict,
            400 | 413 | 415 | 422 => WriteOutcome::Refused(text),
            401 | 403 => WriteOutcome::Forbidden(text),
            429 => WriteOutcome::Throttled(retry_after(&status)),
            // After a 5xx, a 503 included, the server may have stored the write.
            _ => WriteOutcome::Unknown(text),
        }
    }
}

/// Whether the API server says that this object does not exist. The code alone is not enough: a proxy in front of the
/// server answers 404 with pages of its own, and so does a server that does not know the kind.
pub(crate) fn is_not_found(status: &Status) -> bool {
    status.code == 404 && status.reason == "NotFound"
}

/// How long the server asks us to wait.
pub(crate) fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Waits for a call until its deadline. Then the call is dropped, which closes its connection.
pub(crate) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Failure::Status(status)),
        Ok(Err(error)) => Err(Failure::Unknown(chain(&error))),
        Err(_) => Err(Failure::Unknown(format!(
            "no answer within {} s",
            deadline.as_secs()
        ))),
    }
}

/// An error with its causes. The text of kube's own error is only "ServiceError", which says nothing, so it is left out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    if let Some(rest) = text.strip_prefix("ServiceError") {
        text = rest.trim_start_matches(": ").to_owned();
    }
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// At most 300 characters, without control characters, which could forge a log line.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_cause_and_without_kubes_own_word() {
        let error = kube::Error::Service("connection refused".into());
        assert_eq!(chain(&error), "connection refused");
        let error = kube::Error::Service(Box::new(std::fmt::Error));
        assert_eq!(chain(&error), std::fmt::Error.to_string());
    }
}
