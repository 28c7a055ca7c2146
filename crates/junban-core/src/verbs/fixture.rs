//! A cluster as a person finds it, for the tests of the verbs. Times are seconds since 1970.

use crate::cluster::{Cluster, QueueView};
use crate::entry::{Entry, EntrySpec, Phase, Record};
use crate::fixture;
use crate::goal::entry_name;
use crate::ids::{EntryUid, NodeUid, Version};
use crate::journal::Journal;
use crate::node::Node;
use crate::policy::Policy;
use crate::time::{Mono, Now, Reading, Timestamp};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn now(second: i64) -> Now {
    Now {
        mono: Mono::default(),
        clock: Reading::default(),
        wall: at(second),
    }
}

/// A policy that selects the workers. Its status is up to date.
pub(super) fn policy(name: &str, goal: Option<i64>) -> Policy {
    let mut policy = fixture::policy();
    policy.name = name.into();
    policy.booted_after = goal.map(at);
    policy.summary.observed_generation = policy.generation;
    policy
}

/// A worker that Junban saw first at second 1.
pub(super) fn node(name: &str) -> Node {
    let node = fixture::node(name);
    let journal = Journal::of_boot(node.boot_id.clone().unwrap(), None, None, None, at(1));
    Node {
        journal: Some(journal),
        ..node
    }
}

/// The entry that the controller made for a node and a goal.
pub(super) fn entry(node: &str, goal: i64, phase: Phase) -> Entry {
    let uid = fixture::node(node).uid;
    Entry {
        name: entry_name(&node.into(), &uid, &"workers".into(), at(goal)),
        uid: EntryUid::new(format!("entry of {node} for {goal}")),
        version: Version(1),
        generation: 1,
        created: at(goal),
        spec: EntrySpec::new(node.into(), uid, "workers".into(), at(goal)),
        record: Record {
            observed_generation: 1,
            phase,
            ..Record::default()
        },
    }
}

/// A queue, the policy `workers` with a goal, and nodes.
pub(super) fn cluster(goal: Option<i64>, nodes: &[&str]) -> Cluster {
    let mut cluster = Cluster {
        queue: QueueView::Present(Box::new(fixture::queue())),
        ..Cluster::default()
    };
    cluster.apply_policy(policy("workers", goal));
    for name in nodes {
        cluster.apply_node(node(name));
    }
    cluster
}

/// Makes the policy `workers` one of which only the outline can be read. No controller ever wrote its status.
pub(super) fn make_unreadable(cluster: &mut Cluster) {
    let policy = cluster.policies.get_mut(&"workers".into()).unwrap();
    policy.reboot.ladder.clear();
    policy.summary.observed_generation = 0;
    let why = "spec.drain.jobs.evict: not a label".to_owned();
    cluster.unreadable_policies.insert("workers".into(), why);
}

/// Ends the node's entry as a cancel does, and registers the Node again: only the entry holds the waiver.
pub(super) fn cancel_and_register_again(cluster: &mut Cluster, node: &str, goal: i64) {
    let mut ended = entry(node, goal, Phase::Cancelled);
    ended.record.waived = Some(at(goal));
    cluster.apply_entry(ended);
    let node = cluster.nodes.get_mut(&node.into()).unwrap();
    node.uid = NodeUid::new("another");
}
