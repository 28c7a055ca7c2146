//! Decides whether a condition holds for the facts of one moment.

use std::collections::BTreeSet;

use super::{Claim, Compare, Condition, NodeState, Set, Thing};
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
            } => {
                let entry = facts.entry_of(node);
                let holds = entry.is_some_and(|entry| {
                    phases.contains(&entry.phase)
                        && reason.is_none_or(|reason| entry.reason == reason)
                        && naming
                            .as_ref()
                            .is_none_or(|text| entry.message.contains(text.as_str()))
                });
                verdict(
                    holds,
                    entry.map_or_else(|| format!("{node} has no entry"), describe),
                )
            }
            Self::HasEntry(node) => verdict(
                facts.entry_of(node).is_some(),
                facts
                    .entry_of(node)
                    .map_or_else(|| format!("{node} has no entry"), describe),
            ),
            Self::Exists(node) => {
                let exists = facts.nodes.contains_key(node);
                verdict(
                    exists,
                    format!("{node} is {}", if exists { "there" } else { "gone" }),
                )
            }
            Self::Node(node, state) => nodes_are(facts, node.as_deref(), *state),
            Self::Boots(node, compare, wanted) => {
                let boots = |name: &str| facts.nodes.get(name).map_or(0, |node| node.boots);
                per_node(facts, node.as_deref(), "boots", boots, *compare, *wanted)
            }
            Self::PowerLines(node, compare, wanted) => {
                let lines = |name: &str| facts.power.get(name).copied().unwrap_or_default();
                per_node(facts, node.as_deref(), "power actions", lines, *compare, *wanted)
            }
            Self::No(thing) => none_of(facts, *thing),
            Self::Count(set, state, compare, wanted) => count(facts, *set, *state, *compare, *wanted),
            Self::CountEntries(phases, compare, wanted) => {
                let entries: Vec<&EntryFacts> = facts
                    .entries
                    .iter()
                    .filter(|entry| phases.contains(&entry.phase))
                    .collect();
                let names: Vec<String> = entries.iter().map(|entry| describe(entry)).collect();
                compared(entries.len(), *compare, *wanted, &names.join(", "))
            }
            Self::ReadyPods(workload, compare, wanted) => {
                let ready = facts.ready_pods(workload);
                verdict(
                    compare.holds(ready, *wanted),
                    format!("{workload} has {ready} ready"),
                )
            }
            Self::Disrupted(workload, compare, wanted) => {
                let replicas = facts.replicas.get(workload).copied().unwrap_or_default();
                let disrupted = replicas.saturating_sub(facts.ready_pods(workload));
                verdict(
                    compare.holds(disrupted, *wanted),
                    format!("{workload} has {disrupted} of {replicas} disrupted"),
                )
            }
            Self::Pods(workload, node, compare, wanted) => {
                let pods = facts.pods_of(workload, node.as_deref());
                let place = node.as_ref().map(|node| format!(" on {node}"));
                verdict(
                    compare.holds(pods, *wanted),
                    format!("{workload} has {pods} pods{}", place.unwrap_or_default()),
                )
            }
            Self::Pod(pod, wanted) => {
                let there = facts.pods.contains_key(pod);
                verdict(
                    there == *wanted,
                    format!("pod {pod} is {}", if there { "there" } else { "gone" }),
                )
            }
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

fn describe(entry: &EntryFacts) -> String {
    format!(
        "{} is {} {}: {}",
        entry.node, entry.phase, entry.reason, entry.message
    )
}

impl Compare {
    fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Equal => left == right,
            Self::MoreOrEqual => left >= right,
            Self::More => left > right,
        }
    }
}

fn compared(count: usize, compare: Compare, wanted: u32, names: &str) -> Verdict {
    let number = u32::try_from(count).unwrap_or(u32::MAX);
    verdict(compare.holds(number, wanted), format!("{count}: {names}"))
}

