//! Where output goes: data to stdout, talk to stderr. The only place of the commands that writes to either.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::problem::Problem;
use crate::cli::Output;

/// Both streams and the format of the data. Colours are dropped where the stream is no terminal or NO_COLOR is set.
pub(crate) struct Printer {
    data: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    pub(crate) format: Output,
    /// Whether somebody looks at stderr.
    pub(crate) is_terminal: bool,
    failed: Option<io::ErrorKind>,
}

impl Printer {
    pub(crate) fn new(format: Output) -> Self {
        Self {
            data: Box::new(anstream::stdout()),
            talk: Box::new(anstream::stderr()),
            format,
            is_terminal: io::stderr().is_terminal(),
            failed: None,
        }
    }

    /// Data. A failure to write is remembered: see [`Printer::finish`].
    pub(crate) fn data(&mut self, text: &str) {
        let text = text.trim_end_matches('\n');
        let written = writeln!(self.data, "{text}").and_then(|()| self.data.flush());
        if let Err(error) = written {
            self.failed.get_or_insert(error.kind());
        }
    }

    /// Talk. Nobody is told when nobody can be.
    pub(crate) fn talk(&mut self, text: &str) {
        let _ = writeln!(self.talk, "{}", text.trim_end_matches('\n'));
    }

    /// A value as JSON or YAML; `table` says what it is otherwise.
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
                format!("the answer cannot be written: {error}"),
                "junban --version",
            )
        })?;
        self.data(&text);
        Ok(())
    }

    /// What was done to objects, a line each.
    pub(crate) fn done(&mut self, done: &[Done]) -> Result<(), Problem> {
        let lines = |line: fn(&Done) -> String| done.iter().map(line).collect::<Vec<_>>().join("\n");
        match self.format {
            Output::Name if done.is_empty() => Ok(()),
            Output::Name => {
                self.data(&lines(|one| format!("{}.junban.dev/{}", one.kind, one.name)));
                Ok(())
            }
            Output::Table | Output::Wide if done.is_empty() => Ok(()),
            _ => self.value(&done, || {
                lines(|one| format!("{}/{} {}", one.kind, one.name, one.did))
            }),
        }
    }

    /// Whether the reader of the data has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.failed.is_some()
    }

    /// An error if data could not be written, unless the reader simply had enough.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        match self.failed {
            None | Some(io::ErrorKind::BrokenPipe) => Ok(()),
            Some(kind) => Err(Problem::failed(
                format!("stdout cannot be written: {kind}"),
                "check where the output goes",
            )),
        }
    }
}

/// One thing that was done, or found to be so already.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Done {
    /// As `nodereboot`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// In words, as `created`.
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
}
