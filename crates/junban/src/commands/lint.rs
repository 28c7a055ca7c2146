//! `junban lint`: files of Junban's objects, checked without a cluster.

use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;
use junban_api::lint::{Finding, Severity, is_clean, lint};
use serde::Serialize;

use super::printer::Printer;
use super::problem::{Exit, Problem};
use crate::cli::{self, Output};

pub(crate) fn run(arguments: &cli::Lint, printer: &mut Printer) -> Result<Exit, Problem> {
    let mut findings = Vec::new();
    let mut checked = 0;
    let mut unread = None;
    for file in &arguments.files {
        let (text, shown) = match read(file) {
            Ok(read) => read,
            // The others are checked all the same.
            Err(problem) => {
                unread.get_or_insert(problem);
                continue;
            }
        };
        // Only this command goes by the clock of the machine: there is no other here.
        let found = lint(&text, Timestamp::now());
        if found.objects > 0 {
            checked += 1;
        } else if is_clean(&found.findings) {
            printer.talk(&format!(
                "note: {shown} holds no object of Junban's: nothing was checked\nhint: of a cluster: kubectl get rebootpolicies,rebootqueues -o yaml | junban lint -"
            ));
        }
        findings.extend(found.findings.iter().map(|finding| InFile::new(&shown, finding)));
    }
    match printer.format {
        Output::Table | Output::Wide if findings.is_empty() => {}
        Output::Name => {
            let mut files: Vec<&str> = findings.iter().map(|finding| finding.file.as_str()).collect();
            files.dedup();
            if !files.is_empty() {
                printer.data(&files.join("\n"));
            }
        }
        _ => printer.value(&findings, || {
            findings
                .iter()
                .map(InFile::describe)
                .collect::<Vec<_>>()
                .join("\n")
        })?,
    }
    if let Some(problem) = unread {
        return Err(problem);
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == "error")
        .count();
    if errors > 0 {
        return Err(Problem::failed(
            format!("{errors} errors in {} files", arguments.files.len()),
            "mend them and run junban lint again; the fields: kubectl explain rebootpolicy.spec",
        ));
    }
    if checked > 0 {
        printer.talk(&format!("{checked} files may be applied"));
    }
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<(String, String), Problem> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| Problem::usage(format!("stdin cannot be read: {error}"), "junban lint FILE"))?;
        return Ok((text, "stdin".to_owned()));
    }
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::usage(format!("{shown} cannot be read: {error}"), "junban lint FILE"))?;
    Ok((text, shown))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InFile {
    file: String,
    severity: &'static str,
    document: usize,
    object: String,
    path: String,
    problem: String,
    hint: String,
    #[serde(skip)]
    text: String,
}

impl InFile {
    fn new(file: &str, finding: &Finding) -> Self {
        Self {
            file: file.to_owned(),
            severity: match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "info",
            },
            document: finding.document,
            object: finding.object.clone(),
            path: finding.path.clone(),
            problem: finding.problem.clone(),
            hint: finding.hint.clone(),
            text: finding.to_string(),
        }
    }

    fn describe(&self) -> String {
        format!("{}: {}", self.file, self.text.replace("\nhint:", "\n  hint:"))
    }
}
