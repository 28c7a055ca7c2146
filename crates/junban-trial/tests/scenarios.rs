//! Runs every file of `tests/scenarios/` in the simulated world: with two seeds, with watches that are seconds apart, and
//! in bad weather, where requests and answers are lost or late and controllers die. A few files are also run with a
//! crash after each write. Each of these is a test with the name of the file. A failed test names file and line.
//!
//! Words on the command line choose tests as with cargo's own tests: a test runs if its name contains one of the words.

#![expect(clippy::print_stdout, reason = "a test harness prints its results")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use junban_core::effect::{Effect, NodeWrite};
use junban_sim::sim::{Delays, Trouble, Troubles};
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::simulated::{Options, SimulatedReport, run, run_in, sweep};
use junban_world::{Rng, Span};

const SEEDS: [u64; 2] = [1, 2];

/// The files with a crash sweep. `cargo xtask scenario FILE --sweep` sweeps any other file.
const SWEPT: [&str; 5] = [
    "three_empty_nodes",
    "budget_of_one",
    "cancel_in_draining",
    "cordon_before_the_run",
    "uncordon_in_mid_drain",
];

/// The lag of each watch of a process. Whatever a process sees first, a run must end well. Only a budget may then deny an
/// eviction: its status is believed 1 s after the last eviction (docs/design/drain.md#tokens).
const APART: Span = Span::ms(5, 3_000);

/// In bad weather this many of 1,000 requests are lost and this many are late. The same holds for answers.
const TROUBLED_PER_MILLE: u32 = 30;
/// This many of 1,000 requests kill the process that sends them.
const KILLED_PER_MILLE: u32 = 5;
/// A late request or answer is at most this many milliseconds late.
const LATE_MAX: u64 = 8_000;

#[derive(Clone, Copy)]
enum Kind {
    Seeds,
    WatchesApart,
    /// Only the rules of every scenario are judged: the claims of the file about times and order do not hold there.
    BadWeather,
    Sweep,
}

struct Test {
    name: String,
    path: PathBuf,
    kind: Kind,
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
                    let wrong = run_test(test);
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
    // Without any file the test fails.
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
    let test = |path: &PathBuf, words: &str, kind| Test {
        name: format!("{}{words}", name(path)),
        path: path.clone(),
        kind,
    };
    let whole = files.iter().map(|path| test(path, "", Kind::Seeds));
    let apart = files
        .iter()
        .map(|path| test(path, "_with_watches_apart", Kind::WatchesApart));
    let weather = files
        .iter()
        .map(|path| test(path, "_in_bad_weather", Kind::BadWeather));
    let swept = files
        .iter()
        .filter(|path| SWEPT.contains(&name(path).as_str()))
        .map(|path| test(path, "_ended_after_each_write", Kind::Sweep));
    whole.chain(apart).chain(weather).chain(swept).collect()
}

/// Runs one test. Returns a line for each failure.
fn run_test(test: &Test) -> Vec<String> {
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
        let report = match test.kind {
            Kind::Seeds => run(&scenario, options(seed)),
            Kind::WatchesApart => watches_apart(&scenario, options(seed)),
            Kind::BadWeather => bad_weather(&scenario, options(seed)),
            Kind::Sweep => return swept(&scenario),
        };
        let failures = report.failures.iter().map(|failure| failure.describe(&file));
        wrong.extend(failures.map(|text| format!("with seed {seed}: {text}")));
    }
    wrong
}

fn watches_apart(scenario: &Scenario, options: Options) -> SimulatedReport {
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

/// Whether this effect must begin by a certain moment. Once it is sent, nobody can call it back, however late it arrives.
fn rests_on_evidence(effect: &Effect) -> bool {
    match effect {
        Effect::Evict(_) | Effect::DeletePod(_) | Effect::Power(_) => true,
        Effect::PatchNode(patch) => patch.what == NodeWrite::Start,
        _ => false,
    }
}

fn bad_weather(scenario: &Scenario, options: Options) -> SimulatedReport {
    let mut rng = Rng::stream(options.seed, "weather");
    let on_send = move |_: u32, effect: &Effect| {
        let mut happens = |per_mille| rng.chance(per_mille);
        let trouble = Trouble {
            request_lost: happens(TROUBLED_PER_MILLE),
            answer_lost: happens(TROUBLED_PER_MILLE),
            kill: happens(KILLED_PER_MILLE),
            ..Trouble::default()
        };
        let (late, answer_late) = (happens(TROUBLED_PER_MILLE), happens(TROUBLED_PER_MILLE));
        let mut lateness = |is_late| if is_late { rng.below(LATE_MAX) } else { 0 };
        Trouble {
            late: lateness(late && !rests_on_evidence(effect)),
            answer_late: lateness(answer_late),
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
            "{}: only {} writes, which is too few for a sweep",
            scenario.file, swept.crashes
        ));
    }
    for difference in &swept.differences {
        let failures = difference
            .failures
            .iter()
            .map(|failure| failure.describe(&scenario.file));
        let failures: Vec<String> = failures.collect();
        wrong.push(format!(
            "{}: ended after write {}: {:?} and not {:?} {}",
            scenario.file,
            difference.write,
            difference.end,
            swept.without,
            failures.join("; ")
        ));
    }
    wrong
}
