use super::*;
use crate::commands::fixture;

fn notes(cluster: &Cluster) -> Vec<String> {
    waiting(cluster, &policies_with_nodes(cluster, fixture::now(200)))
}

#[test]
fn a_policy_without_a_driver_is_mentioned_if_it_governs_a_node() {
    let mut cluster = fixture::cluster(None, &["node-1"]);
    let Some(policy) = cluster.policies.values_mut().next() else {
        panic!("the fixture has a policy");
    };
    policy.reboot.ladder.clear();
    assert!(notes(&cluster)[0].contains("NoDriver"));
    cluster.nodes.clear();
    assert_eq!(notes(&cluster), Vec::<String>::new());
}

#[test]
fn a_policy_that_cannot_be_read_is_mentioned_as_such_and_not_as_one_without_a_driver() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    fixture::unreadable(&mut cluster, "workers");
    let mut notes = notes(&cluster);
    notes.extend(left_aside(&cluster, fixture::now(200)));
    expect_test::expect![[r#"
        note: policy workers cannot be read, so nothing starts under it: spec.drain.jobs.evict: not a label
        hint: kubectl get rebootpolicy workers -o yaml | junban lint -"#]]
    .assert_eq(&notes.join("\n"));
}

#[test]
fn a_reason_that_is_lost_is_mentioned() {
    let note = |reason, joined| dropped_reason(reason, joined, "HINT");
    assert_eq!((note("BIOS", false), note("", true)), (None, None));
    let told = note("BIOS", true).unwrap();
    assert!(
        told.contains("the reason is not kept") && told.ends_with("hint: HINT"),
        "{told}"
    );
}
