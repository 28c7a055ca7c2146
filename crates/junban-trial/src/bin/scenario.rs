//! Runs scenario files; [`USAGE`] lists the options.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints its results"
)]

use std::process::ExitCode;

use std::path::PathBuf;

use junban_trial::real;
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::scenario::sweep::SweepReport;
use junban_trial::simulated::{self, Options};

struct Arguments {
    files: Vec<String>,
    world: String,
    seed: u64,
    exit_after_writes: Option<u64>,
    sweep: bool,
    /// The first and the last write of a sweep.
    writes: (u64, u64),
    log: bool,
    testbed: Option<PathBuf>,
    junban: Option<PathBuf>,
    manifests: Option<PathBuf>,
}

const USAGE: &str = "usage: scenario FILE... [--world sim|real] [--seed S] [--exit-after-writes K] [--sweep [--writes A..B]] [--log]";

/// More writes than any scenario makes.
const WRITES_MAX: u64 = 2_000;

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for file in &arguments.files {
        let scenario = match std::fs::read_to_string(file) {
            Ok(text) => match parse(file, &text) {
                Ok(scenario) => scenario,
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::from(2);
                }
            },
            Err(error) => {
                eprintln!("error: {file}: {error}");
                return ExitCode::from(2);
            }
        };
        let good = match arguments.world.as_str() {
            "sim" if arguments.sweep => {
                let (first, last) = arguments.writes;
                print_sweep(
                    &scenario,
                    &simulated::sweep(&scenario, arguments.seed, first, last),
                )
            }
            "sim" => simulated_once(&scenario, &arguments),
            _ => on_the_real_control_plane(&scenario, &arguments),
        };
        failed += u32::from(!good);
    }
    let total = u32::try_from(arguments.files.len()).unwrap_or(u32::MAX);
    println!(
        "test result: {}. {} passed; {failed} failed",
        if failed == 0 { "ok" } else { "FAILED" },
        total - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        files: Vec::new(),
        world: "sim".into(),
        seed: 1,
        exit_after_writes: None,
        sweep: false,
        writes: (1, WRITES_MAX),
        log: false,
        testbed: None,
        junban: None,
        manifests: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--world" => arguments.world = value()?,
            "--seed" => arguments.seed = number(&value()?)?,
            "--exit-after-writes" => arguments.exit_after_writes = Some(number(&value()?)?),
            "--sweep" => arguments.sweep = true,
            "--writes" => arguments.writes = range(&value()?)?,
            "--testbed" => arguments.testbed = Some(value()?.into()),
            "--junban" => arguments.junban = Some(value()?.into()),
            "--manifests" => arguments.manifests = Some(value()?.into()),
            "--log" => arguments.log = true,
            option if option.starts_with('-') => return Err(format!("there is no option {option}")),
            file => arguments.files.push(file.to_owned()),
        }
    }
    if arguments.files.is_empty() {
        return Err("no scenario file is given".into());
    }
    match arguments.world.as_str() {
        "sim" | "real" => Ok(arguments),
        other => Err(format!("there is no world `{other}`: sim or real")),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// `3..17`; both ends are included.
fn range(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text
        .split_once("..")
        .ok_or_else(|| format!("`{text}` is not a range: write 3..17"))?;
    Ok((number(first)?.max(1), number(last)?))
}

fn simulated_once(scenario: &Scenario, arguments: &Arguments) -> bool {
    let began = std::time::Instant::now();
    let report = simulated::run(
        scenario,
        Options {
            seed: arguments.seed,
            exit_after_writes: arguments.exit_after_writes,
            ..Options::default()
        },
    );
    let took = began.elapsed().as_secs_f64();
    let good = report.failures.is_empty();
    if arguments.log {
        report.log.iter().for_each(|line| println!("{line}"));
    }
    println!(
        "{} {}: {} ({} s of the simulated world, {} steps, {took:.2} s)",
        if good { "ok    " } else { "FAILED" },
        scenario.file,
        scenario.title,
        report.took.as_secs(),
        report.steps
    );
    for failure in &report.failures {
        println!("  {}", failure.describe(&scenario.file));
    }
    good
}

/// Prints the result of a sweep. Returns whether it had no failure.
fn print_sweep(scenario: &Scenario, swept: &SweepReport) -> bool {
    let good = swept.failures.is_empty() && swept.differences.is_empty();
    println!(
        "{} {}: {}: {} crashes, {} ended otherwise",
        if good { "ok    " } else { "FAILED" },
        scenario.file,
        scenario.title,
        swept.crashes,
        swept.differences.len()
    );
    for failure in &swept.failures {
        println!("  without a crash: {}", failure.describe(&scenario.file));
    }
    for difference in swept.differences.iter().take(10) {
        println!("  after write {}:", difference.write);
        for failure in &difference.failures {
            println!("    {}", failure.describe(&scenario.file));
        }
        if difference.end != swept.without {
            println!(
                "    ended as {:?}\n    and not  {:?}",
                difference.end, swept.without
            );
        }
    }
    good
}

fn on_the_real_control_plane(scenario: &Scenario, arguments: &Arguments) -> bool {
    let (Some(testbed), Some(junban), Some(manifests)) = (
        arguments.testbed.clone(),
        arguments.junban.clone(),
        arguments.manifests.clone(),
    ) else {
        eprintln!(
            "error: --world real needs --testbed, --junban and --manifests\nhint: type cargo xtask scenario FILE --world real"
        );
        return false;
    };
    let options = real::Options {
        seed: arguments.seed,
        exit_after_writes: arguments.exit_after_writes,
        testbed,
        junban,
        manifests,
    };
    let run = if arguments.sweep {
        let (first, last) = arguments.writes;
        let each_run = |write: Option<u64>, report: &real::RealReport| {
            let after = write.map_or("without a crash".to_owned(), |write| {
                format!("after write {write}")
            });
            print_real(scenario, &after, report);
        };
        real::sweep(scenario, &options, first, last, each_run).map(|swept| print_sweep(scenario, &swept))
    } else {
        real::run(scenario, &options).map(|report| print_real(scenario, &scenario.title, &report))
    };
    run.unwrap_or_else(|error| {
        println!("FAILED {}: it could not be run: {error:#}", scenario.file);
        false
    })
}

/// Prints the result of one run on the real control plane. Returns whether it had no failure.
fn print_real(scenario: &Scenario, what: &str, report: &real::RealReport) -> bool {
    let good = report.failures.is_empty();
    println!(
        "{} {}: {what} (on the real control plane, {} s)",
        if good { "ok    " } else { "FAILED" },
        scenario.file,
        report.took.as_secs()
    );
    for failure in &report.failures {
        println!("  {}", failure.describe(&scenario.file));
    }
    if !good {
        println!("  logs: {}", report.logs.display());
    }
    good
}
