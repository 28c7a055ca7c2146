//! `junban cancel`: takes nodes out of the queue. It writes the waiver on the Node first and cancels the entry then
//! (docs/design/life-cycle.md#cancelling-and-giving-up). Whatever happens in between, the goal does not count for this
//! node any more.

mod waiver;

use std::time::{Duration, Instant};

use junban_api::convert;
use junban_api::names;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::{EntryName, NodeName};
use junban_core::verbs::cancel::{
    EntryDecision, Refusal, decide_all, decide_entry, decide_nodes, is_seen_through,
};
use junban_kube::list_once::Scope;
use junban_kube::resource::Kind;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::json;

use super::columns::some;
use super::entries::{self, Change, Changed, TRIES};
use super::pause::owners;
use super::printer::{Done, Printer};
use super::problem::{Exit, Problem};
use super::session::Session;
use super::snapshot::Snapshot;
use crate::cli::Cancel;

/// A controller that is at work writes the waiver and ends the entry within a few seconds.
const END_WITHIN: Duration = Duration::from_secs(60);
/// How often the entries that are to end are read.
const READ_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(
    session: &Session,
    arguments: &Cancel,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let mut results = Results::default();
    let ended = carry_out(session, arguments, printer, &mut results).await;
    // What was done is said even if the rest failed.
    printer.done(&results.done)?;
    let failed = ended?;
    let Results {
        done,
        seen_through,
        to_end,
    } = results;
    let not_ended = until_ended(session, to_end).await?;
    if arguments.all && !failed.is_empty() {
        printer.message(&format!(
            "note: failed, and left as they are: {}\nhint: junban cancel {} gives up",
            some(&failed, 10),
            failed[0]
        ));
    }
    if arguments.all && done.is_empty() && seen_through.is_empty() {
        printer.message("nothing to cancel: no policy has a goal and no entry is queued or draining");
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
        printer.message(&format!("note: {text}\nhint: junban status --watch"));
        return Ok(Exit::Done);
    }
    Err(Problem::failed(
        text,
        "a machine that boots cannot be called back; follow it: junban status --watch",
    ))
}

/// What was done so far.
#[derive(Default)]
struct Results {
    done: Vec<Done>,
    /// Nodes past their power action, with the phase.
    seen_through: Vec<String>,
    /// Entries that the controller ends after it has written the waiver.
    to_end: Vec<EntryName>,
}

/// Returns the nodes whose entries have failed.
async fn carry_out(
    session: &Session,
    arguments: &Cancel,
    printer: &mut Printer,
    results: &mut Results,
) -> Result<Vec<String>, Problem> {
    let snapshot = if arguments.all {
        // Goals first: while its goal stands, an entry that was cancelled without a waiver is made again.
        withdraw_goals(session, printer, &mut results.done).await?;
        Snapshot::take(session, Scope::Own).await?
    } else {
        Snapshot::take(session, Scope::Nodes).await?
    };
    let cluster = snapshot.cluster;
    let chosen = if arguments.all {
        decide_all(&cluster)
    } else {
        let nodes: Vec<NodeName> = arguments.nodes.iter().map(NodeName::new).collect();
        decide_nodes(&cluster, &nodes, snapshot.has_nodes)?
    };
    for (node, entries) in chosen {
        let mut written_by = waiver::WrittenBy::ThisCommand;
        if !arguments.all {
            written_by = waiver::waive(session, &cluster, node, &entries, printer).await?;
        }
        for entry in entries {
            match cancel(session, entry).await? {
                Cancelled::Done(did) => {
                    if written_by == waiver::WrittenBy::Controller {
                        results.to_end.push(entry.name.clone());
                    }
                    results.done.push(Done::of_entry(&entry.name, node, did));
                }
                Cancelled::SeenThrough(phase) => results.seen_through.push(format!("{node} ({phase})")),
            }
        }
    }
    let entries = cluster.entries.values();
    let failed = entries.filter(|entry| entry.record.phase == Phase::Failed);
    Ok(failed.map(|entry| entry.spec.node.to_string()).collect())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchNode(node) => Self::failed(
                format!("there is no node named {node}, and no entry of one; nothing was done"),
                "junban list",
            ),
            Refusal::NothingToCancel(node) => Self::failed(
                format!("node {node} has no entry that could be cancelled; nothing was done"),
                format!("junban explain {node}"),
            ),
        }
    }
}

