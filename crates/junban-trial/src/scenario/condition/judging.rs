//! Decides whether a condition holds for the facts of one moment.

use std::collections::BTreeSet;

use super::{Bound, Claim, Condition, Counted, NodeState, Set};
use crate::scenario::facts::{EntryFacts, Facts, NodeFacts};

/// Whether a condition or a claim holds, and what was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::scenario) struct Verdict {
    pub(in crate::scenario) holds: bool,
    pub(in crate::scenario) seen: String,
}

impl Condition {
    pub(in crate::scenario) fn judge(&self, facts: &Facts) -> Verdict {
        let verdicts: Vec<Verdict> = self.claims.iter().map(|claim| claim.judge(facts)).collect();
        let seen: Vec<String> = verdicts.iter().map(|verdict| verdict.seen.clone()).collect();
        Verdict {
            holds: verdicts.iter().all(|verdict| verdict.holds),
            seen: seen.join("; "),
        }
    }
}

impl Claim {
    fn judge(&self, facts: &Facts) -> Verdict {
        match self {
            Self::Not(claim) => {
                let inner = claim.judge(facts);
                verdict(!inner.holds, inner.seen)
            }
            Self::EveryEntry(phases) => every_entry(facts, phases),
            Self::Entry {
                node,
                phases,
                reason,
                naming,
            } => entry(facts, node, |entry| {
                phases.contains(&entry.phase)
                    && reason.is_none_or(|reason| entry.reason == reason)
                    && naming.as_ref().is_none_or(|text| entry.message.contains(text))
            }),
            Self::HasEntry(node) => entry(facts, node, |_| true),
            Self::Exists(node) => exists(node, facts.nodes.contains_key(node), true),
            Self::Node(node, state) => nodes_are(facts, node.as_deref(), *state),
            Self::Boots(node, bound) => {
                let boots = |name: &str| facts.nodes.get(name).map_or(0, |node| node.boots);
                per_node(facts, node.as_deref(), "boots", boots, *bound)
            }
            Self::PowerLines(node, bound) => {
                let lines = |name: &str| facts.power.get(name).copied().unwrap_or_default();
                per_node(facts, node.as_deref(), "power actions", lines, *bound)
            }
            Self::No(thing) => none(thing(facts), "none"),
            Self::Count(counted, bound) => count(facts, counted, *bound),
            Self::ReadyPods(workload, bound) => {
                let ready = facts.ready_pods(workload);
                verdict(bound.holds(ready), format!("{workload} has {ready} ready"))
            }
            Self::Disrupted(workload, bound) => {
                let replicas = facts.replicas.get(workload).copied().unwrap_or_default();
                let disrupted = replicas.saturating_sub(facts.ready_pods(workload));
                verdict(
                    bound.holds(disrupted),
                    format!("{workload} has {disrupted} of {replicas} disrupted"),
                )
            }
            Self::Pods(workload, node, bound) => {
                let pods = facts.pods_of(workload, node.as_deref());
                let place = node.as_ref().map(|node| format!(" on {node}"));
                verdict(
                    bound.holds(pods),
                    format!("{workload} has {pods} pods{}", place.unwrap_or_default()),
                )
            }
            Self::Pod(pod, wanted) => exists(&format!("pod {pod}"), facts.pods.contains_key(pod), *wanted),
            Self::PodOn(pod, node) => {
                let on = facts.pods.get(pod).map_or("", |pod| &pod.node);
                verdict(on == node, format!("pod {pod} is on {on:?}"))
            }
            Self::Paused => verdict(facts.paused, format!("paused: {}", facts.paused)),
        }
    }
}

fn verdict(holds: bool, seen: impl Into<String>) -> Verdict {
    Verdict {
        holds,
        seen: seen.into(),
    }
}

/// Judges the node's newest entry.
fn entry(facts: &Facts, node: &str, holds: impl Fn(&EntryFacts) -> bool) -> Verdict {
    match facts.entry_of(node) {
        Some(entry) => verdict(holds(entry), entry.describe()),
        None => verdict(false, format!("{node} has no entry")),
    }
}

fn exists(what: &str, is_there: bool, wanted: bool) -> Verdict {
    let place = if is_there { "there" } else { "gone" };
    verdict(is_there == wanted, format!("{what} is {place}"))
}

fn every_entry(facts: &Facts, phases: &[String]) -> Verdict {
    if facts.entries.is_empty() {
        return verdict(false, "there is no entry");
    }
    let others = facts
        .entries
        .iter()
        .filter(|entry| !phases.contains(&entry.phase));
    none(
        others.map(EntryFacts::describe).collect(),
        &format!("all {} entries are", facts.entries.len()),
    )
}

/// Holds if nothing was found. `otherwise` says so in words.
fn none(found: Vec<String>, otherwise: &str) -> Verdict {
    let seen = if found.is_empty() {
        otherwise.to_owned()
    } else {
        found.join("; ")
    };
    verdict(found.is_empty(), seen)
}

fn nodes_are(facts: &Facts, node: Option<&str>, state: NodeState) -> Verdict {
    let names: Vec<&str> = match node {
        Some(name) => vec![name],
        None => facts.nodes.keys().map(String::as_str).collect(),
    };
    let is_so = |name: &str| {
        let node = facts.nodes.get(name);
        node.is_some_and(|node| state(facts, name, node))
    };
    let others = names.into_iter().filter(|name| !is_so(name));
    none(others.map(|name| format!("not so: {name}")).collect(), "it holds")
}

fn per_node(
    facts: &Facts,
    node: Option<&str>,
    what: &str,
    number: impl Fn(&str) -> u32,
    bound: Bound,
) -> Verdict {
    // The power log can name a server whose Node is gone.
    let all = || facts.nodes.keys().chain(facts.power.keys()).map(String::as_str);
    let names: BTreeSet<&str> = node.map_or_else(|| all().collect(), |name| BTreeSet::from([name]));
    let wrong: Vec<String> = names
        .iter()
        .filter(|name| !bound.holds(number(name)))
        .map(|name| format!("{name}: {} {what}", number(name)))
        .collect();
    let seen = if wrong.is_empty() {
        let first = names.iter().next().map_or(0, |name| number(name));
        format!("{first} {what}")
    } else {
        wrong.join(", ")
    };
    verdict(wrong.is_empty(), seen)
}

fn count(facts: &Facts, counted: &Counted, bound: Bound) -> Verdict {
    let names: Vec<String> = match counted {
        Counted::Entries(phases) => {
            let entries = facts.entries.iter().filter(|entry| phases.contains(&entry.phase));
            entries.map(EntryFacts::describe).collect()
        }
        Counted::Nodes(set, state) => counted_nodes(facts, *set, *state).into_iter().collect(),
    };
    let number = u32::try_from(names.len()).unwrap_or(u32::MAX);
    verdict(bound.holds(number), format!("{number}: {}", names.join(", ")))
}

/// The names of the nodes, or of their racks.
fn counted_nodes(facts: &Facts, set: Set, state: NodeState) -> BTreeSet<String> {
    let of_set = |node: &NodeFacts| match set {
        Set::Nodes | Set::Racks => true,
        Set::Workers => !node.control_plane,
        Set::ControlPlanes => node.control_plane,
    };
    let nodes = facts.nodes.iter();
    let nodes = nodes.filter(|(name, node)| of_set(node) && state(facts, name, node));
    let name = |(name, node): (&String, &NodeFacts)| match set {
        Set::Racks => node.rack.clone(),
        _ => name.clone(),
    };
    nodes.map(name).collect()
}
