//! Collects field errors: a person who corrects a file wants to see all errors at once.

use std::fmt;

use jiff::Timestamp;
use junban_core::quantity::IntOrPercent;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::time::parse_goal;
use crate::resources::{COUNT_MAX, CountOrPercent};

/// What is wrong with one field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FieldError {
    /// For example `spec.drain.timeout`.
    pub path: String,
    pub problem: String,
    /// What to write instead. May be empty.
    pub hint: String,
}

impl FieldError {
    pub(crate) fn new(path: &str, problem: impl fmt::Display, hint: &str) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.to_string(),
            hint: hint.to_owned(),
        }
    }
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

/// Everything that is wrong with one of our objects that cannot be read. Never empty.
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
    pub(crate) fn one(path: &str, problem: impl fmt::Display, hint: &str) -> Self {
        Self(vec![FieldError::new(path, problem, hint)])
    }
}

/// Reads a part of an object into the types of the schema. The API server has checked it already, or `lint` has.
pub(super) fn typed<T: DeserializeOwned>(data: &Value, part: &str) -> Result<T, Unreadable> {
    let value = data.get(part).cloned().unwrap_or_else(|| json!({}));
    serde_json::from_value(value).map_err(|error| Unreadable::one(part, error, "junban lint FILE"))
}

/// Collects errors while an object is parsed.
#[derive(Default)]
pub(crate) struct Fields(pub(crate) Vec<FieldError>);

impl Fields {
    pub(crate) fn wrong(&mut self, path: &str, problem: impl fmt::Display, hint: &str) {
        self.0.push(FieldError::new(path, problem, hint));
    }

    /// The value. On an error: a stand-in, which [`Fields::finish`] never returns.
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

    /// Checks each item of a list. No item may be in the list twice.
    pub(super) fn set(
        &mut self,
        path: &str,
        items: &[String],
        fits: impl Fn(&str) -> bool,
        problem: &str,
        hint: &str,
    ) {
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if !fits(item) {
                self.wrong(&path, format_args!("{item:?} {problem}"), hint);
            }
            if items[..index].contains(item) {
                self.wrong(&path, format_args!("{item:?} is in the list twice"), "remove one");
            }
        }
    }

    /// A goal.
    pub(super) fn goal(&mut self, path: &str, text: &str) -> Timestamp {
        let hint = "write UTC with Z, for example 2026-11-23T09:00:00Z";
        self.take(path, parse_goal(text), hint, Timestamp::UNIX_EPOCH)
    }

    /// A percentage, or a count of at least `minimum`.
    pub(super) fn share(&mut self, path: &str, raw: &CountOrPercent, minimum: u32) -> IntOrPercent {
        let hint = "write a number, or a percentage from 1% to 100%";
        let read = match raw {
            CountOrPercent::Count(count) => match u32::try_from(*count) {
                _ if *count < i64::from(minimum) => Err(format!("{count} is below {minimum}")),
                Ok(count) if count <= COUNT_MAX => Ok(IntOrPercent::Count(count)),
                _ => Err(format!("{count} is above {COUNT_MAX}")),
            },
            CountOrPercent::Percent(text) if text.ends_with('%') => {
                IntOrPercent::parse(text).map_err(|error| error.to_string())
            }
            CountOrPercent::Percent(text) => Err(format!("{text:?} is neither a number nor a percentage")),
        };
        self.take(path, read, hint, IntOrPercent::Count(minimum))
    }

    /// The object, if all its fields were right.
    pub(super) fn finish<T>(self, whole: T) -> Result<T, Unreadable> {
        if self.0.is_empty() {
            Ok(whole)
        } else {
            Err(Unreadable(self.0))
        }
    }
}
