//! What people do in the simulated world: the writes that `junban` and kubectl make.

use std::sync::Arc;

use anyhow::{Context as _, Error, Result, bail};
use junban_api::{convert, names};
use junban_core::cluster::Cluster;
use junban_core::reason::{Class, Reason};
use junban_core::{facts, goal};
use junban_world::{
    ApiError, Budget, Custom, Deny, DownCause, Fault, NodeOp, OwnerKey, OwnerKind, Preconditions, Selector,
    Verb, World,
};
use serde_json::{Value, json};

use super::build::{self, PEOPLE};
use crate::scenario::model::{self, Act, MachineFault, Right, Scenario, Target};
use crate::scenario::{selector, settings};
use junban_sim::objects::{self, ENTRY, POLICY, QUEUE, wall};

/// Does one act.
pub(super) fn act(world: &mut World, scenario: &Scenario, act: &Act) -> Result<()> {
    match act {
        Act::Reboot {
            target,
            again,
            reason,
            ..
        } => reboot(world, scenario, target, *again, reason),
        Act::Pause(reason) => set_queue(world, &json!({"paused": true, "pauseReason": reason})),
        Act::Resume => set_queue(world, &json!({"paused": false, "pauseReason": null})),
        Act::Refused(refused) => match self::act(world, scenario, refused) {
            Ok(()) => bail!("it was not refused"),
            Err(_) => Ok(()),
        },
        Act::Cancel(target) => selected(world, target)?
            .iter()
            .try_for_each(|node| cancel_named(world, node)),
        Act::Retry(node) => retry(world, node),
        Act::Cordon(node) => patch(world, node, NodeOp::SetUnschedulable(true)),
        Act::Uncordon(node) => patch(world, node, NodeOp::SetUnschedulable(false)),
        Act::Label { node, key, value } => {
            let labels = world.store().node(node).map(|node| &node.meta.labels);
            let change = match value {
                Some(value) => NodeOp::SetLabel(key.clone(), value.clone()),
                // kubectl merges: removing a label that is absent is no error.
                None if labels.is_some_and(|labels| !labels.contains_key(key)) => return Ok(()),
                None => NodeOp::RemoveLabel(key.clone()),
            };
            patch(world, node, change)
        }
        Act::DeleteNode(node) => Ok(world.client(PEOPLE).delete_node(node)?),
        Act::RegisterNode(node) => {
            world.register_node(node);
            Ok(())
        }
        Act::DeleteQueue => delete(world, QUEUE, names::QUEUE),
        Act::ApplyQueue => {
            build::apply(world, QUEUE, names::QUEUE, build::queue_spec(scenario));
            Ok(())
        }
        Act::DeletePolicy(name) => delete(world, POLICY, name),
        Act::ApplyPolicy(name) => {
            let now = wall(world.now()).as_second();
            build::apply(world, POLICY, name, build::policy_spec(scenario, name, now));
            Ok(())
        }
        Act::DeleteEntries(target) => {
            let of = selected(world, target)?;
            let entries = entries(world);
            let mine = entries.iter().filter(|entry| of.contains(&node_of(entry)));
            mine.into_iter()
                .try_for_each(|entry| delete(world, ENTRY, &entry.meta.name))
        }
        other => act_on_the_rest(world, other),
    }
}

fn act_on_the_rest(world: &mut World, act: &Act) -> Result<()> {
    match act {
        Act::DeletePod(namespace, name) => {
            let options = junban_world::DeleteOptions::default();
            Ok(world.client(PEOPLE).delete_pod(namespace, name, &options)?)
        }
        Act::Deny(right) => {
            let deny = denial(right)?;
            world.callers().faults(names::FIELD_MANAGER).deny.push(deny);
            Ok(())
        }
        Act::AllowEverything => {
            world.callers().faults(names::FIELD_MANAGER).deny.clear();
            Ok(())
        }
        Act::EditQueue(edits) => edit(world, QUEUE, names::QUEUE, edits),
        Act::EditPolicy(name, edits) => edit(world, POLICY, name, edits),
        Act::EditBudget {
            namespace,
            name,
            demand,
        } => edit_budget(world, namespace, name, demand),
        Act::Scale {
            namespace,
            name,
            replicas,
        } => scale(world, namespace, name, *replicas),
        Act::RebootMachine(node) => {
            world.reboot_by(node, DownCause::Person);
            Ok(())
        }
        Act::PowerOff(node) => {
            world.kill(node);
            Ok(())
        }
        Act::Fault(fault) => {
            inject(world, fault);
            Ok(())
        }
        Act::Repair(node) => {
            world.heal(node);
            Ok(())
        }
        _ => bail!("this act concerns a controller, not the world"),
    }
}

