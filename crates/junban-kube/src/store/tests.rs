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

fn known_uid(store: &Store) -> Option<String> {
    store.with(|cluster| cluster.pods.get(&cart()).map(|pod| pod.uid.to_string()))
}

/// The server made the list at version 10, the watch reported a deletion at version 11, and then the list is read. No
/// watch would report again that the pod is gone.
#[test]
fn a_list_from_before_a_deletion_does_not_bring_the_pod_back() {
    let store = Store::new("junban");
    store.apply_pod(&pod("u1", 10));
    store.remove_pod(&cart(), Gone::AsOf(Version(11)));
    store.apply_pod(&pod("u1", 10));
    assert_eq!(known_uid(&store), None);
    // A later pod of the same name is put in.
    store.apply_pod(&pod("u2", 12));
    assert_eq!(known_uid(&store).as_deref(), Some("u2"));
}

#[test]
fn a_pod_that_is_first_seen_after_its_deletion_is_not_put_in() {
    let store = Store::new("junban");
    store.remove_pod(&cart(), Gone::AsOf(Version(11)));
    store.apply_pod(&pod("u1", 10));
    assert_eq!(known_uid(&store), None);
}

#[test]
fn a_late_404_does_not_remove_an_object_that_was_created_again() {
    let store = Store::new("junban");
    store.apply_pod(&pod("u2", 12));
    store.remove_pod(&cart(), Gone::Uid("u1"));
    assert_eq!(known_uid(&store).as_deref(), Some("u2"));
    let name = EntryName::from("node-1-abc");
    store.apply_entry(&entry("e2", 12)).unwrap();
    store.remove_entry(&name, Gone::Uid("e1"));
    assert!(store.with(|cluster| cluster.entries.contains_key(&name)));
    store.remove_entry(&name, Gone::Uid("e2"));
    assert!(store.with(|cluster| cluster.entries.is_empty()));
}

#[test]
fn an_object_that_a_404_showed_to_be_gone_stays_gone() {
    let store = Store::new("junban");
    store.apply_pod(&pod("u1", 10));
    store.remove_pod(&cart(), Gone::Uid("u1"));
    store.apply_pod(&pod("u1", 10));
    assert_eq!(known_uid(&store), None);
    // The watch was behind: the StatefulSet has already made the next pod, on another node.
    store.apply_pod(&pod("u2", 11));
    assert_eq!(known_uid(&store).as_deref(), Some("u2"));
}

#[test]
fn a_late_answer_to_our_own_write_does_not_bring_a_deleted_policy_back() {
    let store = Store::new("junban");
    store.apply_policy(&policy(10));
    assert!(store.with(|cluster| !cluster.policies.is_empty()));
    store.remove_policy("workers", Gone::AsOf(Version(12)));
    store.apply_policy(&policy(11));
    assert!(store.with(|cluster| cluster.policies.is_empty()));
    store.apply_policy(&policy(13));
    assert!(store.with(|cluster| !cluster.policies.is_empty()));
}

#[test]
fn a_deleted_queue_stays_deleted_until_another_one_is_created() {
    let queue = |uid: &str, version: u64| -> DynamicObject {
        let queue = json!({"apiVersion": names::API_VERSION, "kind": "RebootQueue",
            "metadata": {"name": names::QUEUE, "uid": uid, "resourceVersion": version.to_string(), "generation": 1},
            "spec": {}});
        serde_json::from_value(queue).unwrap()
    };
    let uid = |store: &Store| store.queue_uid();
    let store = Store::new("junban");
    store.apply_queue(&queue("q1", 10));
    store.remove_queue(Gone::AsOf(Version(11)));
    store.apply_queue(&queue("q1", 10));
    assert_eq!(uid(&store), None);
    store.apply_queue(&queue("q2", 12));
    store.remove_queue(Gone::Uid("q1"));
    assert_eq!(uid(&store).as_deref(), Some("q2"));
}
