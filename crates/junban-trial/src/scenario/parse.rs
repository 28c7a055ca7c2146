//! Reads a file into a [`Scenario`]. The first word of a line says what the line is. All mistakes are reported together.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::act;
use super::condition::{Condition, phase};
use super::model::{Act, At, MachineFault, Nodes, Operator, Order, Scenario, ScenarioStep, Wait};
use super::names;
use super::settings;
use super::words::{Mistake, Words, unknown};
use super::workload;

/// The wrong lines of a file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Error {
    file: String,
    mistakes: Vec<(usize, Mistake)>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self
            .mistakes
            .iter()
            .map(|(line, mistake)| format!("{}:{line}: {mistake}", self.file))
            .collect();
        f.write_str(&lines.join("\n"))
    }
}

/// How long `eventually` and `when` wait without `within`.
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
    "operator",
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
    let mut mistakes = Vec::new();
    let mut written = Written::default();
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        let place = At {
            line: index + 1,
            text: line.to_owned(),
            what: (),
        };
        let noted = written.note(&place);
        if let Err(mistake) = noted.and_then(|()| statement(&mut scenario, &place)) {
            mistakes.push((index + 1, mistake));
        }
    }
    mistakes.extend(names::missing(&scenario, &written.policies));
    if scenario.title.is_empty() {
        mistakes.push((1, "a scenario begins with `scenario: WHAT IT SHOWS`".into()));
    }
    mistakes.sort();
    if mistakes.is_empty() {
        Ok(scenario)
    } else {
        Err(Error {
            file: file.to_owned(),
            mistakes,
        })
    }
}

/// A comment begins with `#` at the beginning of a line or after a space.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.split_once(" #").map_or(line, |(before, _)| before)
}

/// Statements that a file may have once, and where it has them.
#[derive(Default)]
struct Written {
    once: BTreeMap<String, usize>,
    /// The first line of each policy; a policy may have several lines.
    policies: BTreeMap<String, usize>,
}

impl Written {
    /// A second line of these would replace the first without an error, so it is a mistake.
    fn note(&mut self, place: &At<()>) -> Result<(), Mistake> {
        let head = place.text.split(':').next().unwrap_or_default();
        let words: Vec<&str> = head.split_whitespace().collect();
        let what = match words.as_slice() {
            ["policy", name] => {
                self.policies.entry((*name).to_owned()).or_insert(place.line);
                return Ok(());
            }
            [once @ ("scenario" | "nodes" | "controllers")] => format!("`{once}:`"),
            ["kill", "controller", "after", "write", ..] => "`kill controller after write`".to_owned(),
            [kind, key] if workload::kind(kind).is_some() => format!("the workload {key}"),
            ["budget", key] => format!("the budget {key}"),
            _ => return Ok(()),
        };
        match self.once.insert(what.clone(), place.line) {
            Some(line) => Err(format!("{what} is already in line {line}")),
            None => Ok(()),
        }
    }
}