/// Gives a machine this fault and no other.
pub(super) fn inject(world: &mut World, fault: &MachineFault) {
    let node = fault.node.as_str();
    let kind = match fault.fault {
        model::Fault::NeverReturns => Fault::NeverReturns,
        model::Fault::SameBootId => Fault::SameBootId,
        model::Fault::NotReady => Fault::NotReady,
        model::Fault::Slow(factor) => Fault::Slow(factor),
        model::Fault::PowerLost => Fault::PowerLost,
        model::Fault::Refused => Fault::Refuse,
        model::Fault::Unknown => Fault::PowerUnknown,
        model::Fault::Dead => return world.kill(node),
    };
    world.set_fault(node, kind);
}

/// Translates a right: the world names custom objects by their kind.
fn denial(right: &Right) -> Result<Deny> {
    let (verb, resource) = match right {
        Right::DeletePodsIn(namespace) => {
            return Ok(Deny {
                verb: Verb::Delete,
                resource: "pods".into(),
                namespace: Some(namespace.clone()),
            });
        }
        Right::Cluster { verb, resource } => (verb.as_str(), resource.as_str()),
    };
    let verb = match verb {
        "get" => Verb::Get,
        "list" => Verb::List,
        "watch" => Verb::Watch,
        "create" => Verb::Create,
        "update" => Verb::Update,
        "patch" => Verb::Patch,
        "delete" => Verb::Delete,
        _ => bail!("there is no verb {verb}"),
    };
    let (plural, rest) = resource.split_at(resource.find('/').unwrap_or(resource.len()));
    let kind = match plural {
        "rebootqueues" => QUEUE,
        "rebootpolicies" => POLICY,
        "nodereboots" => ENTRY,
        _ => plural,
    };
    Ok(Deny {
        verb,
        resource: format!("{kind}{rest}"),
        namespace: None,
    })
}

fn patch(world: &mut World, node: &str, change: NodeOp) -> Result<()> {
    world.client(PEOPLE).patch_node(node, &[change])?;
    Ok(())
}

fn delete(world: &mut World, kind: &str, name: &str) -> Result<()> {
    Ok(world
        .client(PEOPLE)
        .delete_custom(kind, name, &Preconditions::default())?)
}

fn set_queue(world: &mut World, spec: &Value) -> Result<()> {
    world
        .client(PEOPLE)
        .patch_custom(QUEUE, names::QUEUE, spec, &Preconditions::default())?;
    Ok(())
}

fn edit(world: &mut World, kind: &str, name: &str, edits: &[model::Setting]) -> Result<()> {
    let now = wall(world.now()).as_second();
    let custom = world
        .store()
        .custom(kind, name)
        .with_context(|| format!("there is no {kind} {name}"))?;
    let mut spec = custom.spec.clone();
    settings::apply(&mut spec, edits, now);
    world
        .client(PEOPLE)
        .replace_custom(kind, name, spec, &Preconditions::default())?;
    Ok(())
}

fn edit_budget(world: &mut World, namespace: &str, name: &str, demand: &model::Demand) -> Result<()> {
    let known = world
        .store()
        .budget(namespace, name)
        .with_context(|| format!("there is no budget {namespace}/{name}"))?;
    let budget = Budget {
        demand: build::demand(demand),
        selector: known
            .selector
            .clone()
            .or_else(|| Some(Selector::label("app", name))),
        ..(**known).clone()
    };
    Ok(world.client(PEOPLE).apply_budget(budget)?)
}

fn scale(world: &mut World, namespace: &str, name: &str, replicas: u32) -> Result<()> {
    let is_mine = |key: &OwnerKey| *key.namespace == *namespace && *key.name == *name;
    let key = world
        .store()
        .owners()
        .map(|owner| owner.key())
        .find(|key| is_mine(key) && matches!(key.kind, OwnerKind::Deployment | OwnerKind::StatefulSet))
        .with_context(|| format!("there is no workload {namespace}/{name}"))?;
    Ok(world.client(PEOPLE).scale(&key, i64::from(replicas))?)
}

fn entries(world: &World) -> Vec<Arc<Custom>> {
    world
        .store()
        .customs()
        .filter(|custom| custom.kind == ENTRY)
        .cloned()
        .collect()
}

fn node_of(entry: &Custom) -> String {
    entry.spec["nodeName"].as_str().unwrap_or_default().to_owned()
}

