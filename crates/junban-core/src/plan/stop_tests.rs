//! What stops every start: a queue that was made again, and a right that is missing.

use crate::effect::{EvictOutcome, Read};
use crate::entry::Phase;
use crate::fixture::{self, Toy, pod};
use crate::reason::Reason;
use crate::time::Timestamp;

/// The queue is deleted and made again after entries were made.
fn make_queue_again(toy: &mut Toy) {
    let now = toy.now().wall;
    let uid = "queue-uid-2".into();
    let version = toy.queue().version;
    *toy.queue() = fixture::queue();
    let queue = toy.queue();
    (queue.uid, queue.ledger, queue.created) = (uid, None, now);
    queue.version = version;
}

#[test]
fn a_queue_made_again_while_entries_wait_starts_nothing_before_it_is_resumed() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.queue().paused = true;
    toy.run(5);
    make_queue_again(&mut toy);
    toy.run(120);
    toy.assert_phase("node-1", Phase::Queued, Reason::Paused);
    assert!(toy.queue().is_held() && toy.slots().is_empty());
    toy.queue().resumed = true;
    toy.run(120);
    assert!(!toy.queue().ledger.as_ref().unwrap().held);
    assert_ne!(toy.phase("node-1").unwrap().0, Phase::Queued);
}

#[test]
fn the_queue_of_a_paused_cluster_is_held_even_if_no_entry_was_left() {
    let held = |was_paused: bool, created: i64| {
        let mut toy = Toy::new(&["node-1"]);
        toy.memory.queue_was_paused = was_paused;
        let queue = toy.queue();
        (queue.ledger, queue.created) = (None, Timestamp::from_second(created).unwrap());
        toy.run(8);
        toy.queue().is_held()
    };
    assert!(held(true, 0));
    assert!(
        !held(false, 0),
        "entries that are younger than the queue start with it"
    );
    assert!(held(false, fixture::EPOCH + 3_600));
}

#[test]
fn a_pause_of_its_own_ends_the_hold() {
    let mut toy = Toy::new(&["node-1"]);
    toy.memory.queue_was_paused = true;
    toy.queue().ledger = None;
    toy.run(8);
    assert!(toy.queue().is_held());
    toy.queue().paused = true;
    toy.run(5);
    toy.queue().paused = false;
    toy.run(5);
    assert!(!toy.queue().is_held());
}

#[test]
fn a_server_that_was_given_up_while_it_was_down_does_not_take_the_only_place() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.boot_ms = 0;
    for node in ["node-2", "node-3"] {
        toy.node(node).held = true;
    }
    toy.run(60);
    toy.node("node-1").ready = false;
    toy.run(60);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootTimeout);
    let failed = toy.entry("node-1").unwrap().name.clone();
    for node in ["node-2", "node-3"] {
        toy.node(node).held = false;
    }
    toy.cluster.entries.get_mut(&failed).unwrap().spec.cancel = true;
    toy.boot_ms = 10_000;
    toy.run(60);
    toy.assert_phase("node-1", Phase::Cancelled, Reason::GivenUp);
    assert!(!toy.node("node-1").ready);
    assert_eq!(
        toy.phase("node-2").map(|(phase, _)| phase),
        Some(Phase::Succeeded)
    );
}

#[test]
fn a_right_that_is_missing_for_one_node_stops_the_others_until_it_is_back() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.queue().max_unavailable = crate::quantity::IntOrPercent::Count(2);
    toy.policy().booted_after = None;
    toy.run(1);
    toy.policy().booted_after = Timestamp::from_second(fixture::EPOCH).ok();
    for node in ["node-1", "node-2", "node-3"] {
        toy.cluster.apply_pod(pod(&format!("web-of-{node}"), node));
    }
    toy.eviction_answer = Some(EvictOutcome::Forbidden("pods/eviction: create".into()));
    toy.missing_rights = vec!["create pods/eviction".into()];
    // A drain that is blocked for a minute would let the next node begin.
    toy.run(300);
    toy.assert_phase("node-1", Phase::Draining, Reason::Forbidden);
    toy.assert_phase("node-2", Phase::Queued, Reason::Forbidden);
    let message = toy.entry("node-2").unwrap().record.message.clone();
    assert_eq!(
        message,
        "the controller's account lacks rights that every turn needs: create pods/eviction"
    );
    assert_eq!(toy.slots(), ["node-1"]);
    assert!(toy.reads.iter().filter(|read| **read == Read::Rights).count() < 100);
    toy.eviction_answer = None;
    toy.missing_rights.clear();
    toy.run(600);
    assert_eq!(toy.phase("node-2").unwrap().0, Phase::Succeeded);
}
