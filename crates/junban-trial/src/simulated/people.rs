//! What people do in the simulated world: the writes that `junban` and kubectl make.

mod error;
mod verbs;

use std::collections::BTreeSet;

use junban_api::names;
use junban_core::ids::NodeName;
use junban_world::{
    Budget, Deny, DownCause, Effect, Fault, NodeOp, OwnerKey, OwnerKind, Preconditions, Selector, Taint,
    Verb, World,
};
use serde_json::{Value, json};

use super::build::{self, PEOPLE};
use crate::scenario::model::{self, Act, Key, MachineFault, Right, Scenario, Target};
use crate::scenario::{selector, settings};
use junban_sim::objects::{ENTRY, POLICY, QUEUE, wall};

use self::error::Done;
pub use self::error::PeopleError;

/// Does one act.
pub(super) fn act(world: &mut World, scenario: &Scenario, act: &Act) -> Done {
    match act {
        Act::Reboot {
            target,
            again,
            reason,
        } => reboot(world, scenario, target, *again, reason)?,
        Act::Pause(reason) => set_queue(world, &json!({"paused": true, "pauseReason": reason}))?,
        Act::Resume => {
            let queue = world.store().custom(QUEUE, names::QUEUE);
            let uid = queue.map(|queue| queue.meta.uid.to_string());
            set_queue(
                world,
                &json!({"paused": false, "pauseReason": null, "resumed": uid}),
            )?;
        }
        Act::Refused(refused) => {
            if self::act(world, scenario, refused).is_ok() {
                return Err(PeopleError::Other("it was not refused".into()));
            }
        }
        Act::Cancel(Target::All) => verbs::cancel_all(world)?,
        Act::Cancel(target) => {
            let nodes = selected(world, target)?;
            verbs::cancel_nodes(world, &nodes)?;
        }
        Act::Retry(node) => verbs::retry(world, node)?,
        Act::Cordon(node) => patch(world, node, NodeOp::SetUnschedulable(true))?,
        Act::Uncordon(node) => patch(world, node, NodeOp::SetUnschedulable(false))?,
        Act::Label { node, key, value } => {
            let labels = world.store().node(node).map(|node| &node.meta.labels);
            let change = match value {
                Some(value) => NodeOp::SetLabel(key.clone(), value.clone()),
                // kubectl merges: removing a label that is absent is no error.
                None if labels.is_some_and(|labels| !labels.contains_key(key)) => return Ok(()),
                None => NodeOp::RemoveLabel(key.clone()),
            };
            patch(world, node, change)?;
        }
        Act::Annotate { node, key, value } => {
            patch(world, node, NodeOp::SetAnnotation(key.clone(), value.clone()))?;
        }
        Act::Taint(node, text) => {
            let taint = read_taint(text);
            set_taints(world, node, |taints| taints.push(taint))?;
        }
        Act::Untaint(node, text) => {
            let gone = read_taint(text);
            let is_other = |taint: &Taint| taint.key != gone.key || taint.effect != gone.effect;
            set_taints(world, node, |taints| taints.retain(is_other))?;
        }
        Act::NextBootHas {
            node,
            resource,
            amount,
        } => world.next_boot_allocatable(node, resource, amount.amount),
        Act::NextBootTaint(node, text) => world.next_boot_taint(node, read_taint(text)),
        Act::DeleteNode(node) => world.client(PEOPLE).delete_node(node)?,
        Act::DeleteQueue => delete(world, QUEUE, names::QUEUE)?,
        Act::ApplyQueue => build::apply(world, QUEUE, names::QUEUE, build::queue_spec(scenario)),
        Act::DeletePolicy(name) => delete(world, POLICY, name)?,
        Act::ApplyPolicy(name) => {
            let now = wall(world.now()).as_second();
            build::apply(world, POLICY, name, build::policy_spec(scenario, name, now));
        }
        Act::DeleteEntries(target) => delete_entries(world, target)?,
        Act::DeletePod(Key { namespace, name }) => {
            let options = junban_world::DeleteOptions::default();
            world.client(PEOPLE).delete_pod(namespace, name, &options)?;
        }
        Act::Deny(right) => {
            let deny = denial(right)?;
            world.callers().faults(names::FIELD_MANAGER).deny.push(deny);
        }
        Act::AllowEverything => world.callers().faults(names::FIELD_MANAGER).deny.clear(),
        Act::EditQueue(edits) => edit(world, QUEUE, names::QUEUE, edits)?,
        Act::EditPolicy(name, edits) => edit(world, POLICY, name, edits)?,
        Act::EditBudget(key, demand) => edit_budget(world, key, demand)?,
        Act::Scale(key, replicas) => scale(world, key, *replicas)?,
        Act::RegisterNode(node) => world.register_node(node),
        Act::RebootMachine(node) => world.reboot_by(node, DownCause::Person),
        Act::PowerOff(node) => world.kill(node),
        Act::Fault(fault) => inject(world, fault),
        Act::Repair(node) => world.heal(node),
        _ => {
            let why = "this act concerns a controller, not the world";
            return Err(PeopleError::Other(why.into()));
        }
    }
    Ok(())
}