/// What became of the cancel of one entry.
enum Cancelled {
    /// In words.
    Done(String),
    /// The entry is past its power action, in this phase.
    SeenThrough(Phase),
}

async fn cancel(session: &Session, entry: &Entry) -> Result<Cancelled, Problem> {
    let before = entry.record.phase;
    let change = |entry: &Entry| match decide_entry(entry) {
        EntryDecision::Cancel => Change::Set(json!({"cancel": true})),
        EntryDecision::EndedByWaiver => Change::Leave(done_in(before).to_owned()),
        EntryDecision::Ended(phase) => Change::Leave(format!("is {phase} by now")),
        EntryDecision::CancelledBefore => Change::Leave("was cancelled already".to_owned()),
    };
    Ok(match entries::change(session, &entry.name, change).await? {
        Changed::Done => Cancelled::Done(done_in(before).to_owned()),
        Changed::Left(why) => Cancelled::Done(why),
        Changed::Refused(_) if is_seen_through(before) => {
            let phase = phase_now(session, &entry.name).await?.unwrap_or(before);
            Cancelled::SeenThrough(phase)
        }
        Changed::Refused(why) => {
            return Err(Problem::failed(
                format!("entry {} cannot be cancelled: {why}", entry.name),
                format!("junban explain {}", entry.spec.node),
            ));
        }
        Changed::Gone => Cancelled::Done("is gone: withdrawn with its goal, or deleted".to_owned()),
    })
}

fn done_in(phase: Phase) -> &'static str {
    match phase {
        Phase::Draining => "cancelled: the node is given back as it was",
        Phase::Failed => "given up: the node is restored as soon as it is Ready",
        _ => "cancelled",
    }
}

/// Waits until these entries have ended. Returns those that have not ended in time.
async fn until_ended(session: &Session, mut entries: Vec<EntryName>) -> Result<Vec<String>, Problem> {
    let deadline = Instant::now() + END_WITHIN;
    loop {
        let mut open = Vec::new();
        for name in entries {
            let phase = phase_now(session, &name).await?;
            if phase.is_some_and(|phase| !phase.is_ended()) {
                open.push(name);
            }
        }
        if open.is_empty() || Instant::now() >= deadline {
            return Ok(open.iter().map(ToString::to_string).collect());
        }
        entries = open;
        tokio::time::sleep(READ_EVERY).await;
    }
}

async fn phase_now(session: &Session, name: &EntryName) -> Result<Option<Phase>, Problem> {
    let api = Kind::Entry.api(&session.connection.calls);
    let object = session
        .call("get", "nodereboots", api.get_opt(name.as_str()))
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
        .call(
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

/// Another field manager that owned the goal may set it again.
fn warn_of_others(policy: &str, before: &DynamicObject, printer: &mut Printer) {
    let others = owners(before, "bootedAfter", names::GOAL_FIELD_MANAGER);
    if !others.is_empty() {
        printer.message(&format!(
            "warning: the goal of policy {policy} belonged to {}: it may set it again when it applies its own version\nhint: remove spec.bootedAfter there as well",
            some(&others, 3)
        ));
    }
}

/// Takes `bootedAfter` from one policy, whatever goal it is. The write is tried again if somebody wrote the policy's
/// status at the same moment.
async fn withdraw(session: &Session, name: &str) -> Result<Option<Done>, Problem> {
    let api = Kind::Policy.api(&session.connection.calls);
    let parameters = PatchParams {
        field_manager: Some(names::GOAL_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    for _ in 0..TRIES {
        let Some(object) = session.call("get", "rebootpolicies", api.get_opt(name)).await? else {
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
            .try_call(api.patch(name, &parameters, &Patch::Merge(&patch)))
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

    #[test]
    fn a_refusal_says_what_helps() {
        let refusals = [
            Refusal::NoSuchNode("node-9".into()),
            Refusal::NothingToCancel("node-2".into()),
        ];
        expect_test::expect![[r#"
            error: there is no node named node-9, and no entry of one; nothing was done
            hint: junban list
            error: node node-2 has no entry that could be cancelled; nothing was done
            hint: junban explain node-2"#]]
        .assert_eq(
            &refusals
                .map(|refusal| Problem::from(refusal).to_string())
                .join("\n"),
        );
    }
}