fn every_entry(facts: &Facts, phases: &[String]) -> Verdict {
    let others: Vec<String> = facts
        .entries
        .iter()
        .filter(|entry| !phases.contains(&entry.phase))
        .map(describe)
        .collect();
    if facts.entries.is_empty() {
        return verdict(false, "there is no entry");
    }
    let seen = if others.is_empty() {
        format!("all {} entries are", facts.entries.len())
    } else {
        others.join("; ")
    };
    verdict(others.is_empty(), seen)
}

impl NodeState {
    fn holds(self, facts: &Facts, name: &str, node: &NodeFacts) -> bool {
        match self {
            Self::Cordoned => node.cordoned,
            Self::Schedulable => !node.cordoned,
            Self::Ready => node.ready,
            Self::NotReady => !node.ready,
            Self::Marked => node.marked,
            Self::Unavailable => node.unavailable(),
            Self::InFlight => facts
                .entry_of(name)
                .is_some_and(|entry| matches!(entry.phase.as_str(), "Draining" | "Rebooting" | "Verifying")),
            Self::WithSlot => facts.slots.contains(name),
            Self::WithVolume => node.with_volume,
        }
    }
}

fn nodes_are(facts: &Facts, node: Option<&str>, state: NodeState) -> Verdict {
    let others: Vec<&str> = match node {
        Some(name) => match facts.nodes.get(name) {
            Some(node) if state.holds(facts, name, node) => vec![],
            _ => vec![name],
        },
        None => facts
            .nodes
            .iter()
            .filter(|(name, node)| !state.holds(facts, name, node))
            .map(|(name, _)| name.as_str())
            .collect(),
    };
    let seen = if others.is_empty() {
        "it holds".to_owned()
    } else {
        format!("{} not {state:?}", others.join(", "))
    };
    verdict(others.is_empty(), seen)
}

fn per_node(
    facts: &Facts,
    node: Option<&str>,
    what: &str,
    number: impl Fn(&str) -> u32,
    compare: Compare,
    wanted: u32,
) -> Verdict {
    // The power log can name a server whose Node is gone.
    let all = || facts.nodes.keys().chain(facts.power.keys()).map(String::as_str);
    let names: BTreeSet<&str> = node.map_or_else(|| all().collect(), |name| BTreeSet::from([name]));
    let wrong: Vec<String> = names
        .iter()
        .filter(|name| !compare.holds(number(name), wanted))
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

fn none_of(facts: &Facts, thing: Thing) -> Verdict {
    let with = |has: fn(&NodeFacts) -> bool| -> Vec<String> {
        let nodes = facts.nodes.iter().filter(|(_, node)| has(node));
        nodes.map(|(name, _)| name.clone()).collect()
    };
    let found = match thing {
        Thing::Cordon => with(|node| node.cordoned),
        Thing::Mark => with(|node| node.marked),
        Thing::Taint => with(|node| node.steered),
        Thing::LoadBalancerLabel => with(|node| node.off_load_balancers),
        Thing::Slot => facts.slots.iter().cloned().collect(),
        Thing::Entry => facts.entries.iter().map(describe).collect(),
        Thing::Failure => facts
            .entries
            .iter()
            .filter(|entry| entry.phase == "Failed")
            .map(describe)
            .collect(),
    };
    let seen = if found.is_empty() {
        "none".to_owned()
    } else {
        found.join("; ")
    };
    verdict(found.is_empty(), seen)
}

fn count(facts: &Facts, set: Set, state: NodeState, compare: Compare, wanted: u32) -> Verdict {
    let of_set = |node: &NodeFacts| match set {
        Set::Nodes | Set::Racks => true,
        Set::Workers => !node.control_plane,
        Set::ControlPlanes => node.control_plane,
    };
    let mut names: Vec<String> = facts
        .nodes
        .iter()
        .filter(|(name, node)| of_set(node) && state.holds(facts, name, node))
        .map(|(name, node)| {
            if set == Set::Racks {
                node.rack.clone()
            } else {
                name.clone()
            }
        })
        .collect();
    names.dedup();
    if set == Set::Racks {
        names.sort();
        names.dedup();
    }
    compared(names.len(), compare, wanted, &names.join(", "))
}
