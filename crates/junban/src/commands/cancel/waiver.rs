//! The waiver: no goal up to its time counts for the node (docs/design/life-cycle.md#waiver).

use junban_api::convert::{self, format_goal};
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::entry::Entry;
use junban_core::ids::NodeName;
use junban_core::verbs::cancel::{goal_to_waive, waiver};
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::Patch;
use serde_json::json;

use crate::commands::entries::{self, TRIES};
use crate::commands::printer::Printer;
use crate::commands::problem::Problem;
use crate::commands::session::Session;

/// Who writes the waiver, if one is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WrittenBy {
    ThisCommand,
    Controller,
}

/// Writes the waiver before the entries of a node are cancelled. A user who may not patch Nodes leaves that to the
/// controller, which writes it before it ends the entry.
pub(super) async fn waive(
    session: &Session,
    cluster: &Cluster,
    name: &NodeName,
    entries: &[&Entry],
    printer: &mut Printer,
) -> Result<WrittenBy, Problem> {
    if goal_to_waive(entries).is_none() {
        return Ok(WrittenBy::ThisCommand);
    }
    let api: Api<core::Node> = Api::all(session.connection.calls.clone());
    for _ in 0..TRIES {
        let Some(object) = session.call("get", "nodes", api.get_opt(name.as_str())).await? else {
            return Ok(WrittenBy::ThisCommand);
        };
        let Ok(node) = convert::node::read(&object) else {
            return Ok(WrittenBy::Controller);
        };
        let Some(goal) = waiver(cluster, session.now(), &node, entries) else {
            return Ok(WrittenBy::ThisCommand);
        };
        let patch = json!({"metadata": {
            "resourceVersion": object.metadata.resource_version,
            "uid": object.metadata.uid,
            "annotations": {names::WAIVED: format_goal(goal)},
        }});
        let written = session
            .try_call(api.patch(name.as_str(), &entries::parameters(), &Patch::Merge(&patch)))
            .await;
        match written {
            Ok(_) => return Ok(WrittenBy::ThisCommand),
            Err(failure) => match failure.code() {
                Some(409) => {}
                Some(404) => return Ok(WrittenBy::ThisCommand),
                Some(401 | 403 | 422) => {
                    printer.message(&format!(
                        "note: you may not annotate node {name} ({}): the controller waives the goal before it ends the entry",
                        failure.message()
                    ));
                    return Ok(WrittenBy::Controller);
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
