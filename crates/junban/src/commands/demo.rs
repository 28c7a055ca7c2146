//! `junban demo`: the production engine reboots a simulated cluster in this process. It needs no cluster and no set-up.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use junban_sim::demo::{Demo, Frame, Options, Summary};

use crate::cli::{self, Speed};
use crate::commands::problem::{Exit, Problem};

const SPEED_IN_A_TERMINAL: Speed = Speed::Times(120);
const FRAMES_A_SECOND: u64 = 10;

/// Runs the demo. It fails if a server was not proven, or if a rule was broken.
pub(crate) fn run(arguments: &cli::Demo) -> Result<Exit, Problem> {
    let mut demo = Demo::new(options(arguments)?);
    let is_terminal = io::stdout().is_terminal();
    let json = arguments.output.is_some();
    let speed = arguments.speed.unwrap_or(if is_terminal && !json {
        SPEED_IN_A_TERMINAL
    } else {
        Speed::Max
    });
    let played = if json {
        play(&mut demo, speed, |_| Ok(()))
    } else if is_terminal {
        let mut screen = Screen::default();
        play(&mut demo, speed, |frame| screen.draw(frame))
    } else {
        let mut lines = Lines::default();
        play(&mut demo, speed, |frame| lines.print(frame))
    };
    let summary = demo.summary();
    let printed = played.and_then(|()| {
        if json {
            print_json(&summary)
        } else {
            print(&summary)
        }
    });
    match printed {
        // The reader of stdout has ended, as in `junban demo | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(_) => Ok(Exit::Failed),
        Ok(()) => verdict(&summary),
    }
}

fn options(arguments: &cli::Demo) -> Result<Options, Problem> {
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

/// The exit code of a run whose summary was printed.
fn verdict(summary: &Summary) -> Result<Exit, Problem> {
    let broken = summary.budget_violations + summary.rule_violations;
    if broken > 0 {
        return Err(Problem::failed(
            format!("the run broke safety rules {broken} times"),
            "this is a bug of Junban: report it with the options of this run",
        ));
    }
    Ok(if summary.failed == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Runs the demo at this speed to its end, and shows a frame after each step.
fn play(demo: &mut Demo, speed: Speed, mut show: impl FnMut(&Frame) -> io::Result<()>) -> io::Result<()> {
    const STEP_MS: u64 = 20_000;
    while !demo.is_over() {
        match speed {
            Speed::Max => demo.advance(STEP_MS),
            Speed::Times(times) => {
                let began = Instant::now();
                demo.advance(u64::from(times) * 1_000 / FRAMES_A_SECOND);
                let frame = Duration::from_millis(1_000 / FRAMES_A_SECOND);
                std::thread::sleep(frame.saturating_sub(began.elapsed()));
            }
        }
        show(&demo.frame())?;
    }
    show(&demo.frame())
}

/// The phases in the order of an entry's life, each with a sign and a colour.
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

/// A picture of the racks. Each frame is drawn over the last one.
#[derive(Default)]
struct Screen {
    lines: usize,
}

impl Screen {
    fn draw(&mut self, frame: &Frame) -> io::Result<()> {
        let text = picture(frame);
        let mut out = anstream::stdout().lock();
        if self.lines > 0 {
            // Move up and erase everything below, so that no line of the last frame remains.
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
        }
        self.lines = text.lines().count();
        // Turn wrapping off: a line that is too long for the terminal is cut and stays one line, so that moving up by
        // the number of lines is right.
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
    let eta = frame.eta_seconds().map_or_else(|| "…".to_owned(), duration);
    let _ = writeln!(text, "\n{bar} {} of {} proven", frame.done, frame.nodes);
    let _ = writeln!(
        text,
        "{} passed, about {eta} left{}",
        duration(frame.elapsed_ms / 1_000),
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
                duration(seconds),
                frame.bound_by
            )
        }
        _ => String::new(),
    }
}

fn duration(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// Prints a line whenever another tenth of the nodes is done, or another server has failed.
#[derive(Default)]
struct Lines {
    /// Tenths that are done and servers that have failed, as in the last line.
    last: Option<(usize, Option<usize>)>,
}

impl Lines {
    fn print(&mut self, frame: &Frame) -> io::Result<()> {
        let tenths = 10 * frame.done / frame.nodes.max(1);
        let failed = frame.phases.get("Failed").copied();
        if self.last.replace((tenths, failed)) == Some((tenths, failed)) {
            return Ok(());
        }
        let counts: Vec<String> = PHASES
            .iter()
            .filter_map(|(phase, ..)| Some(format!("{phase} {}", frame.phases.get(*phase)?)))
            .collect();
        let time = duration(frame.elapsed_ms / 1_000);
        writeln!(
            anstream::stdout().lock(),
            "{time:>14}  {}{}",
            counts.join(", "),
            at_least(frame)
        )
    }
}

fn print_json(summary: &Summary) -> io::Result<()> {
    let line = serde_json::to_string(summary).map_err(io::Error::other)?;
    writeln!(anstream::stdout().lock(), "{line}")
}

fn print(summary: &Summary) -> io::Result<()> {
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
        duration(summary.makespan_seconds)
    )?;
    writeln!(
        out,
        "No scheduler could have done it in less than {}: {} binds.",
        duration(summary.lower_bound_seconds),
        summary.bound_by
    )?;
    writeln!(
        out,
        "{pods} pods moved with {evictions} evictions; {} were denied because a budget allowed no more; at most {} servers were \
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
