//! Conditions: what a file can claim of a cluster, and how it is written. [`judging`] decides whether a condition holds.

mod judging;

use junban_core::entry::Phase;
use junban_core::reason::Reason;

use super::facts::{EntryFacts, Facts, NodeFacts};
use super::words::{Mistake, Words, split_key, unknown};

/// Claims that must all hold. The file joins them with `and` or a comma.
#[derive(Clone, Debug)]
pub struct Condition {
    claims: Vec<Claim>,
}

#[derive(Clone, Debug)]
pub(super) enum Claim {
    Not(Box<Claim>),
    EveryEntry(Vec<String>),
    Entry {
        node: String,
        phases: Vec<String>,
        reason: Option<&'static str>,
        naming: Option<String>,
    },
    HasEntry(String),
    /// `None` means every node.
    Node(Option<String>, NodeState),
    Exists(String),
    Boots(Option<String>, Bound),
    No(Thing),
    PowerLines(Option<String>, Bound),
    Count(Counted, Bound),
    ReadyPods(String, Bound),
    Disrupted(String, Bound),
    /// How many pods the workload has, on this node or on all nodes.
    Pods(String, Option<String>, Bound),
    Pod(String, bool),
    PodOn(String, String),
    Paused,
}

/// `>= 2`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    compare: Compare,
    amount: u32,
}

/// What `more than 2 nodes cordoned` and `entries Queued > 2` count.
#[derive(Clone, Debug)]
pub(super) enum Counted {
    Nodes(Set, NodeState),
    /// Entries in one of these phases.
    Entries(Vec<String>),
}

type Compare = fn(&u32, &u32) -> bool;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Set {
    Nodes,
    Workers,
    ControlPlanes,
    Racks,
}

/// Whether a node is in this state.
type NodeState = fn(&Facts, &str, &NodeFacts) -> bool;

const NODE_STATES: [(&str, NodeState); 10] = [
    ("cordoned", |_, _, node| node.cordoned),
    ("schedulable", |_, _, node| !node.cordoned),
    ("Ready", |_, _, node| node.ready),
    ("NotReady", |_, _, node| !node.ready),
    ("marked", |_, _, node| node.marked),
    ("unavailable", |_, _, node| node.unavailable()),
    ("in flight", |facts, name, _| {
        let entry = facts.entry_of(name);
        entry.is_some_and(|entry| IN_FLIGHT.contains(&entry.phase.as_str()))
    }),
    ("holding a slot", |facts, name, _| facts.slots.contains(name)),
    ("with a slot", |facts, name, _| facts.slots.contains(name)),
    ("holding a volume", |_, _, node| node.with_volume),
];

const IN_FLIGHT: [&str; 3] = ["Draining", "Rebooting", "Verifying"];

/// Finds what `no` stands before.
type Thing = fn(&Facts) -> Vec<String>;

const THINGS: [(&str, Thing); 7] = [
    ("cordon", |facts| nodes_that(facts, |node| node.cordoned)),
    ("mark", |facts| nodes_that(facts, |node| node.marked)),
    ("slot", |facts| facts.slots.iter().cloned().collect()),
    ("entry", |facts| {
        facts.entries.iter().map(EntryFacts::describe).collect()
    }),
    ("steering taint", |facts| nodes_that(facts, |node| node.steered)),
    ("load balancer label", |facts| {
        nodes_that(facts, |node| node.off_load_balancers)
    }),
    ("failure", |facts| {
        let failed = facts.entries.iter().filter(|entry| entry.is_failed());
        failed.map(EntryFacts::describe).collect()
    }),
];

fn nodes_that(facts: &Facts, is_so: fn(&NodeFacts) -> bool) -> Vec<String> {
    Vec::from_iter(facts.nodes_that(is_so))
}

const SETS: [(&str, Set); 4] = [
    ("nodes", Set::Nodes),
    ("workers", Set::Workers),
    ("control planes", Set::ControlPlanes),
    ("racks", Set::Racks),
];

const COMPARES: [(&str, Compare); 6] = [
    ("<", u32::lt),
    ("<=", u32::le),
    ("=", u32::eq),
    ("==", u32::eq),
    (">=", u32::ge),
    (">", u32::gt),
];

/// How a claim begins, and what reads the words after that.
type Beginning = (&'static str, fn(&mut Words<'_>) -> Result<Claim, Mistake>);

