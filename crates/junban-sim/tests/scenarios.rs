//! Every file of `tests/scenarios/` in the simulated world. A failing one is named with file and line.

use std::path::{Path, PathBuf};

use junban_sim::scenario::parse;
use junban_sim::simulated::{Options, run};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_file_holds_in_the_simulated_world() {
    let files = files();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in &files {
        let name = format!("tests/scenarios/{}", path.file_name().unwrap().to_string_lossy());
        let text = std::fs::read_to_string(path).unwrap();
        match parse(&name, &text) {
            Err(error) => wrong.push(error.to_string()),
            Ok(scenario) => {
                for seed in [1, 2] {
                    let options = Options {
                        seed,
                        exit_after_writes: None,
                    };
                    let outcome = run(&scenario, options);
                    let told = outcome.failures.iter().map(|failure| failure.describe(&name));
                    wrong.extend(told.map(|text| format!("seed {seed}: {text}")));
                }
            }
        }
        println!("{name}: {}", if wrong.is_empty() { "ok" } else { "see below" });
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
