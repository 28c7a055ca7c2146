//! Field errors, collected: a person who mends a file wants all of them at once.

use std::fmt;

/// One thing wrong with one field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FieldError {
    /// As `spec.drain.timeout`.
    pub path: String,
    pub problem: String,
    /// What to write instead; may be empty.
    pub hint: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)?;
        if !self.hint.is_empty() {
            write!(f, " (hint: {})", self.hint)?;
        }
        Ok(())
    }
}

/// An object of our own that does not parse, with everything that is wrong with it. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable(pub Vec<FieldError>);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Unreadable {}

impl Unreadable {
    pub(super) fn one(path: &str, problem: impl fmt::Display, hint: &str) -> Self {
        Self(vec![FieldError {
            path: path.to_owned(),
            problem: problem.to_string(),
            hint: hint.to_owned(),
        }])
    }
}

/// Collects errors while a whole object is parsed.
#[derive(Default)]
pub(super) struct Fields(Vec<FieldError>);

impl Fields {
    pub(super) fn wrong(&mut self, path: &str, problem: impl fmt::Display, hint: &str) {
        self.0.extend(Unreadable::one(path, problem, hint).0);
    }

    /// The value, or on an error a stand-in that never leaves [`Fields::finish`].
    pub(super) fn take<T>(
        &mut self,
        path: &str,
        read: Result<T, impl fmt::Display>,
        hint: &str,
        stand_in: T,
    ) -> T {
        read.unwrap_or_else(|problem| {
            self.wrong(path, problem, hint);
            stand_in
        })
    }

    /// The whole, if nothing was wrong with any of its fields.
    pub(super) fn finish<T>(self, whole: T) -> Result<T, Unreadable> {
        if self.0.is_empty() {
            Ok(whole)
        } else {
            Err(Unreadable(self.0))
        }
    }
}
