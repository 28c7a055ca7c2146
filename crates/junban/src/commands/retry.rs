//! `junban retry NODE...`: one more round for a failed entry; an end to a back-off.

use junban_core::derived::Derived;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::{EntryName, NodeName};
use junban_core::memory::Memory;
use junban_kube::list_once::Scope;
use serde_json::json;

use super::entries::{self, Changed, Decision};
use super::printer::{Done, Printer};
use super::problem::{Exit, Problem};
use super::session::Session;
use super::view::{self, View};
use crate::cli::Retry;

pub(crate) async fn run(
    session: &Session,
    arguments: &Retry,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let view = View::look(session, Scope::Nodes).await?;
    // All are looked at before any is touched.
    let chosen: Vec<(NodeName, EntryName)> = {
        let cluster = view.cluster();
        let memory = Memory::default();
        let derived = Derived::new(&cluster, &memory, view::now(&cluster, session.now(), None));
        let names = arguments.nodes.iter().map(NodeName::new);
        names
            .map(|node| {
                let entry = derived.turns.get(&node).map(|turn| turn.entry);
                may_be_retried(&node, entry, view.has_nodes && !cluster.nodes.contains_key(&node))?;
                Ok(entry.map(|entry| (node, entry.name.clone())))
            })
            .collect::<Result<Vec<_>, Problem>>()?
            .into_iter()
            .flatten()
            .collect()
    };
    let mut done = Vec::new();
    let ended = retry(session, &chosen, &mut done).await;
    // What was done is told also where the rest could not be.
    printer.done(&done)?;
    ended.map(|()| Exit::Done)
}

async fn retry(
    session: &Session,
    chosen: &[(NodeName, EntryName)],
    done: &mut Vec<Done>,
) -> Result<(), Problem> {
    for (node, name) in chosen {
        let did = match entries::change(session, name, |entry| decide(node, entry)).await? {
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
        done.push(Done {
            node: Some(node.to_string()),
            ..Done::new("nodereboot", name.as_str(), did)
        });
    }
    Ok(())
}

fn may_be_retried(node: &NodeName, entry: Option<&Entry>, is_missing: bool) -> Result<(), Problem> {
    let Some(entry) = entry else {
        return Err(if is_missing {
            Problem::failed(
                format!("there is no node named {node}, and no entry of one"),
                "junban list",
            )
        } else {
            Problem::failed(
                format!("node {node} has no entry to retry"),
                format!("junban reboot {node}"),
            )
        });
    };
    match entry.record.phase {
        Phase::Failed => Ok(()),
        Phase::Queued if entry.record.back_off.is_some() || is_asked(entry) => Ok(()),
        phase if phase.is_ended() => Err(Problem::failed(
            format!("the last entry of node {node} is {phase}: there is nothing to retry"),
            format!("junban reboot {node}"),
        )),
        phase => Err(Problem::failed(
            format!(
                "the entry of node {node} is {phase}, neither Failed nor backing off: there is nothing to retry"
            ),
            format!("junban explain {node}"),
        )),
    }
}

fn is_asked(entry: &Entry) -> bool {
    entry.spec.retries > entry.record.retries_done
}

fn decide(node: &NodeName, entry: &Entry) -> Decision {
    if entry.spec.cancel {
        return Decision::Leave("is cancelled already: it cannot be retried".to_owned());
    }
    if is_asked(entry) {
        return Decision::Leave("a retry was asked for already and is not acted on yet".to_owned());
    }
    match may_be_retried(node, Some(entry), false) {
        Ok(()) => Decision::Set(json!({"retries": entry.spec.retries + 1})),
        Err(_) => Decision::Leave(format!("is {} by now: not retried", entry.record.phase)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fixture;
    use junban_core::reason::Reason;

    #[test]
    fn only_what_failed_or_backs_off_is_retried() {
        let node = NodeName::from("node-1");
        let mut entry = fixture::entry("node-1", 100);
        let verdict = |entry: &Entry| {
            may_be_retried(&node, Some(entry), false)
                .err()
                .map(|problem| problem.to_string())
        };
        assert!(verdict(&entry).is_some_and(|text| text.contains("is Queued")));
        entry.record.phase = Phase::Failed;
        entry.record.reason = Some(Reason::BootTimeout);
        assert_eq!(verdict(&entry), None);
        assert!(matches!(decide(&node, &entry), Decision::Set(spec) if spec == json!({"retries": 1})));
        entry.spec.retries = 1;
        assert!(
            matches!(decide(&node, &entry), Decision::Leave(_)),
            "asked twice is asked once"
        );
        entry.record.phase = Phase::Succeeded;
        expect_test::expect![[r#"
            error: the last entry of node node-1 is Succeeded: there is nothing to retry
            hint: junban reboot node-1"#]]
        .assert_eq(&verdict(&entry).unwrap());
    }
}
