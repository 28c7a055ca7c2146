//! S4, entries in flight: a start keeps `maxConcurrent` of the queue and of the entry's policy, and opens no group if
//! `atOnce` groups are open already. Only starts are judged: an edit may lower a limit below what is in flight, a
//! retry asks for no limit, and a slot is put back whatever the limits say.

use std::collections::{BTreeMap, BTreeSet};

use super::params::{Groups, Params};
use super::view::ClusterView;
use crate::api::{IntOrPercent, Ms};
use crate::truth::{EntryFacts, Truth, TruthEvent};

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    let Truth::Slots { holders } = &event.what else {
        return vec![];
    };
    let turns = turns(view, params, holders);
    let starts = turns.iter().filter(|turn| turn.starts);
    let policies: BTreeSet<&str> = starts.map(|turn| turn.policy).collect();
    if policies.is_empty() {
        return vec![];
    }
    let all: Vec<&InFlightNode<'_>> = turns.iter().collect();
    let most = of_nodes(params.max_concurrent, view, params, &turns);
    let mut broken = Vec::from_iter(too_many("the queue", most, &all));
    for name in policies {
        let Some(limits) = params.policies.get(name) else {
            continue;
        };
        let of_policy: Vec<&InFlightNode<'_>> = turns.iter().filter(|turn| turn.policy == name).collect();
        let most = limits.max_concurrent.unwrap_or(i64::MAX);
        broken.extend(too_many(&format!("policy {name}"), most, &of_policy));
        if let Some(groups) = &limits.groups {
            broken.extend(opened(event.at, view, params, name, groups, &of_policy));
        }
    }
    broken
}

/// A node whose entry is in flight or holds a slot.
struct InFlightNode<'a> {
    node: &'a str,
    policy: &'a str,
    /// Its slot is new, and the controller has not touched the node yet.
    starts: bool,
}

/// All such nodes, if `holders` have the slots.
fn turns<'a>(
    view: &'a ClusterView,
    params: &Params,
    holders: &'a BTreeMap<String, String>,
) -> Vec<InFlightNode<'a>> {
    let of_slot = |(node, uid): (&'a String, &'a String)| {
        let controller_cordoned = params.cordoned(view.nodes.get(node)?);
        let is_held = view.slots.as_ref().is_some_and(|old| old.get(node) == Some(uid));
        let (entry, is_under_way) = match view.entries.get(uid) {
            Some(entry) => (entry, entry.waits() || entry.in_flight()),
            // Somebody deleted the entry: the node is in flight as long as the controller's cordon stands.
            None => {
                let entry = view.deleted.get(uid)?;
                (entry, entry.in_flight() && controller_cordoned)
            }
        };
        let turn = InFlightNode {
            node,
            policy: &entry.policy,
            starts: !is_held && entry.waits() && !controller_cordoned,
        };
        (is_under_way && is_of_its_node(view, entry)).then_some(turn)
    };
    let without_slot = view.entries.values().filter(|entry| {
        entry.in_flight() && !holders.contains_key(&entry.node) && is_of_its_node(view, entry)
    });
    let without_slot = without_slot.map(|entry| InFlightNode {
        node: &entry.node,
        policy: &entry.policy,
        starts: false,
    });
    holders.iter().filter_map(of_slot).chain(without_slot).collect()
}

fn is_of_its_node(view: &ClusterView, entry: &EntryFacts) -> bool {
    view.nodes
        .get(&entry.node)
        .is_some_and(|node| node.uid == entry.node_uid)
}

/// A limit of the queue as a number of nodes. A node that is excluded during its turn counts until the turn ends.
fn of_nodes(limit: IntOrPercent, view: &ClusterView, params: &Params, turns: &[InFlightNode<'_>]) -> i64 {
    let in_turn: BTreeSet<&str> = turns.iter().map(|turn| turn.node).collect();
    let nodes = view.nodes.iter();
    let counted = nodes.filter(|(name, node)| in_turn.contains(name.as_str()) || params.counts(node));
    limit.of(counted.count() as i64).max(1)
}

fn too_many(whose: &str, most: i64, turns: &[&InFlightNode<'_>]) -> Option<String> {
    let names: Vec<&str> = turns.iter().map(|turn| turn.node).collect();
    (names.len() as i64 > most).then(|| {
        format!(
            "maxConcurrent of {whose} is {most}, but {} are in flight",
            names.join(" ")
        )
    })
}

/// A start in an open group opens no group, so it is allowed however many groups are open.
fn opened(
    at: Ms,
    view: &ClusterView,
    params: &Params,
    policy: &str,
    groups: &Groups,
    turns: &[&InFlightNode<'_>],
) -> Option<String> {
    let of = |starts: bool| {
        let those = turns.iter().filter(move |turn| turn.starts == starts);
        those.filter_map(|turn| group(at, view, params, &groups.by, turn.node))
    };
    let before: BTreeSet<String> = of(false).collect();
    let mut open = before.clone();
    open.extend(of(true));
    let is_more = open.len() > before.len() && open.len() as i64 > groups.at_once;
    is_more.then(|| {
        let names = Vec::from_iter(open).join(", ");
        format!(
            "groups of policy {policy}: {names} are open, but atOnce is {}",
            groups.at_once
        )
    })
}

/// `None` while the controller may not know the label's last change. A label's value contains no space, so `node
/// NAME` is no other group's name.
fn group(at: Ms, view: &ClusterView, params: &Params, label: &str, name: &str) -> Option<String> {
    let node = view.nodes.get(name)?;
    let changed = node.labelled_at.get(label);
    if changed.is_some_and(|changed| at < changed + params.lag_ms) {
        return None;
    }
    let group = node.labels.get(label).cloned();
    Some(group.unwrap_or_else(|| format!("node {name}")))
}
