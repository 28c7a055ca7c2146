//! The verbs of the `junban` command. The product's own functions decide. Here their decisions become writes on the world.

use std::fmt::Debug;

use junban_api::convert::{self, format_goal};
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::entry::Entry;
use junban_core::ids::NodeName;
use junban_core::time::{Mono, Now, Reading, Timestamp};
use junban_core::verbs::reboot::{NodeDecision, PolicyDecision};
use junban_core::verbs::{cancel, reboot, retry};
use junban_sim::objects::{ENTRY, POLICY, wall};
use junban_world::{ApiError, NewCustom, NodeOp, Preconditions, World};
use serde_json::{Value, json};

use super::error::{Done, PeopleError};
use crate::simulated::build::PEOPLE;

/// The clocks of a command: only the wall clock matters to what the verbs decide. It shows whole seconds, as the `Date`
/// header of an API server does.
fn now(world: &World) -> Now {
    let wall = wall(world.now());
    Now {
        mono: Mono::default(),
        clock: Reading::default(),
        wall: Timestamp::from_second(wall.as_second()).unwrap_or(wall),
    }
}

fn refused(refusal: impl Debug) -> PeopleError {
    PeopleError::Refused(format!("{refusal:?}"))
}

pub(super) fn patch_spec(world: &mut World, kind: &str, name: &str, spec: &Value) -> Done {
    let anything = Preconditions::default();
    world.client(PEOPLE).patch_custom(kind, name, spec, &anything)?;
    Ok(())
}

/// `junban reboot --all`. `sets_goal`: whether the file sets the goal of this policy. Then the file's field manager owns
/// the goal, and the command's apply is a conflict. The command tries every policy before it writes one.
pub(super) fn reboot_all(world: &mut World, again: bool, sets_goal: impl Fn(&str) -> bool) -> Done {
    let cluster = junban_sim::cluster(world);
    let decision = reboot::decide_all(&cluster, now(world), again).map_err(refused)?;
    let set = decision.policies.iter();
    let set = set.filter(|(_, of_policy)| **of_policy == PolicyDecision::SetGoal);
    if let Some((policy, _)) = set.clone().find(|(name, _)| sets_goal(name.as_str())) {
        return Err(PeopleError::Other(format!(
            "the file sets the goal of policy {policy}"
        )));
    }
    let goal = json!({"bootedAfter": format_goal(decision.goal)});
    for (policy, _) in set {
        patch_spec(world, POLICY, policy.as_str(), &goal)?;
    }
    Ok(())
}

/// `junban reboot NODE...`.
pub(super) fn reboot_nodes(world: &mut World, nodes: &[NodeName], reason: &str) -> Done {
    let cluster = junban_sim::cluster(world);
    let decisions = reboot::decide_nodes(&cluster, now(world), nodes, PEOPLE, reason).map_err(refused)?;
    for (_, decision) in decisions {
        let NodeDecision::Create(name, spec) = decision else {
            continue;
        };
        let object = convert::entry::object(&name, &spec);
        let new = NewCustom {
            kind: ENTRY.into(),
            name: name.to_string(),
            labels: serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default(),
            spec: object["spec"].clone(),
            ..NewCustom::default()
        };
        let created = world.client(PEOPLE).create_custom(new);
        let found = cluster.entries.get(&name);
        let is_same = found.is_some_and(|found| reboot::asks_for_the_same(&spec, &found.spec));
        match created {
            Err(ApiError::AlreadyExists { .. }) if is_same => {}
            created => drop(created?),
        }
    }
    Ok(())
}

/// `junban cancel NODE...`: it fails if an entry is past its power action.
pub(super) fn cancel_nodes(world: &mut World, nodes: &[NodeName]) -> Done {
    let cluster = junban_sim::cluster(world);
    let chosen = cancel::decide_nodes(&cluster, nodes, true).map_err(refused)?;
    let mut not_cancelled = Vec::new();
    for (name, entries) in chosen {
        waive(world, &cluster, name, &entries)?;
        for entry in entries {
            if !cancel_entry(world, entry)? {
                not_cancelled.push(name.as_str());
            }
        }
    }
    if not_cancelled.is_empty() {
        return Ok(());
    }
    Err(PeopleError::Other(format!(
        "Junban finishes the turns of these nodes, because they are past their power action: {}",
        not_cancelled.join(", ")
    )))
}

fn waive(world: &mut World, cluster: &Cluster, name: &NodeName, entries: &[&Entry]) -> Done {
    let node = cluster.nodes.get(name);
    let goal = node.and_then(|node| cancel::waiver(cluster, now(world).wall, node, entries));
    if let Some(goal) = goal {
        let waiver = NodeOp::SetAnnotation(names::WAIVED.into(), format_goal(goal));
        world.client(PEOPLE).patch_node(name.as_str(), &[waiver])?;
    }
    Ok(())
}

/// Returns whether the entry is cancelled. The API server refuses that past the power action.
fn cancel_entry(world: &mut World, entry: &Entry) -> Result<bool, PeopleError> {
    if cancel::decide_entry(entry) != cancel::EntryDecision::Cancel {
        return Ok(true);
    }
    match patch_spec(world, ENTRY, entry.name.as_str(), &json!({"cancel": true})) {
        Err(PeopleError::Api(ApiError::Invalid { .. })) if cancel::is_seen_through(entry.record.phase) => {
            Ok(false)
        }
        written => written.map(|()| true),
    }
}

/// `junban cancel --all`: withdraws the goals first. An entry past its power action is no failure here.
pub(super) fn cancel_all(world: &mut World) -> Done {
    for policy in junban_sim::cluster(world).policies.values() {
        if policy.booted_after.is_some() {
            patch_spec(world, POLICY, policy.name.as_str(), &json!({"bootedAfter": null}))?;
        }
    }
    let cluster = junban_sim::cluster(world);
    let entries = cancel::decide_all(&cluster).into_values().flatten();
    for entry in entries {
        cancel_entry(world, entry)?;
    }
    Ok(())
}

/// `junban retry NODE`.
pub(super) fn retry(world: &mut World, node: &str) -> Done {
    let cluster = junban_sim::cluster(world);
    let entries = retry::decide(&cluster, now(world), &[node.into()], true).map_err(refused)?;
    for entry in entries {
        if let retry::EntryDecision::SetRetries(retries) = retry::decide_entry(entry) {
            patch_spec(world, ENTRY, entry.name.as_str(), &json!({"retries": retries}))?;
        }
    }
    Ok(())
}
