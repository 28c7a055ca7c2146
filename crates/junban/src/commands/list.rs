//! `junban list`: the entries, one row per node.

use std::collections::BTreeMap;

use jiff::Timestamp;
use junban_api::convert;
use junban_core::entry::{DrainProgress, Entry};
use junban_core::ids::NodeName;
use junban_kube::resource::Kind;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::DynamicObject;
use serde_json::json;

use super::columns::{age, natural, table};
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
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
                "note: left out: {} cannot be read: {error}\nhint: kubectl get nodereboot {} -o yaml",
                object.name_any(),
                object.name_any()
            )),
        }
    }
    if !arguments.all {
        rows = newest(rows);
    }
    rows.sort_by_cached_key(|(entry, _)| (natural(entry.spec.node.as_str()), entry.created));
    print(&rows, session.now(), printer)?;
    if rows.is_empty() {
        printer.talk("no entries: no node is queued and none was\nhint: junban reboot --all");
    }
    Ok(Exit::Done)
}

fn print(rows: &[(Entry, DynamicObject)], now: Timestamp, printer: &mut Printer) -> Result<(), Problem> {
    match printer.format {
        Output::Name => {
            let names: Vec<String> = rows
                .iter()
                .map(|(entry, _)| format!("nodereboot.junban.dev/{}", entry.name))
                .collect();
            if !names.is_empty() {
                printer.data(&names.join("\n"));
            }
            Ok(())
        }
        Output::Table | Output::Wide if rows.is_empty() => Ok(()),
        format => {
            // As kubectl prints several objects.
            let items: Vec<&DynamicObject> = rows.iter().map(|(_, object)| object).collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            printer.value(&list, || {
                render(rows.iter().map(|(entry, _)| entry), now, format == Output::Wide)
            })
        }
    }
}

/// Of each node the entry that is not ended, else the last one made.
fn newest(rows: Vec<(Entry, DynamicObject)>) -> Vec<(Entry, DynamicObject)> {
    let mut by_node: BTreeMap<NodeName, (Entry, DynamicObject)> = BTreeMap::new();
    let rank = |entry: &Entry| {
        let live = !entry.record.phase.is_ended();
        let under_way = live && entry.record.phase != junban_core::entry::Phase::Queued;
        (under_way, live, entry.created, entry.spec.booted_after)
    };
    for row in rows {
        let node = row.0.spec.node.clone();
        if by_node
            .get(&node)
            .is_none_or(|known| rank(&known.0) < rank(&row.0))
        {
            by_node.insert(node, row);
        }
    }
    by_node.into_values().collect()
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

/// Pods that have left, in percent.
fn drained(drain: &DrainProgress) -> String {
    let left = (drain.total.saturating_sub(drain.left) * 100).checked_div(drain.total);
    format!("{}%", left.unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fixture;
    use junban_core::entry::Phase;
    use junban_core::reason::Reason;

    #[test]
    fn one_row_a_node_with_what_it_waits_for() {
        let mut draining = fixture::entry("node-2", 100);
        draining.record.phase = Phase::Draining;
        draining.record.reason = Some(Reason::BudgetExhausted);
        draining.record.message = "pdb shop/cart allows 0 disruptions".into();
        draining.record.drain = Some(DrainProgress { total: 40, left: 3 });
        let mut done = fixture::entry("node-1", 100);
        done.record.phase = Phase::Succeeded;
        done.record.reason = Some(Reason::Proven);
        done.record.attempt = 1;
        let rows = [done, draining];
        expect_test::expect![[r#"
            NODE     PHASE       REASON            ATTEMPT   DRAIN   AGE   MESSAGE
            node-1   Succeeded   Proven            1         -       60s
            node-2   Draining    BudgetExhausted   0         92%     60s   pdb shop/cart allows 0 disruptions"#]]
        .assert_eq(&render(rows.iter(), fixture::at(160), false));
    }

    #[test]
    fn a_node_shows_its_turn_and_else_its_newest_entry() {
        let object = || DynamicObject {
            types: None,
            metadata: Default::default(),
            data: serde_json::Value::Null,
        };
        let mut old = fixture::entry("node-1", 100);
        old.record.phase = Phase::Succeeded;
        let mut live = fixture::entry("node-1", 50);
        live.record.phase = Phase::Failed;
        let rows = newest(vec![(old.clone(), object()), (live.clone(), object())]);
        assert_eq!(rows.iter().map(|(entry, _)| entry).collect::<Vec<_>>(), [&live]);
        live.record.phase = Phase::Cancelled;
        let rows = newest(vec![(live, object()), (old.clone(), object())]);
        assert_eq!(rows.iter().map(|(entry, _)| entry).collect::<Vec<_>>(), [&old]);
    }
}
