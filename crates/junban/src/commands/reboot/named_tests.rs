use super::*;
use crate::commands::fixture;

fn decision(cluster: &Cluster, nodes: &[&str]) -> Result<Vec<(NodeName, Step)>, String> {
    let nodes: Vec<NodeName> = nodes.iter().map(|node| NodeName::from(*node)).collect();
    decide(cluster, fixture::now(200), &nodes, "alice", "BIOS").map_err(|problem| problem.to_string())
}

#[test]
fn a_node_without_an_entry_gets_one_of_the_policy_that_governs_it() {
    let cluster = fixture::cluster(None, &["node-1"]);
    let steps = decision(&cluster, &["node-1"]).unwrap();
    let [(_, Step::Make(name, spec))] = steps.as_slice() else {
        panic!("{steps:?}");
    };
    assert_eq!(*name, fixture::entry("node-1", 200).name);
    let asked = (
        spec.policy.as_str(),
        spec.requested_by.as_str(),
        spec.reason.as_str(),
    );
    assert_eq!(asked, ("workers", "alice", "BIOS"));
    assert_eq!(spec.booted_after, fixture::at(200));
}

#[test]
fn an_entry_that_is_not_ended_is_joined() {
    let mut cluster = fixture::cluster(None, &["node-1"]);
    let mut entry = fixture::entry("node-1", 100);
    entry.record.phase = Phase::Failed;
    entry.record.reason = Some(Reason::BootTimeout);
    cluster.apply_entry(entry.clone());
    let steps = decision(&cluster, &["node-1"]).unwrap();
    let joined = Step::Join(entry.name.clone(), Phase::Failed, Some(Reason::BootTimeout));
    assert_eq!(steps, [("node-1".into(), joined)]);
    // One of a Node that was registered again is another machine's.
    if let Some(node) = cluster.nodes.get_mut(&"node-1".into()) {
        node.uid = "another".into();
    }
    assert!(matches!(
        decision(&cluster, &["node-1"]).unwrap()[0].1,
        Step::Make(..)
    ));
}

#[test]
fn one_node_that_cannot_go_keeps_all_from_being_asked_for() {
    let mut cluster = fixture::cluster(None, &["node-1", "node-2"]);
    let missing = decision(&cluster, &["node-1", "node-8", "node-9"]).unwrap_err();
    if let Some(node) = cluster.nodes.get_mut(&"node-2".into()) {
        node.excluded = true;
    }
    let excluded = decision(&cluster, &["node-1", "node-2"]).unwrap_err();
    cluster
        .policies
        .insert("other".into(), fixture::policy("other", None));
    let conflict = decision(&cluster, &["node-1"]).unwrap_err();
    cluster.policies.clear();
    let none = decision(&cluster, &["node-1"]).unwrap_err();
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

#[test]
fn whoever_asks_soon_after_a_boot_is_told_that_it_waits() {
    let mut cluster = fixture::cluster(None, &["node-1"]);
    if let Some(journal) = cluster
        .nodes
        .get_mut(&"node-1".into())
        .and_then(|node| node.journal.as_mut())
    {
        journal.not_before = Some(fixture::at(100));
    }
    let steps = decision(&cluster, &["node-1"]).unwrap();
    expect_test::expect!["note: node node-1 booted at 1970-01-01T00:01:40Z; minInterval 1h of policy workers keeps it waiting until 1970-01-01T01:01:40Z"].assert_eq(&booted_lately(&cluster, fixture::now(200), &steps).join("\n"));
    assert_eq!(booted_lately(&cluster, fixture::now(4_000), &steps), [""; 0]);
}

#[test]
fn an_entry_of_that_name_with_another_spec_is_an_error() {
    let name = fixture::entry("node-1", 100).name;
    let wanted = fixture::entry("node-1", 100).spec;
    let mut same = wanted.clone();
    same.requested_by = "bob".into();
    assert_eq!(taken(&name, &wanted, Some(&same)), Ok(()));
    let mut of_another_policy = wanted.clone();
    of_another_policy.policy = "other".into();
    let mut of_another_node = wanted.clone();
    of_another_node.node_uid = "another".into();
    let of_another_goal = fixture::entry("node-1", 101).spec;
    for found in [of_another_policy, of_another_node, of_another_goal] {
        assert!(taken(&name, &wanted, Some(&found)).is_err(), "{found:?}");
    }
    assert!(taken(&name, &wanted, None).is_err(), "gone, or not readable");
}
