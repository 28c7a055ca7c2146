//! `junban demo`: the production engine over a simulated cluster in this process. No cluster, no set-up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use junban_sim::demo::{Demo, Frame, Options, Summary};

use crate::commands::problem::{Exit, Problem};

/// Reboots a simulated cluster in front of you; needs no cluster.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Nodes of the cluster; from 10 on three of them are its control plane.
    #[arg(long, value_name = "N", default_value = "24", value_parser = clap::value_parser!(u32).range(3..=2000))]
    nodes: u32,
    /// The same seed gives the same cluster and the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many times as fast as real time, or `max`. By default 120 in a terminal, else `max`.
    #[arg(long, value_name = "N|max", value_parser = speed)]
    speed: Option<Speed>,
    /// Servers that never come back.
    #[arg(long, value_name = "N", default_value_t = 0)]
    fail: u32,
    /// `json`: one line of JSON and nothing else.
    #[arg(long, short = 'o', value_enum)]
    output: Option<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Output {
    Json,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Speed {
    Max,
    Times(u32),
}

fn speed(text: &str) -> Result<Speed, String> {
    match (text, text.parse()) {
        ("max", _) => Ok(Speed::Max),
        (_, Ok(times)) if times > 0 => Ok(Speed::Times(times)),
        _ => Err(format!("`{text}` is neither max nor a number from 1")),
    }
}

const IN_A_TERMINAL: Speed = Speed::Times(120);
const FRAMES_A_SECOND: u64 = 10;

/// Runs it; 1 if a server was not proven, or a rule was broken.
pub(crate) fn run(arguments: &DemoArgs) -> Result<Exit, Problem> {
    let mut demo = Demo::new(options(arguments)?);
    let is_terminal = std::io::stdout().is_terminal();
    let json = arguments.output == Some(Output::Json);
    let speed = arguments.speed.unwrap_or(if is_terminal && !json {
        IN_A_TERMINAL
    } else {
        Speed::Max
    });
    let shown = if json {
        paced(&mut demo, speed, |_| Ok(()))
    } else if is_terminal {
        let mut screen = Screen::default();
        paced(&mut demo, speed, |frame| screen.draw(frame))
    } else {
        let mut lines = Lines::default();
        paced(&mut demo, speed, |frame| lines.tell(frame))
    };
    let summary = demo.summary();
    let told = shown.and_then(|()| if json { tell_json(&summary) } else { tell(&summary) });
    match told {
        // Whoever read us has gone: `junban demo | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(_) => Ok(Exit::Failed),
        Ok(()) => judge(&summary),
    }
}

fn options(arguments: &DemoArgs) -> Result<Options, Problem> {
    let options = Options {
        nodes: arguments.nodes as usize,
        seed: arguments.seed,
        fail: arguments.fail as usize,
    };
    let workers = options.workers();
    if options.fail > workers {
        return Err(Problem::usage(
            format!(
                "--fail {}: a cluster of {} nodes has {workers} workers that can fail",
                options.fail, options.nodes
            ),
            format!("junban demo --nodes {} --fail {workers}", options.nodes),
        ));
    }
    Ok(options)
}

/// What the exit code says of a run that was told.
fn judge(summary: &Summary) -> Result<Exit, Problem> {
    let broken = summary.budget_violations + summary.rule_violations;
    if broken > 0 {
        return Err(Problem::failed(
            format!("rules of safety were broken, {broken} in all"),
            "this is a bug of Junban: report it with the options of this run",
        ));
    }
    Ok(if summary.failed == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

type Told = std::io::Result<()>;

/// Lets the demo run at a speed, and shows frames.
fn paced(demo: &mut Demo, speed: Speed, mut show: impl FnMut(&Frame) -> Told) -> Told {
    const LEAP_MS: u64 = 20_000;
    while !demo.is_over() {
        match speed {
            Speed::Max => demo.advance(LEAP_MS),
            Speed::Times(times) => {
                let began = std::time::Instant::now();
                demo.advance(u64::from(times) * 1_000 / FRAMES_A_SECOND);
                let frame = Duration::from_millis(1_000 / FRAMES_A_SECOND);
                std::thread::sleep(frame.saturating_sub(began.elapsed()));
            }
        }
        show(&demo.frame())?;
    }
    show(&demo.frame())
}

/// Phases in the order of an entry's life, with a sign and a colour each.
const PHASES: [(&str, char, Option<AnsiColor>); 7] = [
    ("Queued", '·', None),
    ("Draining", '▼', Some(AnsiColor::Yellow)),
    ("Rebooting", '↻', Some(AnsiColor::Magenta)),
    ("Verifying", '◌', Some(AnsiColor::Cyan)),
    ("Succeeded", '●', Some(AnsiColor::Green)),
    ("Failed", '✗', Some(AnsiColor::Red)),
    ("Cancelled", '-', None),
];

fn sign(phase: &str) -> String {
    let (_, sign, colour) = PHASES
        .iter()
        .find(|(name, ..)| *name == phase)
        .unwrap_or(&PHASES[0]);
    let style = Style::new().fg_color(colour.map(Into::into));
    format!("{style}{sign}{style:#}")
}

/// A map that is drawn over itself.
#[derive(Default)]
struct Screen {
    lines: usize,
}

impl Screen {
    fn draw(&mut self, frame: &Frame) -> Told {
        let text = picture(frame);
        let mut out = anstream::stdout().lock();
        if self.lines > 0 {
            // Up, and everything below is erased: no line of the frame before remains.
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
        }
        self.lines = text.lines().count();
        // Without wrapping: a line too long for the terminal is cut there, and stays one line to go up over.
        write!(out, "\x1b[?7l{text}\x1b[?7h")?;
        out.flush()
    }
}

fn picture(frame: &Frame) -> String {
    const BAR: usize = 40;
    let mut text = String::new();
    for rack in &frame.racks {
        let signs: Vec<String> = rack.nodes.iter().map(|node| sign(&node.phase)).collect();
        let _ = writeln!(text, "{:>14}  {}", rack.name, signs.join(" "));
    }
    let full = BAR * frame.done / frame.nodes.max(1);
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
    let eta = frame.eta_seconds().map_or_else(|| "…".to_owned(), minutes);
    let _ = writeln!(text, "\n{bar} {} of {} proven", frame.done, frame.nodes);
    let _ = writeln!(
        text,
        "{} passed, about {eta} left{}",
        minutes(frame.elapsed_ms / 1_000),
        at_least(frame)
    );
    let counts: Vec<String> = PHASES
        .iter()
        .filter_map(|(phase, ..)| Some(format!("{} {phase} {}", sign(phase), frame.phases.get(*phase)?)))
        .collect();
    let _ = writeln!(text, "{}", counts.join("   "));
    for (reason, count, example) in frame.blockers.iter().take(4) {
        let short: String = example.chars().take(100).collect();
        let _ = writeln!(text, "  {count:>3} {reason}: {short}");
    }
    text
}

fn at_least(frame: &Frame) -> String {
    match frame.at_least_seconds {
        Some(seconds) if frame.done < frame.nodes => {
            format!(
                ", the rest needs at least {} ({})",
                minutes(seconds),
                frame.bound_by
            )
        }
        _ => String::new(),
    }
}

fn minutes(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// A line each time that something moved.
#[derive(Default)]
struct Lines {
    told: BTreeMap<String, usize>,
    tenths: usize,
}

impl Lines {
    fn tell(&mut self, frame: &Frame) -> Told {
        let tenths = 10 * frame.done / frame.nodes.max(1);
        let failed = frame.phases.get("Failed") != self.told.get("Failed");
        if !self.told.is_empty() && tenths == self.tenths && !failed {
            return Ok(());
        }
        self.tenths = tenths;
        self.told.clone_from(&frame.phases);
        let counts: Vec<String> = PHASES
            .iter()
            .filter_map(|(phase, ..)| Some(format!("{phase} {}", frame.phases.get(*phase)?)))
            .collect();
        let time = minutes(frame.elapsed_ms / 1_000);
        writeln!(
            anstream::stdout().lock(),
            "{time:>14}  {}{}",
            counts.join(", "),
            at_least(frame)
        )
    }
}

fn tell_json(summary: &Summary) -> Told {
    let line = serde_json::to_string(summary).map_err(std::io::Error::other)?;
    writeln!(anstream::stdout().lock(), "{line}")
}

fn tell(summary: &Summary) -> Told {
    let mut out = anstream::stdout().lock();
    let Summary {
        nodes,
        succeeded,
        pods,
        evictions,
        ..
    } = summary;
    writeln!(
        out,
        "\n{succeeded} of {nodes} servers rebooted and proven in {}.",
        minutes(summary.makespan_seconds)
    )?;
    writeln!(
        out,
        "No scheduler could have done it in less than {}: {} binds.",
        minutes(summary.lower_bound_seconds),
        summary.bound_by
    )?;
    writeln!(
        out,
        "{pods} pods moved with {evictions} evictions; {} were refused for want of a budget; at most {} servers were \
         down together.",
        summary.self_inflicted_429, summary.most_nodes_down
    )?;
    match summary.budget_violations {
        0 => writeln!(
            out,
            "No budget fell below its need, and no service lost its last pod."
        )?,
        count => writeln!(
            out,
            "{count} times a budget fell below its need or a service lost its last pod."
        )?,
    }
    if !summary.failed_nodes.is_empty() {
        writeln!(out, "These were not proven:")?;
        for node in &summary.failed_nodes {
            writeln!(out, "  {node}")?;
        }
    }
    if summary.rule_violations > 0 {
        writeln!(
            out,
            "{} other rules were broken: {}",
            summary.rule_violations,
            summary.violations.join("; ")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