/// Reads what the parser has checked: `KEY=VALUE:EFFECT`.
fn read_taint(text: &str) -> Taint {
    let (pair, effect) = text.rsplit_once(':').unwrap_or((text, ""));
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let effect = match effect {
        "NoExecute" => Effect::NoExecute,
        "PreferNoSchedule" => Effect::PreferNoSchedule,
        _ => Effect::NoSchedule,
    };
    Taint::new(key, value, effect)
}

fn set_taints(world: &mut World, node: &str, change: impl FnOnce(&mut Vec<Taint>)) -> Done {
    let known = world.store().node(node).map(|node| node.taints.clone());
    let mut taints = known.unwrap_or_default();
    change(&mut taints);
    patch(world, node, NodeOp::SetTaints(taints))
}

/// Gives a machine this fault and no other.
fn inject(world: &mut World, fault: &MachineFault) {
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
fn denial(right: &Right) -> Result<Deny, PeopleError> {
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
        _ => return Err(PeopleError::Other(format!("there is no verb {verb}"))),
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

fn patch(world: &mut World, node: &str, change: NodeOp) -> Done {
    world.client(PEOPLE).patch_node(node, &[change])?;
    Ok(())
}

fn delete(world: &mut World, kind: &str, name: &str) -> Done {
    let anything = Preconditions::default();
    Ok(world.client(PEOPLE).delete_custom(kind, name, &anything)?)
}

fn set_queue(world: &mut World, spec: &Value) -> Done {
    verbs::patch_spec(world, QUEUE, names::QUEUE, spec)
}

fn edit(world: &mut World, kind: &str, name: &str, edits: &[model::Setting]) -> Done {
    let now = wall(world.now()).as_second();
    let custom = world
        .store()
        .custom(kind, name)
        .ok_or_else(|| PeopleError::Other(format!("there is no {kind} {name}")))?;
    let mut spec = custom.spec.clone();
    settings::apply(&mut spec, edits, now);
    let anything = Preconditions::default();
    world.client(PEOPLE).replace_custom(kind, name, spec, &anything)?;
    Ok(())
}

fn edit_budget(world: &mut World, key: &Key, demand: &model::Demand) -> Done {
    let known = world
        .store()
        .budget(&key.namespace, &key.name)
        .ok_or_else(|| PeopleError::Other(format!("there is no budget {key}")))?;
    let budget = Budget {
        demand: build::demand(demand),
        selector: known
            .selector
            .clone()
            .or_else(|| Some(Selector::label("app", &key.name))),
        ..(**known).clone()
    };
    Ok(world.client(PEOPLE).apply_budget(budget)?)
}

fn scale(world: &mut World, key: &Key, replicas: u32) -> Done {
    let is_mine = |owner: &OwnerKey| *owner.namespace == *key.namespace && *owner.name == *key.name;
    let owner = world
        .store()
        .owners()
        .map(|owner| owner.key())
        .find(|owner| is_mine(owner) && matches!(owner.kind, OwnerKind::Deployment | OwnerKind::StatefulSet))
        .ok_or_else(|| PeopleError::Other(format!("there is no workload {key}")))?;
    Ok(world.client(PEOPLE).scale(&owner, i64::from(replicas))?)
}

fn delete_entries(world: &mut World, target: &Target) -> Done {
    let nodes = selected(world, target)?;
    let entries = junban_sim::cluster(world).entries;
    let is_meant = |node| *target == Target::All || nodes.contains(node);
    let mut meant = entries.values().filter(|entry| is_meant(&entry.spec.node));
    meant.try_for_each(|entry| delete(world, ENTRY, entry.name.as_str()))
}

/// The nodes that an act names. Each is there once, as the command does it.
fn selected(world: &World, target: &Target) -> Result<Vec<NodeName>, PeopleError> {
    let nodes = world.store().nodes();
    let names: BTreeSet<String> = match target {
        Target::All => nodes.map(|node| node.meta.name.to_string()).collect(),
        Target::Nodes(names) => names.iter().cloned().collect(),
        Target::Selector(text) => {
            let selector = selector::parse(text).map_err(PeopleError::Other)?;
            let nodes = nodes.filter(|node| selector.selects(&node.meta.labels));
            let names: BTreeSet<String> = nodes.map(|node| node.meta.name.to_string()).collect();
            if names.is_empty() {
                let why = format!("no node has labels that {text:?} selects");
                return Err(PeopleError::Other(why));
            }
            names
        }
    };
    Ok(names.into_iter().map(NodeName::new).collect())
}

/// `junban reboot`.
fn reboot(world: &mut World, scenario: &Scenario, target: &Target, again: bool, reason: &str) -> Done {
    if *target == Target::All {
        // The reason would be an annotation of the policy, which no scenario reads.
        let sets_goal = |policy: &str| build::policy_spec(scenario, policy, 0)["bootedAfter"].is_string();
        return verbs::reboot_all(world, again, sets_goal);
    }
    let nodes = selected(world, target)?;
    verbs::reboot_nodes(world, &nodes, reason)
}

#[cfg(test)]
mod tests;
