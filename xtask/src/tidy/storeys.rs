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
mod tests {
    use super::super::files::Files;
    use super::{CORE, check};

    const LIB: &str =
        "// Core.\n\n// Storey 1: values\nmod ids;\npub mod time;\n\n// Storey 2: rules\nmod plan;\n";

    fn found(lib: &str, sources: &[(&str, &str)]) -> Vec<String> {
        let sources = [&[("ids.rs", ""), ("time.rs", ""), ("plan.rs", "")], sources].concat();
        let sources = sources.into_iter().map(|(name, text)| (name, text.to_owned()));
        let sources = sources.chain([("lib.rs", lib.to_owned())]);
        let files: Files = sources
            .map(|(name, text)| (format!("{CORE}/src/{name}"), text))
            .collect();
        check(&files).unwrap()
    }

    #[test]
    fn a_module_may_import_its_own_storey_and_lower_ones() {
        let sources = [
            ("ids.rs", "use crate::time::Time;"),
            ("time.rs", "pub struct Time;"),
            ("plan.rs", "mod gates; use crate::ids::Id; pub struct Plan;"),
            ("plan/gates.rs", "fn f(_: crate::time::Time, _: super::Plan) {}"),
        ];
        assert_eq!(found(LIB, &sources), Vec::<String>::new());
    }

    #[test]
    fn an_import_of_a_higher_storey_is_found() {
        let sources = [
            ("time.rs", "use crate::plan::gates::Gate;"),
            ("plan.rs", "pub mod gates;"),
            ("plan/gates.rs", "pub struct Gate;"),
        ];
        let expected = "lib.rs: time.rs (storey 1) imports Gate of plan/gates.rs (storey 2)";
        assert_eq!(found(LIB, &sources), [format!("{CORE}/src/{expected}")]);
        let for_tests = [
            ("time.rs", "#[cfg(test)] use crate::plan::Plan;"),
            ("plan.rs", "pub struct Plan;"),
        ];
        assert_eq!(found(LIB, &for_tests), Vec::<String>::new());
    }

    #[test]
    fn a_module_in_no_storey_and_a_wrong_line_are_found() {
        let above = format!(
            "mod ids;\n#[cfg(test)] mod fixture;\n{}",
            LIB.replace("mod ids;\n", "")
        );
        assert!(found(&above, &[])[0].contains("line 1: `mod ids;` stands in no storey"));
        for wrong in ["Storey 3: rules", "Storey 2 rules", "Storey 2: "] {
            let found = found(&LIB.replace("Storey 2: rules", wrong), &[]);
            assert!(
                found[0].contains("line 7 is not `// Storey 2: NAME`"),
                "{wrong}: {found:?}"
            );
        }
        assert!(found("mod plan;", &[])[0].contains("declares no storeys"));
    }
}
