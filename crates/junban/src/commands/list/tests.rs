use super::*;
use crate::commands::fixture;
use junban_core::entry::Phase;
use junban_core::reason::Reason;

#[test]
fn each_row_says_what_its_node_waits_for() {
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
fn a_node_shows_its_turn_or_else_its_last_turn() {
    let turns = |cluster: &Cluster, entries: &[&Entry]| -> Vec<Entry> {
        let object = DynamicObject::new("", &Kind::Entry.resource());
        let rows = entries.iter().map(|entry| ((*entry).clone(), object.clone()));
        let mut rows: Vec<_> = rows.collect();
        keep_turns(&mut rows, cluster.queue.clone(), fixture::at(200));
        rows.into_iter().map(|(entry, _)| entry).collect()
    };
    let mut cluster = fixture::cluster(Some(100), &[]);
    let mut newer = fixture::entry("node-1", 100);
    newer.record.phase = Phase::Succeeded;
    let mut older = fixture::entry("node-1", 50);
    older.record.phase = Phase::Failed;
    assert_eq!(turns(&cluster, &[&newer, &older]), [older.clone()]);
    older.record.phase = Phase::Cancelled;
    assert_eq!(turns(&cluster, &[&older, &newer]), [newer.clone()]);
    // If two entries are queued, the one with the slot is the turn.
    (older.record.phase, newer.record.phase) = (Phase::Queued, Phase::Queued);
    assert_eq!(turns(&cluster, &[&older, &newer]), [newer.clone()]);
    fixture::grant(&mut cluster, &older);
    assert_eq!(turns(&cluster, &[&older, &newer]), [older.clone()]);
}
