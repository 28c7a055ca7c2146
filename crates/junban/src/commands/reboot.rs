//! `junban reboot`: sets a goal for all nodes, or makes entries for some.

mod all;
mod dry_run;
mod named;

use std::collections::BTreeSet;

use junban_core::cluster::Cluster;
use junban_core::ids::{NodeName, PolicyName};
use junban_core::reason::Reason;

use super::columns::some;
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::wait;
use crate::cli::Reboot;

pub(crate) async fn run(
    session: &Session,
    arguments: &Reboot,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let asked = if arguments.all {
        Asked::All
    } else {
        Asked::Nodes(named::chosen(session, arguments).await?)
    };
    if arguments.dry_run {
        return dry_run::run(session, &asked, arguments.again, printer).await;
    }
    let target = match &asked {
        Asked::All => all::run(session, arguments, printer).await?,
        Asked::Nodes(nodes) => named::run(session, arguments, nodes, printer).await?,
    };
    if arguments.wait {
        return wait::run(session, &target, arguments.timeout, printer).await;
    }
    Ok(Exit::Done)
}

/// Whose reboot was asked for.
pub(crate) enum Asked {
    All,
    Nodes(Vec<NodeName>),
}

/// What will keep nodes of these policies waiting although nothing was done wrong: said beside what was done.
fn notes(cluster: &Cluster, policies: &BTreeSet<PolicyName>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(queue) = cluster.queue.present().filter(|queue| queue.paused) {
        let why = match queue.pause_reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        notes.push(format!(
            "note: the queue is paused{why}: nothing starts\nhint: {}",
            Reason::Paused.hint()
        ));
    }
    let without_driver: Vec<String> = policies
        .iter()
        .filter(|name| {
            cluster
                .policies
                .get(*name)
                .is_some_and(|policy| policy.reboot.ladder.is_empty())
                && cluster.unreadable_policy(name).is_none()
        })
        .map(ToString::to_string)
        .collect();
    if !without_driver.is_empty() {
        notes.push(format!(
            "note: without a driver the nodes of policy {} wait (NoDriver)\nhint: set spec.reboot.ladder: kubectl edit rebootpolicy {}",
            some(&without_driver, 5),
            without_driver[0]
        ));
    }
    notes
}

/// Joining changes nothing, so that a reason given with it goes nowhere.
fn dropped_reason(reason: &str, joined: bool, again: &str) -> Option<String> {
    let note = || format!("note: the reason is not kept where something under way was joined\nhint: {again}");
    (joined && !reason.is_empty()).then(note)
}

/// What is said of a policy that cannot be read.
fn unreadable(name: &str, text: &str) -> String {
    format!(
        "note: policy {name} cannot be read, so nothing starts under it: {text}\nhint: kubectl get rebootpolicy {name} -o yaml | junban lint -"
    )
}