fn phase_of(entry: &Custom) -> &str {
    entry.status["phase"].as_str().unwrap_or("Queued")
}

fn is_ended(entry: &Custom) -> bool {
    matches!(phase_of(entry), "Succeeded" | "Cancelled")
}

fn selected(world: &World, target: &Target) -> Result<Vec<String>> {
    let names = world.store().nodes();
    let nodes = match target {
        Target::All => {
            let gone = entries(world).into_iter().map(|entry| node_of(&entry));
            let mut all: Vec<String> = names.map(|node| node.meta.name.to_string()).chain(gone).collect();
            all.sort();
            all.dedup();
            all
        }
        Target::Nodes(nodes) => nodes.clone(),
        Target::Selector(text) => {
            let selector = selector::parse(text).map_err(Error::msg)?;
            let nodes = names.filter(|node| selector.selects(&node.meta.labels));
            let nodes: Vec<String> = nodes.map(|node| node.meta.name.to_string()).collect();
            if nodes.is_empty() {
                bail!("no node has labels that {text:?} selects");
            }
            nodes
        }
    };
    Ok(nodes)
}

/// `junban reboot`.
fn reboot(world: &mut World, scenario: &Scenario, target: &Target, again: bool, reason: &str) -> Result<()> {
    let now = convert::format_goal(wall(world.now()));
    if *target == Target::All {
        let cluster = cluster_of_policies(world);
        let nodes = world.store().nodes().filter_map(|node| objects::node(node));
        let governed: Vec<_> = nodes
            .map(|node| facts::governing(&cluster, &node).map(drop))
            .collect();
        if !governed.iter().any(Result::is_ok)
            && let Some(Err(refusal)) = governed.first()
        {
            bail!("no node can be rebooted: {}", refusal.message);
        }
        let policies: Vec<String> = world
            .store()
            .customs()
            .filter(|custom| custom.kind == POLICY)
            .filter(|policy| again || !is_under_way(world, policy))
            .map(|policy| policy.meta.name.to_string())
            .collect();
        for policy in policies {
            // On a real cluster the apply of the command conflicts with the field manager of the file.
            if build::policy_spec(scenario, &policy, 0)["bootedAfter"].is_string() {
                bail!("the file sets the goal of policy {policy}");
            }
            let goal = json!({ "bootedAfter": now });
            world
                .client(PEOPLE)
                .patch_custom(POLICY, &policy, &goal, &Preconditions::default())?;
        }
        return Ok(());
    }
    for node in selected(world, target)? {
        reboot_node(world, &node, &now, reason)?;
    }
    Ok(())
}

/// Whether a second `reboot --all` joins this policy's goal (docs/design/life-cycle.md#asking-twice).
fn is_under_way(world: &World, policy: &Custom) -> bool {
    let Some(goal) = policy.spec["bootedAfter"].as_str() else {
        return false;
    };
    if policy.status["observedGeneration"].as_u64() != Some(policy.meta.generation) {
        return true;
    }
    let passes = |entry: &Custom| {
        let reason: Option<Reason> = serde_json::from_value(entry.status["reason"].clone()).ok();
        reason.is_none_or(|reason| reason.class() == Class::Passes || reason == Reason::Paused)
    };
    entries(world).iter().any(|entry| {
        entry.spec["policy"].as_str() == Some(&*policy.meta.name)
            && entry.spec["bootedAfter"].as_str() == Some(goal)
            && match phase_of(entry) {
                "Draining" | "Rebooting" | "Verifying" => true,
                "Queued" => passes(entry),
                _ => false,
            }
    })
}

fn reboot_node(world: &mut World, node: &str, goal: &str, reason: &str) -> Result<()> {
    if entries(world)
        .iter()
        .any(|entry| node_of(entry) == node && !is_ended(entry))
    {
        return Ok(());
    }
    let known = world
        .store()
        .node(node)
        .cloned()
        .with_context(|| format!("there is no node {node}"))?;
    let cluster = cluster_of_policies(world);
    let governs = objects::node(&known).map(|known| facts::governing(&cluster, &known));
    let policy = match governs {
        Some(Ok(policy)) => policy.name.to_string(),
        Some(Err(refusal)) => {
            bail!("node {node} cannot be rebooted: {}", refusal.message);
        }
        None => bail!("node {node} cannot be read"),
    };
    let uid = known.meta.uid.to_string();
    let time = convert::parse_goal(goal).map_err(Error::msg)?;
    let spec = json!({
        "nodeName": node, "nodeUID": uid, "policy": policy, "bootedAfter": goal, "reason": reason,
        "requestedBy": PEOPLE, "priority": 0, "cancel": false, "retries": 0,
    });
    let new = junban_world::NewCustom {
        kind: ENTRY.into(),
        name: goal::entry_name(&node.into(), &(&*uid).into(), &(&*policy).into(), time).to_string(),
        spec,
        ..junban_world::NewCustom::default()
    };
    world.client(PEOPLE).create_custom(new)?;
    Ok(())
}

