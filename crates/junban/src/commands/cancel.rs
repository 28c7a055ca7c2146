//! `junban cancel`: takes nodes out of the queue (lifecycle.md 1, waiver; 2, cancel). The waiver on the Node first,
//! then the entry: whatever happens in between, the goal is not this node's any more.

mod waiver;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use junban_api::convert;
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::{EntryName, NodeName};
use junban_kube::list_once::Scope;
use junban_kube::resource::Kind;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::json;

use super::columns::some;
use super::entries::{self, Changed, Decision};
use super::pause::owners;
use super::printer::{Done, Printer};
use super::problem::{Exit, Problem};
use super::session::Session;
use super::view::View;
use crate::cli::Cancel;

/// A Node's status is written every few seconds.
const TRIES: usize = 8;
/// The controller writes a waiver and ends an entry within a few seconds, if one is at work.
const END_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at entries that are to end.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn run(
    session: &Session,
    arguments: &Cancel,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let mut told = Told::default();
    let ended = carry_out(session, arguments, printer, &mut told).await;
    // What was done is told also where the rest could not be.
    printer.done(&told.done)?;
    let failed = ended?;
    let Told {
        done,
        seen_through,
        left,
    } = told;
    let not_ended = until_ended(session, left).await?;
    if arguments.all && !failed.is_empty() {
        printer.talk(&format!(
            "note: failed, and left as they are: {}\nhint: junban cancel {} gives up",
            some(&failed, 10),
            failed[0]
        ));
    }
    if arguments.all && done.is_empty() && seen_through.is_empty() {
        printer.talk("nothing to cancel: no policy has a goal and no entry is queued or draining");
    }
    if seen_through.is_empty() && !not_ended.is_empty() {
        return Err(Problem::blocked(
            format!(
                "after {} s not ended yet: {}; the goal stands until the controller has waived it",
                END_WITHIN.as_secs(),
                some(&not_ended, 5)
            ),
            "is a controller at work? kubectl get lease junban -n junban",
        ));
    }
    if seen_through.is_empty() {
        return Ok(Exit::Done);
    }
    let text = format!(
        "past the power action, so seen through to the end: {}",
        seen_through.join(", ")
    );
    if arguments.all {
        printer.talk(&format!("note: {text}\nhint: junban status --watch"));
        return Ok(Exit::Done);
    }
    Err(Problem::failed(
        text,
        "a machine that boots cannot be called back; follow it: junban status --watch",
    ))
}

/// What became of it so far.
#[derive(Default)]
struct Told {
    done: Vec<Done>,
    /// Nodes past their power action, with the phase.
    seen_through: Vec<String>,
    /// Entries that the controller ends once it has written the waiver.
    left: Vec<EntryName>,
}

/// Answers with the nodes whose entries have failed.
async fn carry_out(
    session: &Session,
    arguments: &Cancel,
    printer: &mut Printer,
    told: &mut Told,
) -> Result<Vec<String>, Problem> {
    let view = if arguments.all {
        // Goals first: an entry that is cancelled while its goal stands would have to be waived to stay away.
        withdraw_goals(session, printer, &mut told.done).await?;
        View::look(session, Scope::Own).await?
    } else {
        View::look(session, Scope::Nodes).await?
    };
    let chosen = if arguments.all {
        let cluster = view.cluster();
        let live = cluster
            .entries
            .values()
            .filter(|entry| !entry.record.phase.is_ended() && entry.record.phase != Phase::Failed);
        Chosen::by_node(live)
    } else {
        chosen(&view.cluster(), &arguments.nodes, view.has_nodes)?
    };
    // Giving up uncordons a server that may be broken: that is asked for by name.
    let failed = failed(&view.cluster());
    let cluster = view.cluster().clone();
    for (node, entries) in &chosen.0 {
        let mut by = waiver::By::Us;
        if !arguments.all {
            by = waiver::waive(session, &cluster, node, entries, printer).await?;
        }
        for entry in entries {
            match cancel(session, entry).await? {
                Outcome::Done(did) => {
                    if by == waiver::By::Controller {
                        told.left.push(entry.name.clone());
                    }
                    told.done.push(Done {
                        node: Some(node.to_string()),
                        ..Done::new("nodereboot", entry.name.as_str(), did)
                    });
                }
                Outcome::SeenThrough(phase) => told.seen_through.push(format!("{node} ({phase})")),
            }
        }
    }
    Ok(failed)
}

