//! What went wrong: a sentence and the next command for a person, an exit code for a script.

use std::fmt;
use std::process::ExitCode;

/// Exit codes (docs/design/overview.md#command-line).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    /// Blocked, or the time is over.
    Blocked,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Blocked => 3,
        })
    }
}

/// Why a command did not do what was asked. Displayed as `error: ...` and a last line `hint: ...`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// The next command, or what to look at. Never empty.
    pub(crate) hint: String,
    pub(crate) exit: Exit,
}

impl Problem {
    /// The cluster, or an object in it, prevents what was asked.
    pub(crate) fn failed(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: hint.into(),
            exit: Exit::Failed,
        }
    }

    /// The command itself is wrong.
    pub(crate) fn usage(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::failed(text, hint)
        }
    }

    /// It waits for a person, or the time is over.
    pub(crate) fn blocked(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Blocked,
            ..Self::failed(text, hint)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\nhint: {}", self.text, self.hint)
    }
}

impl std::error::Error for Problem {}
