//! `junban reboot NODE...`: joins the nodes' entries, or makes them.

use std::collections::BTreeSet;

use junban_api::convert;
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::derived::Derived;
use junban_core::entry::{EntrySpec, Phase};
use junban_core::goal::entry_name;
use junban_core::ids::{EntryName, NodeName};
use junban_core::memory::Memory;
use junban_core::reason::Reason;
use junban_core::time::Now;
use junban_kube::resource::Kind;
use k8s_openapi::api::core::v1 as core;
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};

use crate::cli::Reboot;
use crate::commands::printer::{Done, Printer};
use crate::commands::problem::Problem;
use crate::commands::session::Session;
use crate::commands::view::{self, View};
use crate::commands::wait::Target;

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

/// What is done for one node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Join(EntryName, Phase, Option<Reason>),
    Make(EntryName, Box<EntrySpec>),
}

pub(super) async fn run(
    session: &Session,
    arguments: &Reboot,
    nodes: &[NodeName],
    printer: &mut Printer,
) -> Result<Target, Problem> {
    let user = session.user().await?;
    let view = View::with_nodes(session).await?;
    let (steps, notes) = {
        let cluster = view.cluster();
        let now = view::now(&cluster, session.now(), None);
        let steps = decide(&cluster, now, nodes, &user, &arguments.reason)?;
        let made = steps.iter().filter_map(|(_, step)| match step {
            Step::Make(_, spec) => Some(spec.policy.clone()),
            Step::Join(..) => None,
        });
        let policies = made.collect();
        let mut notes = super::notes(&cluster, &policies);
        notes.extend(policies.iter().filter_map(|name| {
            let text = cluster.unreadable_policy(name)?;
            Some(super::unreadable(name.as_str(), text))
        }));
        notes.extend(booted_lately(&cluster, now, &steps));
        let joined = steps.iter().any(|(_, step)| matches!(step, Step::Join(..)));
        notes.extend(super::dropped_reason(
            &arguments.reason,
            joined,
            "junban cancel NODE, then junban reboot NODE --reason TEXT",
        ));
        (steps, notes)
    };
    let mut done = Vec::new();
    let mut failed = None;
    for (node, step) in &steps {
        match carry_out(session, node, step).await {
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
    let entries = steps.into_iter().map(|(_, step)| match step {
        Step::Join(name, ..) | Step::Make(name, _) => name,
    });
    Ok(Target::Entries(entries.collect()))
}

/// Checks every node before anything is done for one.
pub(super) fn decide(
    cluster: &Cluster,
    now: Now,
    nodes: &[NodeName],
    user: &str,
    reason: &str,
) -> Result<Vec<(NodeName, Step)>, Problem> {
    view::queue(cluster)?;
    let missing: Vec<&str> = nodes
        .iter()
        .filter(|name| !cluster.nodes.contains_key(*name))
        .map(NodeName::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Problem::failed(
            format!("there is no node named {}: nothing was done", missing.join(", ")),
            "kubectl get nodes",
        ));
    }
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now);
    nodes
        .iter()
        .map(|name| Ok((name.clone(), step(cluster, &derived, now, name, user, reason)?)))
        .collect()
}

fn step(
    cluster: &Cluster,
    derived: &Derived<'_>,
    now: Now,
    name: &NodeName,
    user: &str,
    reason: &str,
) -> Result<Step, Problem> {
    let Some(node) = cluster.nodes.get(name) else {
        return Err(Problem::failed(
            format!("there is no node named {name}"),
            "kubectl get nodes",
        ));
    };
    let turn = derived
        .turns
        .get(name)
        .filter(|turn| turn.node.is_some() && !turn.phase().is_ended());
    if let Some(turn) = turn {
        return Ok(Step::Join(
            turn.entry.name.clone(),
            turn.phase(),
            turn.entry.record.reason,
        ));
    }
    if node.excluded {
        return Err(Problem::failed(
            format!(
                "node {name} is labelled {}: it is never touched; nothing was done",
                names::EXCLUDE
            ),
            format!("kubectl label node {name} {}-", names::EXCLUDE),
        ));
    }
    let policy = match derived.governed.get(name) {
        Some(Ok(policy)) => *policy,
        Some(Err(blocker)) => {
            return Err(Problem::failed(
                format!("node {name} cannot be rebooted: {}; nothing was done", blocker),
                blocker.reason.hint(),
            ));
        }
        None => {
            return Err(Problem::failed(
                format!("no policy selects node {name}; nothing was done"),
                Reason::NoPolicy.hint(),
            ));
        }
    };
    let spec = EntrySpec {
        node: name.clone(),
        node_uid: node.uid.clone(),
        policy: policy.name.clone(),
        booted_after: now.wall,
        reason: reason.to_owned(),
        requested_by: user.to_owned(),
        priority: policy.priority,
        cancel: false,
        retries: 0,
    };
    let entry = entry_name(name, &node.uid, &policy.name, now.wall);
    Ok(Step::Make(entry, Box::new(spec)))
}

/// `minInterval` holds whatever the goals say: whoever asks for a reboot should know that it will wait.
fn booted_lately(cluster: &Cluster, now: Now, steps: &[(NodeName, Step)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, step) in steps {
        let Step::Make(_, spec) = step else { continue };
        let journal = cluster.nodes.get(name).and_then(|node| node.journal.as_ref());
        let booted = journal.and_then(|journal| journal.not_before);
        let interval = cluster
            .policies
            .get(&spec.policy)
            .map(|policy| policy.min_interval);
        let (Some(booted), Some(interval)) = (booted, interval) else {
            continue;
        };
        if let Ok(due) = booted.checked_add(interval)
            && due > now.wall
        {
            notes.push(format!(
                "note: node {name} booted at {}; minInterval {} of policy {} keeps it waiting until {}",
                convert::format_goal(booted),
                convert::format_span(interval),
                spec.policy,
                convert::format_goal(due),
            ));
        }
    }
    notes
}

async fn carry_out(session: &Session, node: &NodeName, step: &Step) -> Result<Done, Problem> {
    let of = |name: &EntryName, did: String| Done {
        node: Some(node.to_string()),
        ..Done::new("nodereboot", name.as_str(), did)
    };
    let (name, spec) = match step {
        Step::Join(name, Phase::Failed, reason) => {
            let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            return Ok(of(
                name,
                format!("joined: it is Failed{why}; junban retry {node} goes on with it"),
            ));
        }
        Step::Join(name, phase, _) => return Ok(of(name, format!("joined: it is {phase} already"))),
        Step::Make(name, spec) => (name, spec),
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
            taken(name, spec, found.as_ref().map(|entry| &entry.spec))?;
            Ok(of(
                name,
                "joined: somebody asked for it within the same second".to_owned(),
            ))
        }
        Err(failure) => Err(failure.problem(session, "create", "nodereboots")),
    }
}

/// Of an entry whose name is taken: another call within the same second asked for the same, or it is an error
/// (lifecycle.md 1, names).
fn taken(name: &EntryName, wanted: &EntrySpec, found: Option<&EntrySpec>) -> Result<(), Problem> {
    let asks_for = |spec: &EntrySpec| {
        (
            spec.node.clone(),
            spec.node_uid.clone(),
            spec.policy.clone(),
            spec.booted_after,
        )
    };
    if found.is_some_and(|found| asks_for(found) == asks_for(wanted)) {
        return Ok(());
    }
    Err(Problem::failed(
        format!("entry {name} is there already and asks for something else, or cannot be read"),
        format!("kubectl get nodereboot {name} -o yaml; then try again"),
    ))
}

#[cfg(test)]
#[path = "named_tests.rs"]
mod tests;
