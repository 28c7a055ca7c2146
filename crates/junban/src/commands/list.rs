//! `junban list`: the entries, one row for each node.

use std::collections::BTreeSet;

use jiff::Timestamp;
use junban_api::{convert, names};
use junban_core::cluster::{Cluster, QueueView};
use junban_core::entry::{DrainProgress, Entry};
use junban_core::ids::natural;
use junban_kube::resource::Kind;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::DynamicObject;
use serde_json::json;

use super::columns::{age, table};
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::view;
use crate::cli::{List, Output};

pub(crate) async fn run(session: &Session, arguments: &List, printer: &mut Printer) -> Result<Exit, Problem> {
    let api = Kind::Entry.api(&session.connection.calls);
    let list = session
        .ask("list", "nodereboots", api.list(&ListParams::default()))
        .await?;
    let mut rows = Vec::new();
    for object in list.items {
        match convert::entry::read(&object) {
            Ok(entry) => rows.push((entry, object)),
            Err(error) => printer.talk(&format!(
                "note: entry {} is left out, because it cannot be read: {error}\nhint: kubectl get nodereboot {} -o yaml",
                object.name_any(),
                object.name_any()
            )),
        }
    }
    if !arguments.all {
        keep_turns(&mut rows, queue(session).await?, session.now());
    }
    rows.sort_by_cached_key(|(entry, _)| (natural(entry.spec.node.as_str()), entry.created));
    print(&rows, session.now(), printer)?;
    if rows.is_empty() {
        printer.talk("there are no entries: no node is or was in the queue\nhint: junban reboot --all");
    }
    Ok(Exit::Done)
}

/// The queue: its slots tell which entry is a node's turn.
async fn queue(session: &Session) -> Result<QueueView, Problem> {
    let api = Kind::Queue.api(&session.connection.calls);
    let object = session
        .ask("get", "rebootqueues", api.get_opt(names::QUEUE))
        .await?;
    let queue = object.and_then(|object| convert::queue::read(&object).ok());
    Ok(queue.map_or(QueueView::Absent, |queue| QueueView::Present(Box::new(queue))))
}

fn print(rows: &[(Entry, DynamicObject)], now: Timestamp, printer: &mut Printer) -> Result<(), Problem> {
    match printer.format {
        Output::Name => {
            let names = rows.iter().map(|(entry, _)| &entry.name);
            printer.lines(names.map(|name| format!("nodereboot.junban.dev/{name}")));
            Ok(())
        }
        Output::Table | Output::Wide if rows.is_empty() => Ok(()),
        format => {
            // kubectl prints several objects in this form.
            let items: Vec<&DynamicObject> = rows.iter().map(|(_, object)| object).collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            printer.value(&list, || {
                render(rows.iter().map(|(entry, _)| entry), now, format == Output::Wide)
            })
        }
    }
}

/// Keeps one entry for each node: its turn, or else its last turn.
fn keep_turns(rows: &mut Vec<(Entry, DynamicObject)>, queue: QueueView, now: Timestamp) {
    let mut cluster = Cluster {
        queue,
        ..Cluster::default()
    };
    for (entry, _) in rows.iter() {
        cluster.apply_entry(entry.clone());
    }
    let turns = view::turns(&cluster, now).into_iter();
    let chosen: BTreeSet<_> = turns.map(|entry| &entry.name).collect();
    rows.retain(|(entry, _)| chosen.contains(&entry.name));
}

fn render<'a>(entries: impl Iterator<Item = &'a Entry>, now: Timestamp, wide: bool) -> String {
    let mut heading = vec!["NODE", "PHASE", "REASON", "ATTEMPT", "DRAIN", "AGE"];
    if wide {
        heading.extend([
            "SINCE",
            "POLICY",
            "GOAL",
            "REQUESTED-BY",
            "WHY",
            "BOOTID",
            "ENTRY",
        ]);
    }
    heading.push("MESSAGE");
    let rows: Vec<Vec<String>> = entries.map(|entry| row(entry, now, wide)).collect();
    table(&heading, &rows)
}

fn row(entry: &Entry, now: Timestamp, wide: bool) -> Vec<String> {
    let record = &entry.record;
    let dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let mut row = vec![
        entry.spec.node.to_string(),
        record.phase.to_string(),
        record
            .reason
            .map_or_else(|| "-".to_owned(), |reason| reason.to_string()),
        record.attempt.to_string(),
        record.drain.as_ref().map_or_else(|| "-".to_owned(), drained),
        age(now.as_second() - entry.created.as_second()),
    ];
    if wide {
        let boot = record.boot_id_after.as_ref().or(record.boot_id_before.as_ref());
        row.extend([
            record.since.map_or_else(|| "-".to_owned(), convert::format_goal),
            entry.spec.policy.to_string(),
            convert::format_goal(entry.spec.booted_after),
            dash(&entry.spec.requested_by),
            dash(&entry.spec.reason),
            boot.map_or_else(|| "-".to_owned(), ToString::to_string),
            entry.name.to_string(),
        ]);
    }
    row.push(record.message.replace('\n', " "));
    row
}

/// How many of the pods have left, in percent.
fn drained(drain: &DrainProgress) -> String {
    let left = (drain.total.saturating_sub(drain.left) * 100).checked_div(drain.total);
    format!("{}%", left.unwrap_or(100))
}

#[cfg(test)]
mod tests;
