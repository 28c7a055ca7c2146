use junban_core::cluster::QueueView;

use super::*;
use crate::commands::fixture;

fn values_of(cluster: &Cluster, metric: &str) -> Values {
    let found = of_cluster(cluster, &Report::default())
        .into_iter()
        .find(|(name, _)| *name == metric);
    found.map(|(_, values)| values).unwrap_or_default()
}

#[test]
fn a_pause_does_not_hide_that_the_queue_is_halted() {
    let mut cluster = fixture::cluster(Some(100), &[]);
    if let QueueView::Present(queue) = &mut cluster.queue {
        queue.paused = true;
        queue.summary.state = "Paused".into();
        queue.summary.trouble = "Halted".into();
    }
    for metric in [names::METRIC_QUEUE_PAUSED, names::METRIC_QUEUE_HALTED] {
        assert_eq!(values_of(&cluster, metric), [(vec![], 1)], "{metric}");
    }
}

#[test]
fn the_last_proof_is_the_newest_of_the_entries_that_succeeded() {
    let mut cluster = fixture::cluster(Some(100), &[]);
    assert_eq!(values_of(&cluster, names::METRIC_LAST_PROOF), []);
    let entries = [
        ("node-1", Phase::Succeeded, 150),
        ("node-2", Phase::Succeeded, 130),
        ("node-3", Phase::Cancelled, 170),
    ];
    for (node, phase, since) in entries {
        let mut entry = fixture::entry(node, 100);
        entry.record.phase = phase;
        entry.record.since = Some(fixture::at(since));
        cluster.apply_entry(entry);
    }
    assert_eq!(values_of(&cluster, names::METRIC_LAST_PROOF), [(vec![], 150)]);
}
