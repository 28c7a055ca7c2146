//! What people do on the real control plane: with `junban` if it has a verb for the act, else with kubectl or the commands
//! of the testbed.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::manifests;
use crate::scenario::model::{Act, Demand, Fault, Key, MachineFault, Scenario, Setting, Target};
use crate::scenario::settings;
use crate::testbed::Testbed;

/// Does one act.
pub(super) fn act(bed: &Testbed, scenario: &Scenario, act: &Act) -> Result<()> {
    let kubectl = |arguments: &[&str]| bed.kubectl(arguments).map(drop);
    let junban = |arguments: &[&str]| bed.junban(arguments).map(drop);
    match act {
        Act::Reboot {
            target,
            again,
            reason,
        } => {
            let mut arguments = vec!["reboot"];
            arguments.extend(words(target));
            arguments.extend(again.then_some("--again"));
            if !reason.is_empty() {
                arguments.extend(["--reason", reason]);
            }
            junban(&arguments)
        }
        Act::Pause(reason) if reason.is_empty() => junban(&["pause"]),
        Act::Pause(reason) => junban(&["pause", "--reason", reason]),
        Act::Resume => junban(&["resume"]),
        Act::Cancel(target) => junban(&[&["cancel"], words(target).as_slice()].concat()),
        Act::Retry(node) => junban(&["retry", node]),
        Act::Cordon(node) => kubectl(&["cordon", node]),
        Act::Uncordon(node) => kubectl(&["uncordon", node]),
        Act::Label { node, key, value } => {
            let label = value
                .as_ref()
                .map_or_else(|| format!("{key}-"), |value| format!("{key}={value}"));
            kubectl(&["label", "--overwrite", "node", node, &label])
        }
        Act::Annotate { node, key, value } => {
            kubectl(&["annotate", "--overwrite", "node", node, &format!("{key}={value}")])
        }
        Act::Taint(node, taint) => kubectl(&["taint", "--overwrite", "node", node, taint]),
        Act::Untaint(node, taint) => kubectl(&["taint", "node", node, &format!("{taint}-")]),
        Act::NextBootHas {
            node,
            resource,
            amount,
        } => machine(bed, node, &format!("next-boot-{resource}={}", amount.text)),
        Act::NextBootTaint(node, taint) => machine(bed, node, &format!("next-boot-taint={taint}")),
        Act::DeleteNode(node) => kubectl(&["delete", "node", node, "--wait=false"]),
        Act::RegisterNode(node) => machine(bed, node, "register"),
        Act::DeleteQueue => kubectl(&["delete", "rebootqueue", junban_api::names::QUEUE]),
        Act::ApplyQueue => manifests::apply_queue(bed, scenario),
        Act::DeletePolicy(name) => kubectl(&["delete", "rebootpolicy", name]),
        Act::ApplyPolicy(name) => manifests::apply_policy(bed, scenario, name),
        Act::DeleteEntries(Target::Nodes(nodes)) => nodes.iter().try_for_each(|node| {
            let selector = format!("{}={node}", junban_api::names::NODE);
            kubectl(&["delete", "nodereboot", "-l", &selector])
        }),
        Act::DeleteEntries(_) => kubectl(&["delete", "nodereboot", "--all"]),
        Act::DeletePod(Key { namespace, name }) => {
            kubectl(&["-n", namespace, "delete", "pod", name, "--wait=false"])
        }
        Act::Deny(right) => manifests::deny(bed, right),
        Act::AllowEverything => manifests::allow_everything(bed, scenario),
        Act::EditQueue(edits) => edit(bed, "rebootqueue", junban_api::names::QUEUE, edits),
        Act::EditPolicy(name, edits) => edit(bed, "rebootpolicy", name, edits),
        Act::EditBudget(Key { namespace, name }, demand) => {
            bed.patch("merge", &["-n", namespace, "pdb", name], &budget(demand))
        }
        Act::Scale(workload, replicas) => scale(bed, workload, *replicas),
        Act::RebootMachine(node) => machine(bed, node, "reboot"),
        Act::PowerOff(node) => machine(bed, node, "dead"),
        Act::Fault(fault) => inject(bed, fault),
        Act::Repair(node) => machine(bed, node, "heal"),
        Act::Refused(refused) => match self::act(bed, scenario, refused) {
            Ok(()) => bail!("it was not refused"),
            Err(_) => Ok(()),
        },
        Act::CutOff => bed.command("proxy", &["freeze"]).map(drop),
        Act::Reconnect => bed.command("proxy", &["thaw"]).map(drop),
        Act::KillController(_)
        | Act::StartController(..)
        | Act::StopController(_)
        | Act::RestartController(..)
        | Act::FreezeController(_)
        | Act::ThawController(_) => bail!("controllers do not run yet"),
    }
}

fn words(target: &Target) -> Vec<&str> {
    match target {
        Target::All => vec!["--all"],
        Target::Nodes(nodes) => nodes.iter().map(String::as_str).collect(),
        Target::Selector(selector) => vec!["-l", selector],
    }
}

fn machine(bed: &Testbed, node: &str, what: &str) -> Result<()> {
    bed.command("machine", &[node, what]).map(drop)
}

/// Gives a machine this fault.
fn inject(bed: &Testbed, fault: &MachineFault) -> Result<()> {
    let name = match fault.fault {
        Fault::NeverReturns => "never-returns".to_owned(),
        Fault::SameBootId => "same-boot-id".to_owned(),
        Fault::NotReady => "not-ready".to_owned(),
        Fault::Slow(factor) => format!("slow={factor}"),
        Fault::PowerLost => "power-lost".to_owned(),
        Fault::Refused => "refuse".to_owned(),
        Fault::Unknown => "power-unknown".to_owned(),
        Fault::Dead => "dead".to_owned(),
    };
    machine(bed, &fault.node, &name)
}

fn edit(bed: &Testbed, kind: &str, name: &str, edits: &[Setting]) -> Result<()> {
    let mut spec = bed.get(&[kind, name])?["spec"].take();
    settings::apply(&mut spec, edits, manifests::now());
    // Replace the whole spec, so that an absent field is removed.
    let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]);
    bed.patch("json", &[kind, name], &patch)
}

fn budget(demand: &Demand) -> Value {
    let spec = match demand {
        Demand::MaxUnavailable(value) => json!({"maxUnavailable": value, "minAvailable": null}),
        Demand::MinAvailable(value) => json!({"minAvailable": value, "maxUnavailable": null}),
    };
    json!({ "spec": spec })
}

fn scale(bed: &Testbed, Key { namespace, name }: &Key, replicas: u32) -> Result<()> {
    let replicas = format!("--replicas={replicas}");
    let to = |kind: &str| {
        bed.kubectl(&["-n", namespace, "scale", &format!("{kind}/{name}"), &replicas])
            .map(drop)
    };
    to("deployment").or_else(|_| to("statefulset"))
}
