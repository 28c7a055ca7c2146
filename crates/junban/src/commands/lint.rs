//! `junban lint`: checks files of policies and queues. Needs no cluster.

use std::path::{Path, PathBuf};
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
    let (files, problems) = with_folders(&arguments.files);
    // The other files are checked all the same.
    let mut first_problem = problems.into_iter().next();
    for file in &files {
        let (text, shown) = match read(file) {
            Ok(read) => read,
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
            printer.message(&format!(
                "note: {shown} contains no object of Junban, so nothing was checked"
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
            match files.len() {
                1 => format!("{errors} errors"),
                several => format!("{errors} errors in {several} files"),
            },
            "correct them and run junban lint again; kubectl explain rebootpolicy.spec describes the fields",
        ));
    }
    if checked == 0 {
        return Err(Problem::failed(
            "nothing was checked: no file contains an object of Junban",
            "kubectl get rebootpolicies,rebootqueues -o yaml | junban lint -",
        ));
    }
    printer.message(&format!("{checked} files may be applied"));
    Ok(Exit::Done)
}

/// The files to check: of a folder those that kubectl would apply, by name.
fn with_folders(named: &[PathBuf]) -> (Vec<PathBuf>, Vec<Problem>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match folder(path) {
            Ok(found) if !found.is_empty() => files.extend(found),
            Ok(_) => problems.push(Problem::usage(
                format!("{} contains no .yaml, .yml or .json file", path.display()),
                "junban lint FILE",
            )),
            Err(error) => problems.push(unreadable(&path.display().to_string(), &error)),
        }
    }
    (files, problems)
}

fn folder(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(shown: &str, error: &io::Error) -> Problem {
    Problem::usage(format!("{shown} cannot be read: {error}"), "junban lint FILE")
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
        Err(error) => Err(unreadable(&shown, &error)),
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
