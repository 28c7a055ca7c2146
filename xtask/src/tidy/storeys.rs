//! The storeys of junban-core: `lib.rs` declares its modules below lines `// Storey 1: NAME`, `// Storey 2: NAME` and so
//! on. A module may import modules of its own storey and of lower ones.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use syn::Item;

use super::files::Files;
use super::imports::{Imports, imports};
use super::modules::is_test;

const CORE: &str = "crates/junban-core";

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let path = format!("{CORE}/src/lib.rs");
    let text = files.get(&path).with_context(|| format!("there is no {path}"))?;
    let found = problems(text, &imports(files, CORE)?)?;
    Ok(found
        .into_iter()
        .map(|problem| format!("{path}: {problem}"))
        .collect())
}

/// The problems of a `lib.rs` and of the imports between the files of its crate.
fn problems(lib: &str, imports: &Imports) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let lines = lib.lines().enumerate();
    let storeys: Vec<(usize, &str)> = lines
        .filter_map(|(line, text)| Some((line + 1, text.strip_prefix("// Storey ")?)))
        .collect();
    if storeys.is_empty() {
        let fix = "open each group of modules with a line `// Storey N: NAME`, from 1 up";
        return Ok(vec![format!("declares no storeys: {fix}")]);
    }
    for (number, (line, title)) in (1..).zip(&storeys) {
        let name = title.strip_prefix(&format!("{number}: ")).unwrap_or_default();
        if name.trim().is_empty() {
            problems.push(format!("line {line} is not `// Storey {number}: NAME`"));
        }
    }
    let mut storey_of = BTreeMap::new();
    for item in syn::parse_file(lib)?.items {
        let Item::Mod(module) = item else { continue };
        let line = module.mod_token.span.start().line;
        let storey = storeys.iter().filter(|(opened, _)| *opened < line).count();
        if storey > 0 {
            storey_of.insert(module.ident.to_string(), storey);
        } else if !is_test(&module.attrs) {
            problems.push(format!(
                "line {line}: `mod {};` stands in no storey",
                module.ident
            ));
        }
    }
    for ((from, to), names) in imports {
        let storey = |path: &str| storey_of.get(path.split(['/', '.']).next()?).copied();
        if let (Some(own), Some(other)) = (storey(from), storey(to))
            && other > own
        {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let names = names.join(", ");
            problems.push(format!(
                "{from} (storey {own}) imports {names} of {to} (storey {other})"
            ));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests;
