use super::*;
use crate::verbs::fixture;

/// The goal that would stand, and whether it is a new one.
fn goal(cluster: &Cluster, again: bool) -> (i64, bool) {
    let decision = decide_all(cluster, fixture::now(200), again).unwrap();
    let mut decisions = decision.policies.values();
    let is_new = decisions.all(|decision| *decision == PolicyDecision::SetGoal);
    (decision.goal.as_second(), is_new)
}

const NEW: (i64, bool) = (200, true);
const JOINED: (i64, bool) = (100, false);

#[test]
fn without_anything_under_way_the_goal_is_now() {
    assert_eq!(goal(&fixture::cluster(None, &["node-1"]), false), NEW);
    let mut done = fixture::cluster(Some(100), &["node-1"]);
    let mut entry = fixture::entry("node-1", 100, Phase::Succeeded);
    entry
        .record
        .boot_id_after
        .clone_from(&fixture::node("node-1").boot_id);
    done.apply_entry(entry);
    assert_eq!(goal(&done, false), NEW);
}

#[test]
fn what_is_under_way_is_joined() {
    let with = |phase: Phase, reason: Option<Reason>| {
        let mut cluster = fixture::cluster(Some(100), &["node-1"]);
        let mut entry = fixture::entry("node-1", 100, phase);
        entry.record.reason = reason;
        cluster.apply_entry(entry);
        cluster
    };
    for (phase, reason) in [
        (Phase::Draining, Some(Reason::Evicting)),
        (Phase::Rebooting, None),
        (Phase::Queued, None),
        (Phase::Queued, Some(Reason::NoPlace)),
        (Phase::Queued, Some(Reason::Paused)),
    ] {
        assert_eq!(goal(&with(phase, reason), false), JOINED, "{phase} {reason:?}");
        assert_eq!(goal(&with(phase, reason), true), NEW, "--again");
    }
    for (phase, reason) in [
        (Phase::Failed, Some(Reason::BootTimeout)),
        (Phase::Queued, Some(Reason::NodeDown)),
    ] {
        assert_eq!(goal(&with(phase, reason), false), NEW, "{phase} {reason:?}");
    }
    // The controller has not made the entry yet.
    assert_eq!(goal(&fixture::cluster(Some(100), &["node-1"]), false), JOINED);
    // The controller has not seen the goal yet.
    let mut unseen = fixture::cluster(Some(100), &["node-1"]);
    let mut node = crate::fixture::node("node-1");
    node.version.0 += 1;
    unseen.apply_node(node);
    assert_eq!(goal(&unseen, false), NEW, "a boot without a journal is no sign");
    unseen
        .policies
        .values_mut()
        .for_each(|policy| policy.generation = 2);
    assert_eq!(goal(&unseen, false), JOINED);
}

#[test]
fn a_policy_that_an_interrupted_call_did_not_reach_gets_its_goal() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    let mut other = fixture::policy("other", None);
    other.priority = -1;
    cluster.apply_policy(other);
    let decision = decide_all(&cluster, fixture::now(200), false).unwrap();
    assert_eq!(decision.goal, fixture::at(100));
    assert_eq!(decision.policies[&"other".into()], PolicyDecision::SetGoal);
    let joined = PolicyDecision::Join(GoalProgress {
        goal: fixture::at(100),
        nodes: 1,
        done: 0,
        open: BTreeMap::new(),
    });
    assert_eq!(decision.policies[&"workers".into()], joined);
}

#[test]
fn a_policy_that_cannot_be_read_is_not_under_way() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    let mut entry = fixture::entry("node-1", 100, Phase::Queued);
    entry.record.reason = Some(Reason::UnreadablePolicy);
    cluster.apply_entry(entry);
    fixture::make_unreadable(&mut cluster);
    assert_eq!(goal(&cluster, false), NEW);
}

#[test]
fn a_node_that_was_cancelled_and_registered_again_is_not_waited_for() {
    let mut cluster = fixture::cluster(Some(100), &["node-1"]);
    fixture::cancel_and_register_again(&mut cluster, "node-1", 100);
    assert_eq!(goal(&cluster, false), NEW);
}

#[test]
fn a_goal_in_the_future_is_replaced_only_by_again() {
    let cluster = fixture::cluster(Some(1_000), &["node-1"]);
    let refused = Refusal::GoalInFuture {
        policy: "workers".into(),
        goal: fixture::at(1_000),
        now: fixture::at(200),
    };
    assert_eq!(decide_all(&cluster, fixture::now(200), false), Err(refused));
    assert_eq!(goal(&cluster, true), NEW);
}

fn decision(cluster: &Cluster, nodes: &[&str]) -> Result<Vec<(NodeName, NodeDecision)>, Refusal> {
    let nodes: Vec<NodeName> = nodes.iter().map(|node| NodeName::from(*node)).collect();
    decide_nodes(cluster, fixture::now(200), &nodes, "alice", "BIOS")
}

#[test]
fn a_node_without_an_entry_gets_one_of_the_policy_that_governs_it() {
    let cluster = fixture::cluster(None, &["node-1"]);
    let decisions = decision(&cluster, &["node-1"]).unwrap();
    let [(_, NodeDecision::Create(name, spec))] = decisions.as_slice() else {
        panic!("{decisions:?}");
    };
    assert_eq!(*name, fixture::entry("node-1", 200, Phase::Queued).name);
    let asked = (
        spec.policy.as_str(),
        spec.requested_by.as_str(),
        spec.reason.as_str(),
    );
    assert_eq!(asked, ("workers", "alice", "BIOS"));
    assert_eq!(spec.booted_after, fixture::at(200));
}

#[test]
fn an_entry_that_has_not_ended_is_joined() {
    let mut cluster = fixture::cluster(None, &["node-1"]);
    let mut entry = fixture::entry("node-1", 100, Phase::Failed);
    entry.record.reason = Some(Reason::BootTimeout);
    cluster.apply_entry(entry.clone());
    let joined = NodeDecision::Join(entry.name.clone(), Phase::Failed, Some(Reason::BootTimeout));
    assert_eq!(
        decision(&cluster, &["node-1"]),
        Ok(vec![("node-1".into(), joined)])
    );
    // The entry of a Node that was registered again is another machine's.
    cluster
        .nodes
        .values_mut()
        .for_each(|node| node.uid = "another".into());
    let decisions = decision(&cluster, &["node-1"]).unwrap();
    assert!(
        matches!(decisions[0].1, NodeDecision::Create(..)),
        "{decisions:?}"
    );
}

#[test]
fn an_entry_that_asks_for_the_same_differs_only_in_who_asks() {
    let spec = |goal| fixture::entry("node-1", goal, Phase::Queued).spec;
    let (wanted, mut same) = (spec(100), spec(100));
    same.requested_by = "bob".into();
    assert!(asks_for_the_same(&wanted, &same));
    let (mut of_another_policy, mut of_another_node) = (spec(100), spec(100));
    of_another_policy.policy = "other".into();
    of_another_node.node_uid = "another".into();
    for found in [of_another_policy, of_another_node, spec(101)] {
        assert!(!asks_for_the_same(&wanted, &found), "{found:?}");
    }
}
