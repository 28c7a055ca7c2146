use super::*;
use crate::commands::fixture;
use junban_core::cluster::{Cluster, QueueView};
use junban_core::ids::NodeName;
use junban_core::verbs::reboot::{decide_all, decide_nodes};

#[test]
fn a_refusal_of_all_nodes_says_what_helps() {
    let mut no_queue = fixture::cluster(None, &["node-1"]);
    no_queue.queue = QueueView::Absent;
    let mut no_policy = fixture::cluster(None, &["node-1"]);
    no_policy.policies.clear();
    let no_node = fixture::cluster(None, &[]);
    let mut conflict = fixture::cluster(None, &["node-1"]);
    conflict
        .policies
        .insert("other".into(), fixture::policy("other", None));
    let future = fixture::cluster(Some(1_000), &["node-1"]);
    let refused = |cluster: &Cluster| {
        let refusal = decide_all(cluster, fixture::now(200), false).unwrap_err();
        Problem::from(refusal).to_string()
    };
    let said: Vec<String> = [no_queue, no_policy, no_node, conflict, future]
        .iter()
        .map(refused)
        .collect();
    expect_test::expect![[r#"
        error: there is no RebootQueue named default, which counts as paused: nothing would start
        hint: kubectl apply --server-side -f manifests/defaults
        error: there is no RebootPolicy, so no policy selects any node
        hint: kubectl apply --server-side -f manifests/defaults
        error: no policy selects any of the 0 nodes
        hint: compare spec.nodeSelector with kubectl get nodes --show-labels: kubectl get rebootpolicies -o yaml
        error: no node can be rebooted: policies other, workers have the same priority 0
        hint: give one of the policies another priority
        error: policy workers has the goal 1970-01-01T00:16:40Z, which lies in the future (it is 1970-01-01T00:03:20Z): not due yet, nothing was changed
        hint: wait until it is due, or set it to now: junban reboot --all --again"#]].assert_eq(&said.join("\n"));
}

#[test]
fn one_node_that_cannot_be_rebooted_refuses_all() {
    let refused = |cluster: &Cluster, nodes: &[&str]| {
        let nodes: Vec<NodeName> = nodes.iter().map(|node| NodeName::from(*node)).collect();
        let refusal = decide_nodes(cluster, fixture::now(200), &nodes, "alice", "BIOS").unwrap_err();
        Problem::from(refusal).to_string()
    };
    let mut cluster = fixture::cluster(None, &["node-1", "node-2"]);
    let missing = refused(&cluster, &["node-1", "node-8", "node-9"]);
    if let Some(node) = cluster.nodes.get_mut(&"node-2".into()) {
        node.excluded = true;
    }
    let excluded = refused(&cluster, &["node-1", "node-2"]);
    cluster
        .policies
        .insert("other".into(), fixture::policy("other", None));
    let conflict = refused(&cluster, &["node-1"]);
    cluster.policies.clear();
    let none = refused(&cluster, &["node-1"]);
    expect_test::expect![[r#"
        error: there is no node named node-8, node-9: nothing was done
        hint: kubectl get nodes
        error: node node-2 is labelled junban.dev/exclude: it is never touched; nothing was done
        hint: kubectl label node node-2 junban.dev/exclude-
        error: node node-1 cannot be rebooted: policies other, workers have the same priority 0; nothing was done
        hint: give one of the policies another priority
        error: node node-1 cannot be rebooted: no policy selects the node; nothing was done
        hint: write a RebootPolicy whose nodeSelector matches the node"#]].assert_eq(&[missing, excluded, conflict, none].join("\n"));
}
