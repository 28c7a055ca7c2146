use super::*;
use crate::commands::fixture;

fn explained(cluster: &Cluster, node: &str) -> String {
    let explanation = explain_node(
        cluster,
        fixture::now(200),
        &node.into(),
        Listed {
            nodes: true,
            everything: true,
        },
        &ConditionTimes::default(),
    );
    explanation.map_or_else(
        |problem| problem.to_string(),
        |explanation| explanation.describe(),
    )
}

#[test]
fn a_queued_node_names_every_unmet_gate() {
    let mut cluster = fixture::cluster(Some(100), &["node-1", "node-2"]);
    if let Some(node) = cluster.nodes.get_mut(&"node-1".into()) {
        node.held = true;
    }
    if let junban_core::cluster::QueueView::Present(queue) = &mut cluster.queue {
        queue.paused = true;
    }
    let mut entry = fixture::entry("node-1", 100);
    entry.record.reason = Some(Reason::Paused);
    entry.record.since = Some(fixture::at(150));
    cluster.apply_entry(entry);
    expect_test::expect![[r#"
        Node node-1: queued, not touched yet
          since:  1970-01-01T00:02:30Z
          entry:  node-1-i4md7x6ckh
          policy: workers
          goal:   1970-01-01T00:01:40Z

        What it waits for:
          Paused [queue default] (needs somebody): the queue is paused
            since: 1970-01-01T00:02:30Z
            hint: junban resume
          Hold [node node-1] (needs somebody): node node-1 is labelled junban.dev/hold
            since: 1970-01-01T00:01:40Z at the earliest, when its entry was created
            hint: remove the label junban.dev/hold"#]]
    .assert_eq(&explained(&cluster, "node-1"));
}

#[test]
fn a_failed_node_says_what_happened() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    let mut entry = fixture::entry("node-1", 100);
    entry.record.phase = Phase::Failed;
    entry.record.reason = Some(Reason::PowerUnknown);
    entry.record.message = "the command was killed".into();
    entry.record.attempt = 1;
    cluster.apply_entry(entry);
    let text = explained(&cluster, "node-1");
    assert!(
        text.contains("PowerUnknown") && text.contains("the command was killed"),
        "{text}"
    );
    assert!(
        text.contains("hint: junban retry node-1 for one more round"),
        "{text}"
    );
}

#[test]
fn a_node_without_an_entry_says_why() {
    let why = |goal, change: fn(&mut Cluster)| {
        let mut cluster = fixture::cluster(goal, &["node-1"]);
        change(&mut cluster);
        explained(&cluster, "node-1")
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let lines = [
        why(None, |_| {}),
        why(Some(500), |_| {}),
        why(Some(0), |_| {}),
        why(Some(100), |_| {}),
        why(Some(100), |cluster| cluster.policies.clear()),
        why(Some(100), |cluster| {
            cluster
                .policies
                .insert("other".into(), fixture::policy("other", None));
        }),
        why(Some(100), |cluster| {
            cluster.nodes.values_mut().for_each(|node| node.excluded = true);
        }),
        why(Some(100), |cluster| {
            cluster
                .nodes
                .values_mut()
                .for_each(|node| node.waived = Some(fixture::at(100)));
        }),
        why(Some(100), |cluster| {
            fixture::cancel_and_register_again(cluster, "node-1", 100);
        }),
        why(Some(100), |cluster| {
            for policy in cluster.policies.values_mut() {
                policy.summary.problem = "WriteRefused".to_owned();
                policy.summary.message = "node node-1: frozen by the site".to_owned();
            }
        }),
    ];
    expect_test::expect![[r#"
        Node node-1: policy workers governs it and has no goal
        Node node-1: the goal 1970-01-01T00:08:20Z of policy workers lies in the future: not due yet
        Node node-1: the goal is due, and the controller has not created its entry yet
        Node node-1: the goal is due, and the controller has not created its entry yet
        Node node-1: no policy selects the node
        Node node-1: policies other, workers have the same priority 0
        Node node-1: it is labelled junban.dev/exclude: Junban neither touches nor counts it
        Node node-1: a cancel waived the goal 1970-01-01T00:01:40Z for it
        Node node-1: a cancel waived the goal 1970-01-01T00:01:40Z for it (its last turn: Cancelled)
        Node node-1: the goal is due, and the controller has not created its entry yet; policy workers says WriteRefused: node node-1: frozen by the site"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn a_node_that_does_not_exist_is_an_error() {
    let cluster = fixture::cluster(None, &["node-1"]);
    expect_test::expect![[r#"
        error: there is no node named node-9
        hint: kubectl get nodes"#]]
    .assert_eq(&explained(&cluster, "node-9"));
}
