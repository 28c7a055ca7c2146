//! The answers of the API server that are not a success.

use std::fmt;

/// One refusal. The HTTP status is in [`ApiError::status`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    NotFound {
        text: String,
    },
    AlreadyExists {
        text: String,
    },
    /// resourceVersion or UID precondition not met.
    Conflict {
        text: String,
    },
    /// Validation, admission rule, or a failed `test` of a JSON patch.
    Invalid {
        text: String,
    },
    /// RBAC, webhook, or `NamespaceTerminating` (then in `cause`).
    Forbidden {
        cause: String,
        text: String,
    },
    /// `cause` is `DisruptionBudget` for a budget, else empty (throttled, webhook).
    TooManyRequests {
        cause: String,
        retry_after_s: Option<u64>,
        text: String,
    },
    Internal {
        text: String,
    },
    /// No answer came: the write may have been done.
    Timeout {
        text: String,
    },
    /// Nobody listens (outage): the write was not done.
    Unavailable {
        text: String,
    },
    /// The resource version asked for has been compacted.
    Gone,
}

impl ApiError {
    pub(crate) fn not_found(what: impl fmt::Display) -> Self {
        Self::NotFound {
            text: format!("{what} not found"),
        }
    }

    pub(crate) fn conflict(what: impl fmt::Display) -> Self {
        Self::Conflict {
            text: format!("Operation cannot be fulfilled on {what}"),
        }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid { text: text.into() }
    }

    /// The HTTP status; 0 where there was no answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotFound { .. } => 404,
            Self::AlreadyExists { .. } | Self::Conflict { .. } => 409,
            Self::Invalid { .. } => 422,
            Self::Forbidden { .. } => 403,
            Self::TooManyRequests { .. } => 429,
            Self::Internal { .. } => 500,
            Self::Timeout { .. } | Self::Unavailable { .. } => 0,
            Self::Gone => 410,
        }
    }

    /// The message of the answer.
    pub fn text(&self) -> &str {
        match self {
            Self::NotFound { text }
            | Self::AlreadyExists { text }
            | Self::Conflict { text }
            | Self::Invalid { text }
            | Self::Forbidden { text, .. }
            | Self::TooManyRequests { text, .. }
            | Self::Internal { text }
            | Self::Timeout { text }
            | Self::Unavailable { text } => text,
            Self::Gone => "too old resource version",
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status(), self.text())
    }
}

impl std::error::Error for ApiError {}
