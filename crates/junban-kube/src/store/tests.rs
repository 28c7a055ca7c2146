use serde_json::json;

use super::*;

fn pod(uid: &str, version: u64) -> core::Pod {
    let pod = json!({"metadata": {"namespace": "shop", "name": "cart-1", "uid": uid,
            "resourceVersion": version.to_string()},
        "spec": {"nodeName": "node-1", "containers": []}, "status": {"phase": "Running"}});
    serde_json::from_value(pod).unwrap()
}

fn entry(uid: &str, version: u64) -> DynamicObject {
    let entry = json!({"apiVersion": names::API_VERSION, "kind": "NodeReboot",
        "metadata": {"name": "node-1-abc", "uid": uid, "resourceVersion": version.to_string(), "generation": 1,
            "creationTimestamp": "2026-11-23T17:00:00Z"},
        "spec": {"nodeName": "node-1", "nodeUID": "n1", "policy": "workers",
            "bootedAfter": "2026-11-23T09:00:00Z"}});
    serde_json::from_value(entry).unwrap()
}

fn policy(version: u64) -> DynamicObject {
    let policy = json!({"apiVersion": names::API_VERSION, "kind": "RebootPolicy",
        "metadata": {"name": "workers", "uid": "p1", "resourceVersion": version.to_string(), "generation": 1},
        "spec": {"nodeSelector": {}, "priority": 1}});
    serde_json::from_value(policy).unwrap()
}

fn cart() -> PodKey {
    PodKey::new("shop", "cart-1")
}

fn knows(store: &Store) -> Option<String> {
    store.with(|cluster| cluster.pods.get(&cart()).map(|pod| pod.uid.to_string()))
}

/// The list was served at 10, the watch told of a deletion at 11, and then the list's answer is read: no watch would
/// ever say again that the pod is gone.
#[test]
fn a_list_that_was_served_before_a_deletion_does_not_bring_the_pod_back() {
    let store = Store::new("junban");
    store.pod(&pod("u1", 10));
    store.no_pod(&cart(), Gone::AsOf(Version(11)));
    store.pod(&pod("u1", 10));
    assert_eq!(knows(&store), None);
    // Another one of its name is another matter.
    store.pod(&pod("u2", 12));
    assert_eq!(knows(&store).as_deref(), Some("u2"));
}

#[test]
fn a_pod_that_was_never_seen_before_its_deletion_is_not_put_in_after_it() {
    let store = Store::new("junban");
    store.no_pod(&cart(), Gone::AsOf(Version(11)));
    store.pod(&pod("u1", 10));
    assert_eq!(knows(&store), None);
}

#[test]
fn a_late_404_does_not_remove_what_was_made_again_meanwhile() {
    let store = Store::new("junban");
    store.pod(&pod("u2", 12));
    store.no_pod(&cart(), Gone::Uid("u1"));
    assert_eq!(knows(&store).as_deref(), Some("u2"));
    let name = EntryName::from("node-1-abc");
    store.entry(&entry("e2", 12)).unwrap();
    store.no_entry(&name, Gone::Uid("e1"));
    assert!(store.with(|cluster| cluster.entries.contains_key(&name)));
    store.no_entry(&name, Gone::Uid("e2"));
    assert!(store.with(|cluster| cluster.entries.is_empty()));
}

#[test]
fn what_a_404_has_shown_to_be_gone_stays_gone() {
    let store = Store::new("junban");
    store.pod(&pod("u1", 10));
    store.no_pod(&cart(), Gone::Uid("u1"));
    store.pod(&pod("u1", 10));
    assert_eq!(knows(&store), None);
    // The watch was behind: the next of a StatefulSet is there already, on another node.
    store.pod(&pod("u2", 11));
    assert_eq!(knows(&store).as_deref(), Some("u2"));
}

#[test]
fn a_slow_answer_to_our_own_write_does_not_bring_a_policy_back() {
    let store = Store::new("junban");
    store.policy(&policy(10));
    assert!(store.with(|cluster| !cluster.policies.is_empty()));
    store.no_policy("workers", Gone::AsOf(Version(12)));
    store.policy(&policy(11));
    assert!(store.with(|cluster| cluster.policies.is_empty()));
    store.policy(&policy(13));
    assert!(store.with(|cluster| !cluster.policies.is_empty()));
}

#[test]
fn a_queue_that_was_deleted_stays_so_until_there_is_another() {
    let queue = |uid: &str, version: u64| -> DynamicObject {
        let queue = json!({"apiVersion": names::API_VERSION, "kind": "RebootQueue",
            "metadata": {"name": names::QUEUE, "uid": uid, "resourceVersion": version.to_string(), "generation": 1},
            "spec": {}});
        serde_json::from_value(queue).unwrap()
    };
    let uid = |store: &Store| store.queue_uid();
    let store = Store::new("junban");
    store.queue(&queue("q1", 10));
    store.no_queue(Gone::AsOf(Version(11)));
    store.queue(&queue("q1", 10));
    assert_eq!(uid(&store), None);
    store.queue(&queue("q2", 12));
    store.no_queue(Gone::Uid("q1"));
    assert_eq!(uid(&store).as_deref(), Some("q2"));
}
