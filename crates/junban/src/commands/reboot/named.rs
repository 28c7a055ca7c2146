//! `junban reboot NODE...`: joins the nodes' entries, or creates them.

use std::collections::BTreeSet;

use junban_api::convert;
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::entry::{EntrySpec, Phase};
use junban_core::ids::{EntryName, NodeName};
use junban_core::time::Now;
use junban_core::verbs::reboot::{NodeDecision, asks_for_the_same, decide_nodes};
use junban_core::verbs::wait::Target;
use junban_kube::resource::Kind;
use k8s_openapi::api::core::v1 as core;
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};

use super::notes;
use crate::cli::Reboot;
use crate::commands::printer::{Done, Printer};
use crate::commands::problem::Problem;
use crate::commands::session::Session;
use crate::commands::view::{self, View};

/// The nodes that were named, or that the selector selects.
pub(super) async fn chosen(session: &Session, arguments: &Reboot) -> Result<Vec<NodeName>, Problem> {
    let Some(selector) = &arguments.selector else {
        let unique: BTreeSet<&String> = arguments.nodes.iter().collect();
        return Ok(unique.into_iter().map(NodeName::new).collect());
    };
    if selector.trim().is_empty() {
        return Err(Problem::usage(
            "an empty selector selects nothing",
            "every node: junban reboot --all; some: junban reboot -l role=worker",
        ));
    }
    let api: Api<core::Node> = Api::all(session.connection.calls.clone());
    let parameters = ListParams::default().labels(selector);
    let list = session.answer(api.list(&parameters)).await;
    let list = list.map_err(|failure| match failure.status() {
        Some(status) if status.code == 400 => Problem::usage(
            format!("{selector:?} is no selector: {}", status.message),
            "write it as kubectl takes it: -l role=worker, -l 'zone in (a,b),!gpu'",
        ),
        _ => failure.problem(session, "list", "nodes"),
    })?;
    if list.items.is_empty() {
        return Err(Problem::failed(
            format!("no node has labels that {selector:?} selects"),
            "kubectl get nodes --show-labels",
        ));
    }
    Ok(list
        .items
        .iter()
        .map(|node| NodeName::new(node.name_any()))
        .collect())
}

pub(super) async fn run(
    session: &Session,
    arguments: &Reboot,
    nodes: &[NodeName],
    printer: &mut Printer,
) -> Result<Target, Problem> {
    let user = session.user().await?;
    let view = View::with_nodes(session).await?;
    let (decisions, notes) = {
        let cluster = view.cluster();
        let now = view::now(&cluster, session.now(), None);
        let decisions = decide_nodes(&cluster, now, nodes, &user, &arguments.reason)?;
        let created = decisions.iter().filter_map(|(_, decision)| match decision {
            NodeDecision::Create(_, spec) => Some(spec),
            NodeDecision::Join(..) => None,
        });
        let policies = created.clone().map(|spec| spec.policy.clone()).collect();
        let mut notes = notes::waiting(&cluster, &policies);
        notes.extend(policies.iter().filter_map(|name| {
            let why = cluster.unreadable_policies.get(name)?;
            Some(notes::unreadable(name.as_str(), why))
        }));
        notes.extend(created.filter_map(|spec| booted_lately(&cluster, now, spec)));
        let mut all = decisions.iter();
        notes.extend(notes::dropped_reason(
            &arguments.reason,
            all.any(|(_, decision)| matches!(decision, NodeDecision::Join(..))),
            "junban cancel NODE, then junban reboot NODE --reason TEXT",
        ));
        (decisions, notes)
    };
    let mut done = Vec::new();
    let mut failed = None;
    for (node, decision) in &decisions {
        match carry_out(session, node, decision).await {
            Ok(one) => done.push(one),
            Err(problem) => {
                failed = Some(problem);
                break;
            }
        }
    }
    printer.done(&done)?;
    if let Some(problem) = failed {
        return Err(problem);
    }
    for note in notes {
        printer.talk(&note);
    }
    let entries = decisions.into_iter().map(|(_, decision)| match decision {
        NodeDecision::Join(name, ..) | NodeDecision::Create(name, _) => name,
    });
    Ok(Target::Entries(entries.collect()))
}

/// `minInterval` holds whatever the goals say, so whoever asks for a reboot should know that it will wait.
fn booted_lately(cluster: &Cluster, now: Now, spec: &EntrySpec) -> Option<String> {
    let booted = cluster.nodes.get(&spec.node)?.journal.as_ref()?.not_before?;
    let interval = cluster.policies.get(&spec.policy)?.min_interval;
    let due = booted.checked_add(interval).ok().filter(|due| *due > now.wall)?;
    Some(format!(
        "note: node {} booted at {}; minInterval {} of policy {} keeps it waiting until {}",
        spec.node,
        convert::format_goal(booted),
        convert::format_span(interval),
        spec.policy,
        convert::format_goal(due),
    ))
}

async fn carry_out(session: &Session, node: &NodeName, decision: &NodeDecision) -> Result<Done, Problem> {
    let of = |name: &EntryName, did: String| Done {
        node: Some(node.to_string()),
        ..Done::new("nodereboot", name.as_str(), did)
    };
    let (name, spec) = match decision {
        NodeDecision::Join(name, Phase::Failed, reason) => {
            let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            return Ok(of(
                name,
                format!("joined: it is Failed{why}; junban retry {node} goes on with it"),
            ));
        }
        NodeDecision::Join(name, phase, _) => return Ok(of(name, format!("joined: it is {phase} already"))),
        NodeDecision::Create(name, spec) => (name, spec),
    };
    let object: DynamicObject =
        serde_json::from_value(convert::entry::object(name, spec)).map_err(|error| {
            Problem::failed(
                format!("no entry can be made for node {node}: {error}"),
                "junban --version",
            )
        })?;
    let parameters = PostParams {
        field_manager: Some(names::CLI_FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let api = Kind::Entry.api(&session.connection.calls);
    match session.answer(api.create(&parameters, &object)).await {
        Ok(_) => Ok(Done {
            goal: Some(convert::format_goal(spec.booted_after)),
            ..of(name, format!("created for node {node}"))
        }),
        Err(failure) if failure.code() == Some(409) => {
            let found = session
                .ask("get", "nodereboots", api.get_opt(name.as_str()))
                .await?;
            let found = found.and_then(|object| convert::entry::read(&object).ok());
            if !found.is_some_and(|entry| asks_for_the_same(spec, &entry.spec)) {
                return Err(Problem::failed(
                    format!("entry {name} is there already and asks for something else, or cannot be read"),
                    format!("kubectl get nodereboot {name} -o yaml; then try again"),
                ));
            }
            Ok(of(
                name,
                "joined: somebody asked for it within the same second".to_owned(),
            ))
        }
        Err(failure) => Err(failure.problem(session, "create", "nodereboots")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fixture;

    #[test]
    fn whoever_asks_soon_after_a_boot_is_told_that_it_waits() {
        let mut cluster = fixture::cluster(None, &["node-1"]);
        if let Some(node) = cluster.nodes.get_mut(&"node-1".into())
            && let Some(journal) = &mut node.journal
        {
            journal.not_before = Some(fixture::at(100));
        }
        let spec = fixture::entry("node-1", 200).spec;
        let note = |second| booted_lately(&cluster, fixture::now(second), &spec);
        expect_test::expect!["note: node node-1 booted at 1970-01-01T00:01:40Z; minInterval 1h of policy workers keeps it waiting until 1970-01-01T01:01:40Z"].assert_eq(&note(200).unwrap());
        assert_eq!(note(4_000), None);
    }
}
