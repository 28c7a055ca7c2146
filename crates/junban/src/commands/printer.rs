//! Writes what a command prints: data to stdout, messages to stderr.

use std::io::{self, Write};

use junban_core::ids::{EntryName, NodeName};
use serde::Serialize;

use super::problem::Problem;
use crate::cli::Output;

/// Both streams and the format of the data. Drops colours if the stream is no terminal or NO_COLOR is set.
pub(crate) struct Printer {
    data: Box<dyn Write + Send>,
    messages: Box<dyn Write + Send>,
    pub(crate) format: Output,
    failed: Option<io::ErrorKind>,
}

impl Printer {
    pub(crate) fn new(format: Output) -> Self {
        Self {
            data: Box::new(anstream::stdout()),
            messages: Box::new(anstream::stderr()),
            format,
            failed: None,
        }
    }

    /// Prints data. [`Printer::finish`] reports the first error of a write.
    pub(crate) fn data(&mut self, text: &str) {
        let text = text.trim_end_matches('\n');
        let written = writeln!(self.data, "{text}").and_then(|()| self.data.flush());
        if let Err(error) = written {
            self.failed.get_or_insert(error.kind());
        }
    }

    /// Prints a note, a hint or an error. Ignores a failure to write: there is no other place to report it.
    pub(crate) fn message(&mut self, text: &str) {
        let _ = writeln!(self.messages, "{}", text.trim_end_matches('\n'));
    }

    /// Prints a value as JSON or YAML, or else the text that `table` makes.
    pub(crate) fn value(
        &mut self,
        value: &impl Serialize,
        table: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        let text = match self.format {
            Output::Json => serde_json::to_string_pretty(value).map_err(|error| error.to_string()),
            Output::Yaml => serde_saphyr::to_string(value).map_err(|error| error.to_string()),
            Output::Table | Output::Wide | Output::Name => Ok(table()),
        };
        let text = text.map_err(|error| {
            Problem::failed(
                format!("the answer cannot be written as {:?}: {error}", self.format),
                "junban --version",
            )
        })?;
        self.data(&text);
        Ok(())
    }

    /// Prints these lines of data, or nothing if there are none.
    pub(crate) fn lines(&mut self, lines: impl Iterator<Item = String>) {
        let lines: Vec<String> = lines.collect();
        if !lines.is_empty() {
            self.data(&lines.join("\n"));
        }
    }

    /// Prints what was done, one line for each object.
    pub(crate) fn done(&mut self, done: &[Done]) -> Result<(), Problem> {
        match self.format {
            Output::Name => self.lines(
                done.iter()
                    .map(|one| format!("{}.junban.dev/{}", one.kind, one.name)),
            ),
            Output::Table | Output::Wide => {
                self.lines(
                    done.iter()
                        .map(|one| format!("{}/{} {}", one.kind, one.name, one.did)),
                );
            }
            Output::Json | Output::Yaml => self.value(&done, String::new)?,
        }
        Ok(())
    }

    /// Whether a write of data failed: the reader of stdout is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.failed.is_some()
    }

    /// Fails if data could not be written. It is no error if the reader of a pipe has ended.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        match self.failed {
            None | Some(io::ErrorKind::BrokenPipe) => Ok(()),
            Some(kind) => Err(Problem::failed(
                format!("cannot write to stdout: {kind}"),
                "check where the output goes",
            )),
        }
    }
}

/// What was done to one object, or what it was already.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Done {
    /// The resource in the singular, for example `nodereboot`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// In words, for example `created`.
    pub(crate) did: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// The goal, in UTC with Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<String>,
}

impl Done {
    pub(crate) fn new(kind: &'static str, name: impl Into<String>, did: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            did: did.into(),
            node: None,
            goal: None,
        }
    }

    pub(crate) fn of_entry(name: &EntryName, node: &NodeName, did: impl Into<String>) -> Self {
        Self {
            node: Some(node.to_string()),
            ..Self::new("nodereboot", name.as_str(), did)
        }
    }
}
