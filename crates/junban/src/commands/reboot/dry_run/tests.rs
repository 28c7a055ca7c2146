use super::*;
use crate::commands::fixture;

#[test]
fn it_names_the_nodes_that_would_be_rebooted_or_wait() {
    let mut cluster = fixture::cluster(None, &["node-1", "node-2", "node-3"]);
    if let Some(node) = cluster.nodes.get_mut(&"node-2".into()) {
        node.held = true;
    }
    if let Some(node) = cluster.nodes.get_mut(&"node-3".into()) {
        node.excluded = true;
    }
    let forecast = forecast(&mut cluster, fixture::now(200), &Asked::All, false).unwrap();
    expect_test::expect![[r#"
        Would be rebooted, with the goal 1970-01-01T00:03:20Z: 2 nodes
          policy workers: 2 (node-1, node-2)
          note: not rebooted: node-3 (labelled junban.dev/exclude)

        Would wait, before any cordon:
          Hold: node node-2 is labelled junban.dev/hold [node-2]
            hint: remove the label junban.dev/hold

        Nothing was changed."#]]
    .assert_eq(&forecast.describe());
}

#[test]
fn the_waiver_of_an_ended_entry_holds_for_a_node_that_is_registered_again() {
    // What is under way is joined, so the goal stays the one that was waived.
    let mut cluster = fixture::cluster(Some(100), &["node-1", "node-2"]);
    fixture::cancel_and_register_again(&mut cluster, "node-1", 100);
    let forecast = forecast(&mut cluster, fixture::now(200), &Asked::All, false).unwrap();
    let reboot: Vec<&String> = forecast.reboot.keys().collect();
    assert_eq!(reboot, ["node-2"]);
}