/// The other claims begin with a node, with a workload, or with what they count.
const BEGINNINGS: &[Beginning] = &[
    ("not", |words| Ok(Claim::Not(Box::new(Claim::read(words)?)))),
    ("every entry", |words| {
        words.eat("is");
        Ok(Claim::EveryEntry(phases(words)?))
    }),
    ("every node", |words| about_node(None, words)),
    ("no", |words| {
        let thing = words.eat_one(&THINGS, "something that `no` can stand before")?;
        Ok(Claim::No(thing))
    }),
    ("power log", power_log),
    ("queue paused", |_| Ok(Claim::Paused)),
    ("pod", pod),
    ("more than", |words| amount(u32::gt, words)),
    ("less than", |words| amount(u32::lt, words)),
    ("at least", |words| amount(u32::ge, words)),
    ("exactly", |words| amount(u32::eq, words)),
];

impl Condition {
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let parts = text.split(',').flat_map(|part| part.split(" and "));
        let claims = parts
            .map(|part| Words::all(part, Claim::read))
            .collect::<Result<_, _>>()?;
        Ok(Self { claims })
    }

    /// Its claims, without `not`.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().map(Claim::positive)
    }
}

impl Claim {
    fn read(words: &mut Words<'_>) -> Result<Self, Mistake> {
        let first = words.peek().unwrap_or_default();
        if is_node_name(first) {
            words.next("a node")?;
            return about_node(Some(first.to_owned()), words);
        }
        if split_key(first).is_some() {
            return about_workload(words);
        }
        if SETS.iter().any(|(phrase, _)| words.clone().eat(phrase)) || first == "entries" {
            let counted = counted(words)?;
            return Ok(Self::Count(counted, bound(words, "a number")?));
        }
        let expected =
            "the beginning of a condition (or node-N, cp-N, a workload, `nodes`, `workers`, `entries`)";
        words.eat_one(BEGINNINGS, expected)?(words)
    }

    /// The claim without `not`.
    fn positive(&self) -> &Self {
        match self {
            Self::Not(claim) => claim.positive(),
            other => other,
        }
    }

    /// The node that it names.
    pub(super) fn node(&self) -> Option<&str> {
        match self {
            Self::Not(claim) => claim.node(),
            Self::Entry { node, .. } | Self::HasEntry(node) | Self::Exists(node) => Some(node),
            Self::PodOn(_, node) => Some(node),
            Self::Node(node, _) | Self::Boots(node, _) | Self::PowerLines(node, _) => node.as_deref(),
            Self::Pods(_, node, ..) => node.as_deref(),
            _ => None,
        }
    }
}

/// `node-4`, `cp-1`.
pub(super) fn is_node_name(word: &str) -> bool {
    ["node-", "cp-"].iter().any(|prefix| {
        word.strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
    })
}

/// `Draining`, `Succeeded or Cancelled`.
fn phases(words: &mut Words<'_>) -> Result<Vec<String>, Mistake> {
    let mut phases = vec![phase(words.next("a phase")?)?];
    while words.eat("or") {
        phases.push(phase(words.next("a phase")?)?);
    }
    Ok(phases)
}

pub(super) fn phase(word: &str) -> Result<String, Mistake> {
    let names: Vec<&str> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
    if names.contains(&word) {
        Ok(word.to_owned())
    } else {
        Err(unknown(word, "a phase", &names))
    }
}

fn about_node(node: Option<String>, words: &mut Words<'_>) -> Result<Claim, Mistake> {
    words.eat("is");
    if words.eat("not") {
        return Ok(Claim::Not(Box::new(about_node(node, words)?)));
    }
    if words.eat("reboots") {
        let bound = Bound {
            compare: u32::gt,
            amount: 0,
        };
        return Ok(Claim::Boots(node, bound));
    }
    if words.eat("boots") {
        let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
        let bound = if words.peek().is_some_and(is_number) {
            Bound::exactly(words.number("a number of boots")?)
        } else {
            bound(words, "a number of boots")?
        };
        return Ok(Claim::Boots(node, bound));
    }
    if let Some(node) = &node {
        let not = |claim| Ok(Claim::Not(Box::new(claim)));
        if words.eat("gone") {
            return not(Claim::Exists(node.clone()));
        }
        if words.eat("has no entry") {
            return not(Claim::HasEntry(node.clone()));
        }
        if words.eat("has an entry") {
            return Ok(Claim::HasEntry(node.clone()));
        }
        if words.peek().is_some_and(|word| phase(word).is_ok()) {
            return entry(node.clone(), words);
        }
    }
    let mut names: Vec<&str> = NODE_STATES.iter().map(|(name, _)| *name).collect();
    for (name, state) in NODE_STATES {
        if words.eat(name) {
            return Ok(Claim::Node(node, state));
        }
    }
    names.extend(["boots", "reboots"]);
    if node.is_some() {
        names.extend(Phase::ALL.iter().map(|phase| phase.as_str()));
        names.extend(["gone", "has no entry", "has an entry"]);
    }
    let found = words.rest_peek();
    Err(unknown(&found, "a state of a node", &names))
}

