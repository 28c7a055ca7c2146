use super::*;
use crate::commands::fixture;
use junban_core::memory::Memory;

#[test]
fn it_names_what_is_interrupted_what_is_never_evicted_and_what_stands_together() {
    let mut cluster = fixture::cluster(None, &["node-1", "node-2"]);
    fixture::deploy(&mut cluster, "single", &["node-1"], None);
    fixture::deploy(&mut cluster, "never", &["node-1", "node-2"], Some(0));
    fixture::deploy(&mut cluster, "close", &["node-1", "node-1", "node-2"], Some(1));
    fixture::deploy(&mut cluster, "bare-close", &["node-2", "node-2"], None);
    fixture::deploy(&mut cluster, "apart", &["node-1", "node-2"], Some(1));
    for node in cluster.nodes.values_mut() {
        node.labels.insert("host".into(), node.name.to_string());
    }
    let mut tied = cluster
        .pods
        .values()
        .find(|pod| pod.key.name == "apart-0")
        .unwrap()
        .as_ref()
        .clone();
    tied.node_selector = [("host".to_owned(), "node-1".to_owned())].into();
    tied.version.0 += 1;
    cluster.apply_pod(tied);
    let memory = Memory::default();
    let derived = Derived::new(&cluster, &memory, fixture::now(200));
    let nodes = cluster.nodes.keys().cloned().collect();
    expect_test::expect![[r#"

        Interrupted, because they have one replica and no budget:
          deployment shop/single (pod shop/single-0 on node node-1)

        Down for the boot of their node, because no other node can take them:
          pod shop/apart-0 on node node-1: its node selector, node affinity or volume selects no other node

        Never evicted, so their nodes are not rebooted until somebody acts:
          pdb shop/never can never allow an eviction: 2 of 2 pods are needed (deployment shop/never)

        Close together (anti-affinity is missing), so they leave one after the other:
          deployment shop/close: 2 on node node-1; pdb shop/close allows 1 at a time
          deployment shop/bare-close: 2 on node node-2; without a PodDisruptionBudget 1 may be disrupted at a time
    "#]].assert_eq(&of(&cluster, &derived, &nodes).describe());
}

#[test]
fn pods_are_counted_by_the_groups_of_the_policy() {
    let mut cluster = fixture::cluster(None, &["node-1", "node-2"]);
    fixture::deploy(&mut cluster, "close", &["node-1", "node-2"], Some(1));
    for node in cluster.nodes.values_mut() {
        node.labels.insert("rack".into(), "r1".into());
    }
    if let Some(policy) = cluster.policies.get_mut(&"workers".into()) {
        policy.groups = Some(junban_core::policy::Groups {
            by: "rack".into(),
            at_once: 1,
        });
    }
    let memory = Memory::default();
    let derived = Derived::new(&cluster, &memory, fixture::now(200));
    let nodes = cluster.nodes.keys().cloned().collect();
    let crowded = of(&cluster, &derived, &nodes).crowded;
    assert_eq!(
        crowded,
        ["deployment shop/close: 2 in rack=r1; pdb shop/close allows 1 at a time"]
    );
}
