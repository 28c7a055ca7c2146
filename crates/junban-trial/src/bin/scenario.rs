//! Runs scenario files; `--help` lists the options.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints its results"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use junban_trial::real;
use junban_trial::scenario::judge::Failure;
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::scenario::sweep::SweepReport;
use junban_trial::simulated::{self, Options};

#[derive(clap::Parser)]
#[command(bin_name = "xtask scenario", about = "Runs scenario files")]
struct Arguments {
    #[arg(required = true)]
    files: Vec<String>,
    #[arg(long, value_enum, default_value = "sim")]
    world: RunIn,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The controller ends itself after this write, and is started again
    #[arg(long)]
    exit_after_writes: Option<u64>,
    /// Run each file once for each write, with a crash after that write
    #[arg(long)]
    sweep: bool,
    /// The first and the last write of a sweep
    // The default ends after more writes than any scenario makes.
    #[arg(long, value_parser = range, default_value = "1..2000")]
    writes: (u64, u64),
    /// Print what happened in the simulated world
    #[arg(long)]
    log: bool,
    #[arg(long, hide = true)]
    testbed: Option<PathBuf>,
    #[arg(long, hide = true)]
    junban: Option<PathBuf>,
    #[arg(long, hide = true)]
    manifests: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum RunIn {
    Sim,
    Real,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut failed = 0;
    for file in &arguments.files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("error: {file}: {error}"));
        let scenario = match text.and_then(|text| parse(file, &text).map_err(|error| error.to_string())) {
            Ok(scenario) => scenario,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        };
        let good = match arguments.world {
            RunIn::Sim if arguments.sweep => {
                let (first, last) = arguments.writes;
                let swept = simulated::sweep(&scenario, arguments.seed, first, last);
                print_sweep(&scenario, &swept)
            }
            RunIn::Sim => simulated_once(&scenario, &arguments),
            RunIn::Real => on_the_real_control_plane(&scenario, &arguments),
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

/// `3..17`; both ends are included.
fn range(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("`{text}` is not a range: write 3..17");
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
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
    let result = format!(
        "{} ({} s of the simulated world, {} steps, {took:.2} s)",
        scenario.title,
        report.took.as_secs(),
        report.steps
    );
    print_result(scenario, good, &result);
    print_failures(scenario, "  ", &report.failures);
    good
}

fn print_result(scenario: &Scenario, good: bool, result: &str) {
    let word = if good { "ok    " } else { "FAILED" };
    println!("{word} {}: {result}", scenario.file);
}

fn print_failures(scenario: &Scenario, before: &str, failures: &[Failure]) {
    for failure in failures {
        println!("{before}{}", failure.describe(&scenario.file));
    }
}

/// Prints the result of a sweep. Returns whether it had no failure.
fn print_sweep(scenario: &Scenario, swept: &SweepReport) -> bool {
    let good = swept.failures.is_empty() && swept.differences.is_empty();
    let (crashes, otherwise) = (swept.crashes, swept.differences.len());
    let title = &scenario.title;
    let result = format!("{title}: {crashes} crashes, {otherwise} ended otherwise");
    print_result(scenario, good, &result);
    print_failures(scenario, "  without a crash: ", &swept.failures);
    for difference in swept.differences.iter().take(10) {
        println!("  after write {}:", difference.write);
        print_failures(scenario, "    ", &difference.failures);
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
    let seconds = report.took.as_secs();
    print_result(
        scenario,
        good,
        &format!("{what} (on the real control plane, {seconds} s)"),
    );
    print_failures(scenario, "  ", &report.failures);
    if !good {
        println!("  logs: {}", report.logs.display());
    }
    good
}
