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
