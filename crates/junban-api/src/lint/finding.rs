//! One finding in a file.

use std::fmt;

use serde::Serialize;

use crate::convert::FieldError;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The API server refuses the object, or Junban cannot read it.
    Error,
    /// The API server accepts the object, but it will not do what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// One finding in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// The number of the document in the file, from 1.
    pub document: usize,
    /// Kind and name, for example `RebootPolicy workers`. May be incomplete.
    pub object: String,
    /// The field. Empty: the document as a whole.
    pub path: String,
    pub problem: String,
    /// What to write instead. May be empty.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        write!(f, "{severity}: document {}", self.document)?;
        if !self.object.is_empty() {
            write!(f, " ({})", self.object)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.hint.is_empty() {
            write!(f, "\nhint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl Finding {
    pub(super) fn of_field(severity: Severity, document: usize, object: &str, error: FieldError) -> Self {
        Self {
            severity,
            document,
            object: object.to_owned(),
            path: error.path,
            problem: error.problem,
            hint: error.hint,
        }
    }
}