fn failed(cluster: &Cluster) -> Vec<String> {
    let failed = cluster
        .entries
        .values()
        .filter(|entry| entry.record.phase == Phase::Failed);
    failed.map(|entry| entry.spec.node.to_string()).collect()
}

/// Entries that are not ended, by node.
struct Chosen(BTreeMap<NodeName, Vec<Entry>>);

impl Chosen {
    fn by_node<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut chosen: BTreeMap<NodeName, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            chosen
                .entry(entry.spec.node.clone())
                .or_default()
                .push(entry.clone());
        }
        Self(chosen)
    }
}

/// All are looked at before any is touched.
fn chosen(cluster: &Cluster, nodes: &[String], has_nodes: bool) -> Result<Chosen, Problem> {
    for node in nodes {
        let node = NodeName::new(node.clone());
        let mut of_node = cluster
            .entries
            .values()
            .filter(|entry| entry.spec.node == node)
            .peekable();
        if of_node.peek().is_none() && has_nodes && !cluster.nodes.contains_key(&node) {
            return Err(Problem::failed(
                format!("there is no node named {node}, and no entry of one; nothing was done"),
                "junban list",
            ));
        }
        if of_node.all(|entry| entry.record.phase.is_ended()) {
            return Err(Problem::failed(
                format!("node {node} has no entry that could be cancelled; nothing was done"),
                format!("junban explain {node}"),
            ));
        }
    }
    let named = |entry: &&Entry| nodes.iter().any(|node| entry.spec.node.as_str() == node);
    let live = cluster
        .entries
        .values()
        .filter(|entry| !entry.record.phase.is_ended());
    Ok(Chosen::by_node(live.filter(named)))
}

enum Outcome {
    Done(String),
    SeenThrough(Phase),
}

async fn cancel(session: &Session, entry: &Entry) -> Result<Outcome, Problem> {
    let before = entry.record.phase;
    let decide = |entry: &Entry| match entry.record.phase {
        // The controller acts on the waiver at once.
        Phase::Cancelled => Decision::Leave(done_in(before).to_owned()),
        phase if phase.is_ended() => Decision::Leave(format!("is {phase} by now")),
        _ if entry.spec.cancel => Decision::Leave("was cancelled already".to_owned()),
        _ => Decision::Set(json!({"cancel": true})),
    };
    Ok(match entries::change(session, &entry.name, decide).await? {
        Changed::Done => Outcome::Done(done_in(before).to_owned()),
        Changed::Left(why) => Outcome::Done(why),
        // The rule at the root of the schema: no cancelled entry is ever in Rebooting or Verifying.
        Changed::Refused(_) if before.is_in_flight() || before == Phase::Queued => {
            let phase = phase_now(session, &entry.name).await?.unwrap_or(before);
            Outcome::SeenThrough(phase)
        }
        Changed::Refused(why) => {
            return Err(Problem::failed(
                format!("entry {} cannot be cancelled: {why}", entry.name),
                format!("junban explain {}", entry.spec.node),
            ));
        }
        Changed::Gone => Outcome::Done("is gone: withdrawn with its goal, or deleted".to_owned()),
    })
}

fn done_in(phase: Phase) -> &'static str {
    match phase {
        Phase::Draining => "cancelled: the node is given back as it was",
        Phase::Failed => "given up: the node is restored as soon as it is Ready",
        _ => "cancelled",
    }
}

/// Waits for the end of these, and answers with those that have not ended in time.
async fn until_ended(session: &Session, mut left: Vec<EntryName>) -> Result<Vec<String>, Problem> {
    let deadline = Instant::now() + END_WITHIN;
    loop {
        let mut open = Vec::new();
        for name in left {
            let phase = phase_now(session, &name).await?;
            if phase.is_some_and(|phase| !phase.is_ended()) {
                open.push(name);
            }
        }
        if open.is_empty() || Instant::now() >= deadline {
            return Ok(open.iter().map(ToString::to_string).collect());
        }
        left = open;
        tokio::time::sleep(LOOK).await;
    }
}

