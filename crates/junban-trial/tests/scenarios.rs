//! Every file of `tests/scenarios/` in the simulated world, with two seeds; once more with watches that are seconds
//! apart; once more in bad weather, where requests are lost, late and answered late, and controllers die; and a few
//! with a crash after each write. Each is a test of its own, named after its file; a failing one names file and line.
//!
//! Takes words as cargo's own tests do: only tests whose name contains one of them are run.

#![expect(clippy::print_stdout, reason = "a test harness talks to whoever runs it")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use junban_core::effect::{Effect, NodeWrite};
use junban_sim::sim::{Delays, Trouble, Troubles};
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::simulated::{Options, Outcome, run, run_in, sweep};
use junban_world::{Rng, Span};

const SEEDS: [u64; 2] = [1, 2];

/// Swept on every run; `cargo xtask scenario FILE --sweep` does any other.
const SWEPT: [&str; 5] = [
    "three_empty_nodes",
    "budget_of_one",
    "cancel_in_draining",
    "cordon_before_the_run",
    "uncordon_in_mid_drain",
];

/// How far each watch of a process may be behind, by itself: whatever a process sees first, a run ends well. Only a
/// denial may be its own fault then (drain.md: a budget is believed 1 s after an eviction).
const APART: Span = Span::ms(5, 3_000);

/// In bad weather so many of 1,000 requests are lost, as many are late, and as many of the answers.
const TROUBLED_PER_MILLE: u32 = 30;
/// And so many kill whoever sent them.
const KILLED_PER_MILLE: u32 = 5;
/// The most that something is late by, in milliseconds.
const LATE_MAX: u64 = 8_000;

#[derive(Clone, Copy)]
enum Way {
    Seeds,
    WatchesApart,
    /// What the file claims of times and order does not hold there; what no run may ever do is judged.
    BadWeather,
    Sweep,
}

struct Test {
    name: String,
    path: PathBuf,
    way: Way,
}

fn main() -> ExitCode {
    let began = Instant::now();
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let all = tests();
    let chosen: Vec<&Test> = all
        .iter()
        .filter(|test| words.is_empty() || words.iter().any(|word| test.name.contains(word)))
        .collect();
    if std::env::args().any(|word| word == "--list") {
        chosen.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(test) = chosen.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let wrong = carry_out(test);
                    println!(
                        "test {} ... {}",
                        test.name,
                        if wrong.is_empty() { "ok" } else { "FAILED" }
                    );
                    if let Ok(mut failures) = failures.lock()
                        && !wrong.is_empty()
                    {
                        failures.push(wrong.join("\n"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    failures.iter().for_each(|failure| println!("\n{failure}"));
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failures.len(),
        failures.len(),
        all.len() - chosen.len(),
        began.elapsed().as_secs_f64()
    );
    // No file at all is no success.
    if failures.is_empty() && !all.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tests() -> Vec<Test> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let name = |path: &Path| {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let test = |path: &PathBuf, words: &str, way| Test {
        name: format!("{}{words}", name(path)),
        path: path.clone(),
        way,
    };
    let whole = files.iter().map(|path| test(path, "", Way::Seeds));
    let apart = files
        .iter()
        .map(|path| test(path, "_with_watches_apart", Way::WatchesApart));
    let weather = files
        .iter()
        .map(|path| test(path, "_in_bad_weather", Way::BadWeather));
    let swept = files
        .iter()
        .filter(|path| SWEPT.contains(&name(path).as_str()))
        .map(|path| test(path, "_ended_after_each_write", Way::Sweep));
    whole.chain(apart).chain(weather).chain(swept).collect()
}

/// What was wrong, a line each.
fn carry_out(test: &Test) -> Vec<String> {
    let file = format!(
        "tests/scenarios/{}",
        test.path.file_name().unwrap_or_default().to_string_lossy()
    );
    let text = match std::fs::read_to_string(&test.path) {
        Ok(text) => text,
        Err(error) => return vec![format!("{file}: {error}")],
    };
    let scenario = match parse(&file, &text) {
        Ok(scenario) => scenario,
        Err(error) => return vec![error.to_string()],
    };
    let options = |seed| Options {
        seed,
        ..Options::default()
    };
    let mut wrong = Vec::new();
    for seed in SEEDS {
        let outcome = match test.way {
            Way::Seeds => run(&scenario, options(seed)),
            Way::WatchesApart => watches_apart(&scenario, options(seed)),
            Way::BadWeather => bad_weather(&scenario, options(seed)),
            Way::Sweep => return swept(&scenario),
        };
        let told = outcome.failures.iter().map(|failure| failure.describe(&file));
        wrong.extend(told.map(|text| format!("with seed {seed}: {text}")));
    }
    wrong
}

fn watches_apart(scenario: &Scenario, options: Options) -> Outcome {
    let delays = Delays {
        watch: APART,
        ..Delays::default()
    };
    let options = Options {
        lenient: true,
        ..options
    };
    run_in(scenario, options, delays, Troubles::default())
}

/// What must begin by a moment: once sent, nobody can call it back, however late it arrives.
fn rests_on_evidence(effect: &Effect) -> bool {
    match effect {
        Effect::Evict(_) | Effect::DeletePod(_) | Effect::Power(_) => true,
        Effect::PatchNode(patch) => patch.what == NodeWrite::Start,
        _ => false,
    }
}

fn bad_weather(scenario: &Scenario, options: Options) -> Outcome {
    let mut rng = Rng::stream(options.seed, "weather");
    let on_send = move |_: u32, effect: &Effect| {
        let mut strikes = |per_mille| rng.chance(per_mille);
        let trouble = Trouble {
            request_lost: strikes(TROUBLED_PER_MILLE),
            answer_lost: strikes(TROUBLED_PER_MILLE),
            kill: strikes(KILLED_PER_MILLE),
            ..Trouble::default()
        };
        let (late, answer_late) = (strikes(TROUBLED_PER_MILLE), strikes(TROUBLED_PER_MILLE));
        let mut so_late = |is_late| if is_late { rng.below(LATE_MAX) } else { 0 };
        Trouble {
            late: so_late(late && !rests_on_evidence(effect)),
            answer_late: so_late(answer_late),
            ..trouble
        }
    };
    let delays = Delays {
        watch: Span::ms(5, 1_000),
        ..Delays::default()
    };
    let troubles = Troubles {
        on_send: Some(Box::new(on_send)),
        ..Troubles::default()
    };
    let options = Options {
        lenient: true,
        rules_only: true,
        ..options
    };
    run_in(scenario, options, delays, troubles)
}

fn swept(scenario: &Scenario) -> Vec<String> {
    const LIMIT: u64 = 500;
    let swept = sweep(scenario, SEEDS[0], 1, LIMIT);
    let without = swept
        .failures
        .iter()
        .map(|failure| failure.describe(&scenario.file));
    let mut wrong: Vec<String> = without.collect();
    if swept.crashes < 10 {
        wrong.push(format!(
            "{}: only {} writes: nothing was swept",
            scenario.file, swept.crashes
        ));
    }
    for difference in &swept.differences {
        let failures = difference
            .failures
            .iter()
            .map(|failure| failure.describe(&scenario.file));
        let told: Vec<String> = failures.collect();
        wrong.push(format!(
            "{}: ended after write {}: {:?} and not {:?} {}",
            scenario.file,
            difference.write,
            difference.end,
            swept.without,
            told.join("; ")
        ));
    }
    wrong
}