/// `junban cancel NODE`. The command refuses if the node has no entry, or if the entry's power action has begun.
fn cancel_named(world: &mut World, node: &str) -> Result<()> {
    let is_live = |entry: &Arc<Custom>| node_of(entry) == node && !is_ended(entry);
    if !entries(world).iter().any(is_live) {
        bail!("node {node} has no entry to cancel");
    }
    if cancel(world, node)? {
        return Ok(());
    }
    bail!("node {node} is past its power action, so Junban finishes its turn")
}

/// Writes the waiver on the Node, then cancels its entries. Returns whether all of them were cancelled: an entry past its
/// power action is not.
fn cancel(world: &mut World, node: &str) -> Result<bool> {
    let mut all = true;
    for entry in entries(world)
        .iter()
        .filter(|entry| node_of(entry) == node && !is_ended(entry))
    {
        let own = entry.spec["bootedAfter"].as_str().unwrap_or_default().to_owned();
        // All goals have the same form, so the order of the texts is the order of the times.
        let goal = raised_goal(world, node).map_or(own.clone(), |raised| raised.max(own));
        if world.store().node(node).is_some() {
            patch(world, node, NodeOp::SetAnnotation(names::WAIVED.into(), goal))?;
        }
        all &= cancel_entry(world, entry)?;
    }
    Ok(all)
}

/// Returns whether the API server accepted it: past the power action a rule of the CRD refuses it.
fn cancel_entry(world: &mut World, entry: &Custom) -> Result<bool> {
    let cancelled = json!({"cancel": true});
    let written =
        world
            .client(PEOPLE)
            .patch_custom(ENTRY, &entry.meta.name, &cancelled, &Preconditions::default());
    match written {
        Ok(_) => Ok(true),
        Err(ApiError::Invalid { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The goal of the policy that governs the node, if the goal is due.
fn raised_goal(world: &World, node: &str) -> Option<String> {
    let cluster = cluster_of_policies(world);
    let node = objects::node(world.store().node(node)?)?;
    let goal = facts::governing(&cluster, &node).ok()?.booted_after?;
    (goal <= wall(world.now())).then(|| convert::format_goal(goal))
}

fn cluster_of_policies(world: &World) -> Cluster {
    let customs = world.store().customs();
    let policies = customs.filter(|custom| custom.kind == POLICY);
    let policies = policies
        .filter_map(|policy| convert::policy::read(&objects::custom(policy)).ok())
        .map(|policy| (policy.name.clone(), policy));
    Cluster {
        policies: policies.collect(),
        ..Cluster::default()
    }
}

/// `junban cancel --all`: removes the goals from the policies, writes no waiver, and leaves Failed entries.
pub(super) fn cancel_all(world: &mut World) -> Result<()> {
    let policies: Vec<String> = world
        .store()
        .customs()
        .filter(|custom| custom.kind == POLICY)
        .map(|policy| policy.meta.name.to_string())
        .collect();
    for policy in policies {
        let none = json!({ "bootedAfter": null });
        world
            .client(PEOPLE)
            .patch_custom(POLICY, &policy, &none, &Preconditions::default())?;
    }
    entries(world)
        .iter()
        .filter(|entry| !is_ended(entry) && phase_of(entry) != "Failed")
        .try_for_each(|entry| cancel_entry(world, entry).map(drop))
}

/// `junban retry NODE`.
fn retry(world: &mut World, node: &str) -> Result<()> {
    let entries = entries(world);
    let entry = entries
        .iter()
        .filter(|entry| node_of(entry) == node && !is_ended(entry))
        .max_by_key(|entry| entry.meta.created)
        .with_context(|| format!("node {node} has no entry to retry"))?;
    let retries = entry.spec["retries"].as_u64().unwrap_or_default() + 1;
    let wanted = json!({ "retries": retries });
    world
        .client(PEOPLE)
        .patch_custom(ENTRY, &entry.meta.name, &wanted, &Preconditions::default())?;
    Ok(())
}

#[cfg(test)]
mod tests;
