//! A file as a [`Scenario`]: each line by its first word, all errors at once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::act;
use super::condition::{Condition, phase};
use super::model::{At, MachineFault, Nodes, Order, Quantity, Scenario, Step};
use super::names;
use super::settings;
use super::words::{Fault, Words, unknown};
use super::workload;

/// Every wrong line of a file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Error {
    file: String,
    /// Line and what is wrong with it.
    faults: Vec<(usize, String)>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self
            .faults
            .iter()
            .map(|(line, fault)| format!("{}:{line}: {fault}", self.file))
            .collect();
        f.write_str(&lines.join("\n"))
    }
}

/// How long `eventually` and `when` wait that say nothing.
const PATIENCE: Duration = Duration::from_secs(600);

const STATEMENTS: &[&str] = &[
    "scenario:",
    "nodes:",
    "deployment",
    "statefulset",
    "daemonset",
    "job",
    "pod",
    "budget",
    "policy",
    "queue:",
    "fault",
    "controllers:",
    "given:",
    "do:",
    "after",
    "when",
    "every",
    "wait",
    "order",
    "never:",
    "eventually:",
    "at the end:",
    "kill controller after write",
];

/// Parses the text of a scenario file; `file` is its name in messages.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Error> {
    let mut scenario = Scenario {
        file: file.to_owned(),
        controllers: 1,
        ..Scenario::default()
    };
    let mut faults = Vec::new();
    let mut written = Written::default();
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        let place = Place {
            line: index + 1,
            text: line,
        };
        if let Err(fault) = written.note(place).and_then(|()| statement(&mut scenario, place)) {
            faults.push((index + 1, fault));
        }
    }
    faults.extend(names::missing(&scenario, &written.policies));
    if scenario.title.is_empty() {
        faults.push((1, "a scenario begins with `scenario: WHAT IT SHOWS`".into()));
    }
    faults.sort();
    if faults.is_empty() {
        Ok(scenario)
    } else {
        Err(Error {
            file: file.to_owned(),
            faults,
        })
    }
}

/// A `#` at the beginning of a line or after a space begins a comment.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.split_once(" #").map_or(line, |(before, _)| before)
}

#[derive(Clone, Copy)]
struct Place<'a> {
    line: usize,
    text: &'a str,
}

impl Place<'_> {
    fn at<T>(self, what: T) -> At<T> {
        At {
            line: self.line,
            text: self.text.to_owned(),
            what,
        }
    }
}

/// What a file says once, and where it has said it.
#[derive(Default)]
struct Written {
    once: BTreeMap<String, usize>,
    /// Where each policy is written first: its line may be continued by others.
    policies: BTreeMap<String, usize>,
}

impl Written {
    /// A second line of the same would win without a word.
    fn note(&mut self, place: Place<'_>) -> Result<(), Fault> {
        let head = place.text.split(':').next().unwrap_or_default();
        let words: Vec<&str> = head.split_whitespace().collect();
        let what = match words.as_slice() {
            ["policy", name] => {
                self.policies.entry((*name).to_owned()).or_insert(place.line);
                return Ok(());
            }
            [once @ ("scenario" | "nodes" | "controllers")] => format!("`{once}:`"),
            ["kill", "controller", "after", "write", ..] => "`kill controller after write`".to_owned(),
            [kind, key] if workload::KINDS.iter().any(|(name, _)| name == kind) => {
                format!("the workload {key}")
            }
            ["budget", key] => format!("the budget {key}"),
            _ => return Ok(()),
        };
        match self.once.insert(what.clone(), place.line) {
            Some(line) => Err(format!("{what} is written in line {line} already")),
            None => Ok(()),
        }
    }
}

