//! The waiver: no goal up to this one is the node's any more (lifecycle.md 1).

use jiff::Timestamp;
use junban_api::convert::{self, format_goal};
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::derived;
use junban_core::entry::{Entry, Phase};
use junban_core::ids::NodeName;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::Patch;
use serde_json::json;

use super::TRIES;
use crate::commands::entries;
use crate::commands::printer::Printer;
use crate::commands::problem::Problem;
use crate::commands::session::Session;

/// The goal that a policy was raised to while the node's entry was under way: the boot to come counted for both, so
/// none is wanted for it either.
fn raised(cluster: &Cluster, node: &core::Node, now: Timestamp) -> Option<Timestamp> {
    let node = convert::node::read(node).ok()?;
    let goal = derived::governing(cluster, &node).ok()?.booted_after;
    goal.filter(|goal| *goal <= now)
}

/// Who writes the waiver, where one is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    Us,
    Controller,
}

/// Writes the waiver for the newest goal among the entries and the policy's. Whoever may not patch Nodes leaves that to the
/// controller, which does it before it ends the entry.
pub(super) async fn waive(
    session: &Session,
    cluster: &Cluster,
    name: &NodeName,
    entries: &[Entry],
    printer: &mut Printer,
) -> Result<By, Problem> {
    let past = |entry: &Entry| matches!(entry.record.phase, Phase::Rebooting | Phase::Verifying);
    let goals = entries
        .iter()
        .filter(|entry| !past(entry))
        .map(|entry| entry.spec.booted_after);
    let (Some(goal), Some(first)) = (goals.max(), entries.first()) else {
        return Ok(By::Us);
    };
    let api: Api<core::Node> = Api::all(session.connection.calls.clone());
    for _ in 0..TRIES {
        let Some(node) = session.ask("get", "nodes", api.get_opt(name.as_str())).await? else {
            return Ok(By::Us);
        };
        let goal = raised(cluster, &node, session.now()).map_or(goal, |raised| raised.max(goal));
        let is_another = node.metadata.uid.as_deref() != Some(first.spec.node_uid.as_str());
        if is_another || waived(&node).is_some_and(|waived| waived >= goal) {
            return Ok(By::Us);
        }
        let patch = json!({"metadata": {
            "resourceVersion": node.metadata.resource_version,
            "uid": node.metadata.uid,
            "annotations": {names::WAIVED: format_goal(goal)},
        }});
        let written = session
            .answer(api.patch(name.as_str(), &entries::parameters(), &Patch::Merge(&patch)))
            .await;
        match written {
            Ok(_) => return Ok(By::Us),
            Err(failure) => match failure.code() {
                Some(409) => {}
                Some(404) => return Ok(By::Us),
                Some(401 | 403 | 422) => {
                    printer.talk(&format!(
                        "note: you may not annotate node {name} ({}): the controller waives the goal before it ends the entry",
                        entries::said(&failure)
                    ));
                    return Ok(By::Controller);
                }
                _ => return Err(failure.problem(session, "patch", "nodes")),
            },
        }
    }
    Err(Problem::failed(
        format!("node {name} changes faster than it can be written"),
        "try again",
    ))
}

/// As the controller reads it: by hand it may be spelt in any way that is a time.
fn waived(node: &core::Node) -> Option<Timestamp> {
    convert::node::read(node).ok()?.waived
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fixture;

    #[test]
    fn a_waiver_written_by_hand_is_read_in_any_spelling_of_a_time() {
        let waived_at = |text: &str| {
            let node = json!({"metadata": {
                "name": "node-1", "uid": "u", "resourceVersion": "1",
                "creationTimestamp": "1970-01-01T00:00:00Z", "annotations": {names::WAIVED: text},
            }});
            waived(&serde_json::from_value(node).unwrap())
        };
        let later = Some(fixture::at(7_200));
        assert_eq!(waived_at("1970-01-01T02:00:00Z"), later);
        assert_eq!(waived_at("1970-01-01T03:00:00+01:00"), later);
        assert_eq!(waived_at(" 1970-01-01 02:00:00z"), later);
        assert_eq!(waived_at("tomorrow"), None);
    }
}