fn entry(node: String, words: &mut Words<'_>) -> Result<Claim, Mistake> {
    let phases = phases(words)?;
    let reason = match words.peek() {
        None | Some("naming") => None,
        Some(_) => {
            let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
            Some(words.one_of(&reasons, "a reason")?)
        }
    };
    let naming = words.eat("naming").then(|| words.rest().join(" "));
    if naming.as_deref() == Some("") {
        return Err("the line ends where the text after `naming` is expected".into());
    }
    Ok(Claim::Entry {
        node,
        phases,
        reason,
        naming,
    })
}

fn about_workload(words: &mut Words<'_>) -> Result<Claim, Mistake> {
    let workload = words.key("a workload")?.to_string();
    let said = words.one_of(&["ready", "disrupted", "pods"], "a count of pods of a workload")?;
    let node = match said {
        "pods" if words.eat("on") => Some(words.next("a node")?.to_owned()),
        _ => None,
    };
    let bound = bound(words, "a number of pods")?;
    Ok(match said {
        "ready" => Claim::ReadyPods(workload, bound),
        "disrupted" => Claim::Disrupted(workload, bound),
        _ => Claim::Pods(workload, node, bound),
    })
}

fn pod(words: &mut Words<'_>) -> Result<Claim, Mistake> {
    let pod = words.key("a pod")?.to_string();
    words.eat("is");
    if words.eat("on") {
        return Ok(Claim::PodOn(pod, words.next("a node")?.to_owned()));
    }
    let there = words.eat_one(
        &[("there", true), ("gone", false)],
        "a state of a pod (`there`, `gone`, `on NODE`)",
    )?;
    Ok(Claim::Pod(pod, there))
}

fn power_log(words: &mut Words<'_>) -> Result<Claim, Mistake> {
    if words.eat("empty") {
        return Ok(Claim::PowerLines(None, Bound::exactly(0)));
    }
    let amount = if words.eat("one line") {
        1
    } else if words.eat("no line") {
        0
    } else {
        let amount = words.number("`one line per node`, `2 lines for node-1` or `empty`")?;
        words.one_of(&["lines", "line"], "`lines for NODE` or `lines per node`")?;
        amount
    };
    let node = match words.one_of(&["per node", "for"], "`per node` or `for NODE`")? {
        "for" => Some(words.next("a node")?.to_owned()),
        _ => None,
    };
    Ok(Claim::PowerLines(node, Bound::exactly(amount)))
}

/// `more than 2 nodes unavailable`, of which `compare` has been read.
fn amount(compare: Compare, words: &mut Words<'_>) -> Result<Claim, Mistake> {
    let amount = words.number("a number")?;
    Ok(Claim::Count(counted(words)?, Bound { compare, amount }))
}

/// `nodes unavailable`, `entries in flight`.
fn counted(words: &mut Words<'_>) -> Result<Counted, Mistake> {
    if words.eat("entries in flight") {
        return Ok(Counted::Entries(IN_FLIGHT.map(str::to_owned).into()));
    }
    if words.eat("entries") {
        return phases(words).map(Counted::Entries);
    }
    let set = words.eat_one(&SETS, "something to count")?;
    Ok(Counted::Nodes(
        set,
        words.eat_one(&NODE_STATES, "a state of nodes")?,
    ))
}

impl Bound {
    fn holds(self, number: u32) -> bool {
        (self.compare)(&number, &self.amount)
    }

    fn exactly(amount: u32) -> Self {
        Self {
            compare: u32::eq,
            amount,
        }
    }
}

/// `>= 2`; `number` says what the number is.
fn bound(words: &mut Words<'_>, number: &str) -> Result<Bound, Mistake> {
    Ok(Bound {
        compare: words.eat_one(&COMPARES, "a comparison")?,
        amount: words.number(number)?,
    })
}

#[cfg(test)]
mod tests;
