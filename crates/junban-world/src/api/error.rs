//! The error answers of the API server.

use std::fmt;

/// One error answer. [`ApiError::status`] gives its HTTP status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    NotFound {
        text: String,
    },
    AlreadyExists {
        text: String,
    },
    /// The object has another resourceVersion or UID than the precondition asks for.
    Conflict {
        text: String,
    },
    /// Validation or an admission rule refuses the object, or a `test` of a JSON patch failed.
    Invalid {
        text: String,
    },
    /// RBAC or a webhook refuses, or the namespace is being deleted (`cause` is then `NamespaceTerminating`).
    Forbidden {
        cause: String,
        text: String,
    },
    /// `cause` is `DisruptionBudget` if a budget refuses; it is empty if the caller is throttled or a webhook
    /// refuses.
    TooManyRequests {
        cause: String,
        retry_after_s: Option<u64>,
        text: String,
    },
    Internal {
        text: String,
    },
    /// No answer came: the server may have done the write.
    Timeout {
        text: String,
    },
    /// The server is not reachable (outage): it did not do the write.
    Unavailable {
        text: String,
    },
    /// The server no longer keeps the changes since the resource version that the caller asked for.
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

    /// The HTTP status; 0 if no answer came.
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
