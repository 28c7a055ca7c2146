//! `junban retry NODE...`: gives a failed entry one more round, or ends a back-off.

use junban_core::entry::Entry;
use junban_core::ids::NodeName;
use junban_core::verbs::retry::{EntryDecision, Refusal, decide, decide_entry};
use junban_kube::list_once::Scope;
use serde_json::json;

use super::entries::{self, Change, Changed};
use super::printer::{Done, Printer};
use super::problem::{Exit, Problem};
use super::session::Session;
use super::snapshot::{self, Snapshot};
use crate::cli::Retry;

pub(crate) async fn run(
    session: &Session,
    arguments: &Retry,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let snapshot = Snapshot::take(session, Scope::Nodes).await?;
    let cluster = &snapshot.cluster;
    let nodes: Vec<NodeName> = arguments.nodes.iter().map(NodeName::new).collect();
    let now = snapshot::now(cluster, session.now(), None);
    let entries = decide(cluster, now, &nodes, snapshot.has_nodes)?;
    let mut done = Vec::new();
    let ended = retry(session, &entries, &mut done).await;
    // What was done is said even if the rest failed.
    printer.done(&done)?;
    ended.map(|()| Exit::Done)
}

async fn retry(session: &Session, entries: &[&Entry], done: &mut Vec<Done>) -> Result<(), Problem> {
    for entry in entries {
        let (node, name) = (&entry.spec.node, &entry.name);
        let did = match entries::change(session, name, change).await? {
            Changed::Done => "retried: one more round".to_owned(),
            Changed::Left(why) => why,
            Changed::Refused(why) => {
                return Err(Problem::failed(
                    format!("entry {name} cannot be retried: {why}"),
                    format!("junban explain {node}"),
                ));
            }
            Changed::Gone => {
                return Err(Problem::failed(
                    format!("entry {name} is gone"),
                    format!("junban reboot {node}"),
                ));
            }
        };
        done.push(Done::of_entry(name, node, did));
    }
    Ok(())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchNode(node) => Self::failed(
                format!("there is no node named {node}, and no entry of one"),
                "junban list",
            ),
            Refusal::NoEntry(node) => Self::failed(
                format!("node {node} has no entry to retry"),
                format!("junban reboot {node}"),
            ),
            Refusal::Ended(node, phase) => Self::failed(
                format!("the last entry of node {node} is {phase}: there is nothing to retry"),
                format!("junban reboot {node}"),
            ),
            Refusal::NothingToRetry(node, phase) => Self::failed(
                format!(
                    "the entry of node {node} is {phase}, neither Failed nor backing off: there is nothing to retry"
                ),
                format!("junban explain {node}"),
            ),
        }
    }
}

fn change(entry: &Entry) -> Change {
    let leave = |why: &str| Change::Leave(why.to_owned());
    match decide_entry(entry) {
        EntryDecision::SetRetries(retries) => Change::Set(json!({"retries": retries})),
        EntryDecision::Cancelled => leave("is cancelled already: it cannot be retried"),
        EntryDecision::AskedBefore => leave("a retry was asked for already and is not acted on yet"),
        EntryDecision::TooLate(phase) => Change::Leave(format!("is {phase} by now: not retried")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fixture;
    use junban_core::entry::Phase;

    #[test]
    fn a_refusal_says_what_helps() {
        let mut cluster = fixture::cluster(None, &["node-1", "node-2", "node-3"]);
        for (node, phase) in [("node-1", Phase::Queued), ("node-2", Phase::Succeeded)] {
            let mut entry = fixture::entry(node, 100);
            entry.record.phase = phase;
            cluster.apply_entry(entry);
        }
        let said = ["node-1", "node-2", "node-3", "node-9"].map(|node| {
            let refusal = decide(&cluster, fixture::now(200), &[node.into()], true).unwrap_err();
            Problem::from(refusal).to_string()
        });
        expect_test::expect![[r#"
            error: the entry of node node-1 is Queued, neither Failed nor backing off: there is nothing to retry
            hint: junban explain node-1
            error: the last entry of node node-2 is Succeeded: there is nothing to retry
            hint: junban reboot node-2
            error: node node-3 has no entry to retry
            hint: junban reboot node-3
            error: there is no node named node-9, and no entry of one
            hint: junban list"#]].assert_eq(&said.join("\n"));
    }
}