fn statement(scenario: &mut Scenario, place: Place<'_>) -> Result<(), Fault> {
    let (head, tail) = place.text.split_once(':').unwrap_or((place.text, ""));
    let (head, tail) = (head.trim(), tail.trim());
    let mut words = Words::of(head);
    let first = words.next("a statement")?;
    if !place.text.contains(':') && needs_a_colon(first) {
        return Err(format!("a colon is expected: `{first} ...: ...`"));
    }
    match first {
        "scenario" => scenario.title = tail.to_owned(),
        "nodes" => scenario.nodes = nodes(tail)?,
        "deployment" | "statefulset" | "daemonset" | "job" | "pod" => {
            let kind = workload::KINDS
                .iter()
                .find(|(name, _)| *name == first)
                .map(|(_, kind)| *kind);
            let key = words.next("NAMESPACE/NAME")?;
            if let Some(kind) = kind {
                scenario
                    .workloads
                    .push(place.at(workload::parse(kind, key, tail)?));
            }
        }
        "budget" => {
            let key = words.next("NAMESPACE/NAME")?;
            scenario.budgets.push(place.at(workload::budget(key, tail)?));
        }
        "policy" => {
            let name = words.next("a policy's name")?.to_owned();
            let settings = settings::policy(tail)?;
            scenario.policies.entry(name).or_default().extend(settings);
        }
        "queue" => scenario.queue.extend(settings::queue(tail)?),
        "fault" => {
            let node = act::node(&mut words)?;
            let fault = act::fault(tail)?;
            scenario.faults.push(place.at(MachineFault { node, fault }));
        }
        "controllers" => scenario.controllers = Words::of(tail).number("a number of controllers")?,
        "given" => scenario.given.push(place.at(act::parse(tail)?)),
        "kill" if words.eat("controller after write") => {
            scenario.exit_after_writes = Some(words.number("a number of writes")?);
            Words::of(tail).end()?;
        }
        "order" => {
            let order = order(&mut words, tail)?;
            scenario.orders.push(place.at(order));
        }
        "never" if tail.contains(',') => {
            return Err("one condition a line: write each `never` by itself".into());
        }
        "never" => scenario.never.push(place.at(Condition::parse(tail)?)),
        "at" if words.eat("the end") => {
            for part in tail.split(',') {
                scenario.at_the_end.push(place.at(Condition::parse(part)?));
            }
        }
        "every" => {
            let every = words.duration()?;
            scenario.repeated.push(place.at((every, act::parse(tail)?)));
        }
        "do" | "after" | "when" | "wait" | "eventually" => {
            let step = step(first, &mut words, tail)?;
            scenario.steps.push(place.at(step));
        }
        _ => return Err(unknown(head, "the beginning of a line", STATEMENTS)),
    }
    words.end()
}

/// Statements whose line says nothing without what follows the colon.
fn needs_a_colon(first: &str) -> bool {
    let known = STATEMENTS
        .iter()
        .any(|statement| statement.split([' ', ':']).next() == Some(first));
    let alone = matches!(first, "wait" | "kill") || workload::KINDS.iter().any(|(name, _)| *name == first);
    known && !alone
}

fn step(first: &str, words: &mut Words<'_>, tail: &str) -> Result<Step, Fault> {
    Ok(match first {
        "do" => Step::Do(act::parse(tail)?),
        "after" => Step::After(words.duration()?, act::parse(tail)?),
        "wait" if !tail.is_empty() => {
            return Err(format!(
                "nothing is expected after this: `{tail}`; write `after 10s: ...`"
            ));
        }
        "wait" => Step::Wait(words.duration()?),
        "when" => {
            let patience = within(words)?;
            let condition = Condition::parse(&words.rest().join(" "))?;
            Step::When(patience, condition, act::parse(tail)?)
        }
        _ => Step::Eventually(within(words)?, Condition::parse(tail)?),
    })
}

fn within(words: &mut Words<'_>) -> Result<Duration, Fault> {
    if words.eat("within") {
        words.duration()
    } else {
        Ok(PATIENCE)
    }
}

fn order(words: &mut Words<'_>, tail: &str) -> Result<Order, Fault> {
    let node = if words.eat("every node") {
        None
    } else {
        Some(act::node(words)?)
    };
    let phases = tail
        .split(',')
        .map(|word| phase(word.trim()))
        .collect::<Result<_, _>>()?;
    Ok(Order { node, phases })
}

/// `3, racks 3, boot 2s..4s`.
fn nodes(text: &str) -> Result<Nodes, Fault> {
    const PARTS: [&str; 5] = ["control-planes", "racks", "boot", "cpu", "memory"];
    let mut nodes = Nodes::default();
    for (index, part) in text.split(',').enumerate() {
        let mut words = Words::of(part);
        if index == 0 {
            nodes.workers = words.number("the number of workers")?;
        } else if words.eat("control-planes") {
            nodes.control_planes = words.eat_one(&[("1", 1), ("3", 3)], "1 or 3")?;
        } else if words.eat("racks") {
            nodes.racks = words.number("a number of racks")?;
        } else if words.eat("boot") {
            nodes.boot = words.span()?;
        } else if words.eat("cpu") {
            nodes.cpu = Some(Quantity::parse(words.next("a quantity such as 4")?)?);
        } else if words.eat("memory") {
            nodes.memory = Some(Quantity::parse(words.next("a quantity such as 8Gi")?)?);
        } else {
            return Err(unknown(&words.rest_peek(), "said of the nodes", &PARTS));
        }
        words.end()?;
    }
    if nodes.racks == 0 {
        return Err("there is at least one rack".into());
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests;