fn statement(scenario: &mut Scenario, place: &At<()>) -> Result<(), Mistake> {
    let (head, tail) = place.text.split_once(':').unwrap_or((&place.text, ""));
    let (head, tail) = (head.trim(), tail.trim());
    let mut words = Words::of(head);
    let first = words.next("a statement")?;
    if !place.text.contains(':') && needs_a_colon(first) {
        return Err(format!("a colon is expected: `{first} ...: ...`"));
    }
    match first {
        "scenario" => scenario.title = tail.to_owned(),
        "nodes" => scenario.nodes = nodes(tail)?,
        "budget" => {
            let key = words.key("a budget")?;
            scenario.budgets.push(place.with(workload::budget(key, tail)?));
        }
        "operator" => {
            const KINDS: [(&str, Operator); 5] = [
                ("cloudnative-pg", Operator::CloudNativePg),
                ("zalando", Operator::Zalando),
                ("strimzi-legacy", Operator::StrimziLegacy),
                ("strimzi", Operator::Strimzi),
                ("kubevirt", Operator::KubeVirt),
            ];
            let key = words.key("a workload")?;
            let kind = Words::all(tail, |words| words.eat_one(&KINDS, "an operator"))?;
            scenario.operators.push(place.with((key, kind)));
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
            let act = Act::Fault(MachineFault { node, fault });
            scenario.given.push(place.with(act));
        }
        "controllers" => scenario.controllers = Words::of(tail).number("a number of controllers")?,
        "given" => scenario.given.push(place.with(act::parse(tail)?)),
        "kill" if words.eat("controller after write") => {
            scenario.exit_after_writes = Some(words.number("a number of writes")?);
            Words::of(tail).end()?;
        }
        "order" => {
            let order = order(&mut words, tail)?;
            scenario.orders.push(place.with(order));
        }
        "never" if tail.contains(',') => {
            return Err("one condition a line: write each `never` by itself".into());
        }
        "never" => scenario.never.push(place.with(Condition::parse(tail)?)),
        "at" if words.eat("the end") => {
            for part in tail.split(',') {
                scenario.at_the_end.push(place.with(Condition::parse(part)?));
            }
        }
        "every" => {
            let every = words.duration()?;
            scenario.repeated.push(place.with((every, act::parse(tail)?)));
        }
        "do" | "after" | "when" | "wait" | "eventually" => {
            let step = step(first, &mut words, tail)?;
            scenario.steps.push(place.with(step));
        }
        _ => {
            let kind =
                workload::kind(first).ok_or_else(|| unknown(head, "the beginning of a line", STATEMENTS))?;
            let key = words.key("a workload")?;
            let workload = workload::parse(kind, key, tail)?;
            scenario.workloads.push(place.with(workload));
        }
    }
    words.end()
}

/// Whether this statement needs a colon and text after it.
fn needs_a_colon(first: &str) -> bool {
    let known = STATEMENTS
        .iter()
        .any(|statement| statement.split([' ', ':']).next() == Some(first));
    let alone = matches!(first, "wait" | "kill") || workload::kind(first).is_some();
    known && !alone
}

fn step(first: &str, words: &mut Words<'_>, tail: &str) -> Result<ScenarioStep, Mistake> {
    let wait = match first {
        "do" => Wait::For(Duration::ZERO),
        "wait" if !tail.is_empty() => {
            return Err(format!(
                "nothing is expected after this: `{tail}`; write `after 10s: ...`"
            ));
        }
        "after" | "wait" => Wait::For(words.duration()?),
        "when" => {
            let patience = within(words)?;
            let condition = Condition::parse(&words.rest().join(" "))?;
            Wait::Until(patience, condition)
        }
        _ => Wait::Until(within(words)?, Condition::parse(tail)?),
    };
    let act = match first {
        "wait" | "eventually" => None,
        _ => Some(act::parse(tail)?),
    };
    Ok(ScenarioStep { wait, act })
}

fn within(words: &mut Words<'_>) -> Result<Duration, Mistake> {
    if words.eat("within") {
        words.duration()
    } else {
        Ok(PATIENCE)
    }
}

fn order(words: &mut Words<'_>, tail: &str) -> Result<Order, Mistake> {
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
fn nodes(text: &str) -> Result<Nodes, Mistake> {
    const PARTS: [&str; 5] = ["control-planes", "racks", "boot", "cpu", "memory"];
    let mut nodes = Nodes::default();
    let mut parts = text.split(',');
    let workers = parts.next().unwrap_or_default();
    nodes.workers = Words::all(workers, |words| words.number("the number of workers"))?;
    for part in parts {
        Words::all(part, |words| {
            match words.one_of(&PARTS, "a part of the line `nodes:`")? {
                "control-planes" => nodes.control_planes = words.eat_one(&[("1", 1), ("3", 3)], "1 or 3")?,
                "racks" => nodes.racks = words.number("a number of racks")?,
                "boot" => nodes.boot = words.span()?,
                "cpu" => nodes.cpu = Some(words.cpu()?),
                _ => nodes.memory = Some(words.memory()?),
            }
            Ok(())
        })?;
    }
    if nodes.racks == 0 {
        return Err("racks must be at least 1".into());
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests;
