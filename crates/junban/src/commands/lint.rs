//! `junban lint`: checks files of policies and queues. Needs no cluster.

use std::path::Path;
use std::{fs, io};

use jiff::Timestamp;
use junban_api::lint::{Finding, Severity, is_clean, lint};
use serde::Serialize;

use super::printer::Printer;
use super::problem::{Exit, Problem};
use crate::cli::{self, Output};

pub(crate) fn run(arguments: &cli::Lint, printer: &mut Printer) -> Result<Exit, Problem> {
    let mut findings = Vec::new();
    let mut checked = 0;
    let mut first_problem = None;
    for file in &arguments.files {
        let (text, shown) = match read(file) {
            Ok(read) => read,
            // The other files are checked all the same.
            Err(problem) => {
                first_problem.get_or_insert(problem);
                continue;
            }
        };
        // Only this command goes by the machine's own clock: without a cluster there is no other.
        let found = lint(&text, Timestamp::now());
        if found.objects > 0 {
            checked += 1;
        } else if is_clean(&found.findings) {
            printer.talk(&format!(
                "note: {shown} contains no object of Junban, so nothing was checked\nhint: to check what a cluster has: kubectl get rebootpolicies,rebootqueues -o yaml | junban lint -"
            ));
        }
        findings.extend(found.findings.into_iter().map(|finding| FileFinding {
            file: shown.clone(),
            finding,
        }));
    }
    match printer.format {
        Output::Table | Output::Wide => printer.lines(findings.iter().map(FileFinding::describe)),
        Output::Name => {
            let mut files: Vec<String> = findings.iter().map(|found| found.file.clone()).collect();
            files.dedup();
            printer.lines(files.into_iter());
        }
        Output::Json | Output::Yaml => printer.value(&findings, String::new)?,
    }
    if let Some(problem) = first_problem {
        return Err(problem);
    }
    let errors = findings
        .iter()
        .filter(|found| found.finding.severity == Severity::Error)
        .count();
    if errors > 0 {
        return Err(Problem::failed(
            format!("{errors} errors in {} files", arguments.files.len()),
            "correct them and run junban lint again; kubectl explain rebootpolicy.spec describes the fields",
        ));
    }
    if checked > 0 {
        printer.talk(&format!("{checked} files may be applied"));
    }
    Ok(Exit::Done)
}

/// The text of a file, and the name by which messages call it.
fn read(file: &Path) -> Result<(String, String), Problem> {
    let (text, shown) = if file == Path::new("-") {
        (io::read_to_string(io::stdin()), "stdin".to_owned())
    } else {
        (fs::read_to_string(file), file.display().to_string())
    };
    match text {
        Ok(text) => Ok((text, shown)),
        Err(error) => Err(Problem::usage(
            format!("{shown} cannot be read: {error}"),
            "junban lint FILE",
        )),
    }
}

#[derive(Serialize)]
struct FileFinding {
    file: String,
    #[serde(flatten)]
    finding: Finding,
}

impl FileFinding {
    fn describe(&self) -> String {
        let text = self.finding.to_string();
        format!("{}: {}", self.file, text.replace("\nhint:", "\n  hint:"))
    }
}