async fn phase_now(session: &Session, name: &EntryName) -> Result<Option<Phase>, Problem> {
    let api = Kind::Entry.api(&session.connection.calls);
    let object = session
        .ask("get", "nodereboots", api.get_opt(name.as_str()))
        .await?;
    let entry = object.and_then(|object| convert::entry::read(&object).ok());
    Ok(entry.map(|entry| entry.record.phase))
}

/// Takes `bootedAfter` from every policy that has one.
async fn withdraw_goals(
    session: &Session,
    printer: &mut Printer,
    done: &mut Vec<Done>,
) -> Result<(), Problem> {
    let api = Kind::Policy.api(&session.connection.calls);
    let list = session
        .ask(
            "list",
            "rebootpolicies",
            api.list(&kube::api::ListParams::default()),
        )
        .await?;
    for object in list.items {
        let Some(name) = &object.metadata.name else {
            continue;
        };
        let withdrawn = withdraw(session, name).await?;
        if withdrawn.is_some() {
            warn_of_others(name, &object, printer);
        }
        done.extend(withdrawn);
    }
    Ok(())
}

/// Whoever declares the goal elsewhere sets it again.
fn warn_of_others(policy: &str, before: &DynamicObject, printer: &mut Printer) {
    let others = owners(before, "bootedAfter", names::GOAL_FIELD_MANAGER);
    if !others.is_empty() {
        printer.talk(&format!(
            "warning: the goal of policy {policy} belonged to {}: it may set it again when it applies its own version\nhint: remove spec.bootedAfter there as well",
            some(&others, 3)
        ));
    }
}

/// Whatever goal stands there; the policy's status may be written at the same moment.
async fn withdraw(session: &Session, name: &str) -> Result<Option<Done>, Problem> {
    let api = Kind::Policy.api(&session.connection.calls);
    let parameters = PatchParams {
        field_manager: Some(names::GOAL_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    for _ in 0..TRIES {
        let Some(object) = session.ask("get", "rebootpolicies", api.get_opt(name)).await? else {
            return Ok(None);
        };
        let Some(goal) = object
            .data
            .pointer("/spec/bootedAfter")
            .and_then(|goal| goal.as_str())
        else {
            return Ok(None);
        };
        // Null removes the field.
        let patch = json!({
            "metadata": {"resourceVersion": object.metadata.resource_version, "uid": object.metadata.uid},
            "spec": {"bootedAfter": null},
        });
        match session
            .answer(api.patch(name, &parameters, &Patch::Merge(&patch)))
            .await
        {
            Ok(_) => {
                return Ok(Some(Done {
                    goal: Some(goal.to_owned()),
                    ..Done::new("rebootpolicy", name, format!("goal {goal} withdrawn"))
                }));
            }
            Err(failure) => match failure.code() {
                Some(409) => {}
                Some(404) => return Ok(None),
                _ => return Err(failure.problem(session, "patch", "rebootpolicies")),
            },
        }
    }
    Err(Problem::failed(
        format!("policy {name} changes faster than it can be written"),
        "try again",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fixture;

    #[test]
    fn every_node_is_looked_at_before_one_is_touched() {
        let mut cluster = fixture::cluster(Some(100), &["node-1", "node-2"]);
        cluster.apply_entry(fixture::entry("node-1", 100));
        let verdict = |nodes: &[&str]| {
            let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
            chosen(&cluster, &nodes, true).map(|chosen| chosen.0.len())
        };
        assert_eq!(verdict(&["node-1"]), Ok(1));
        assert!(
            verdict(&["node-1", "node-9"])
                .is_err_and(|problem| problem.text.contains("no node named node-9"))
        );
        assert!(
            verdict(&["node-1", "node-2"]).is_err_and(|problem| problem.text.contains("node-2 has no entry"))
        );
    }
}
