use std::time::Duration;

use crate::budget::Budget;
use crate::effect::EvictOutcome;
use crate::entry::Phase;
use crate::fixture::{Toy, budget, pod};
use crate::ids::Version;
use crate::pod::Pod;
use crate::policy::{OpeningBudgets, OpensAt};
use crate::quantity::IntOrPercent;
use crate::reason::Reason;
use crate::selector::Selector;
use crate::workload::{WorkloadKey, WorkloadKind};

fn rule(opens_at: OpensAt) -> OpeningBudgets {
    OpeningBudgets {
        selector: None,
        namespace: Some("shop".to_owned()),
        opens_at,
        at_once: 1,
        timeout: Duration::from_secs(600),
    }
}

/// A pod on each of these nodes, of one owner each, under one budget that can never allow an eviction. Another node has
/// room for them.
fn closed(nodes: &[&str], rules: &[OpeningBudgets]) -> Toy {
    let mut toy = Toy::new(&[nodes, &["spare"]].concat());
    toy.node("spare").held = true;
    toy.policy().drain.budgets = rules.to_vec();
    toy.queue().max_unavailable = IntOrPercent::Count(9);
    for name in nodes {
        toy.cluster.apply_pod(Pod {
            owner: Some(WorkloadKey::new(WorkloadKind::StatefulSet, "shop", *name)),
            ..pod(name, name)
        });
    }
    let pods = u32::try_from(nodes.len()).unwrap();
    toy.cluster.apply_budget(budget("all", pods, pods, pods));
    toy
}

fn cordoned(toy: &Toy) -> usize {
    let nodes = toy.cluster.nodes.values();
    nodes.filter(|node| node.unschedulable).count()
}

fn open(toy: &mut Toy) {
    toy.cluster.apply_budget(Budget {
        version: Version(2),
        ..budget("all", 1, 0, 1)
    });
}

#[test]
fn without_the_policys_word_the_node_is_not_cordoned() {
    let of_others = OpeningBudgets {
        namespace: Some("db".to_owned()),
        ..rule(OpensAt::Cordon)
    };
    let labels = Selector::of_labels([("drain".to_owned(), "by-webhook".to_owned())]);
    let unlabelled = OpeningBudgets {
        selector: Some(labels),
        ..rule(OpensAt::Eviction)
    };
    for rules in [&[][..], &[of_others], &[unlabelled]] {
        let mut toy = closed(&["node-1"], rules);
        toy.run(60);
        toy.assert_phase("node-1", Phase::Queued, Reason::BudgetImpossible);
        assert_eq!(cordoned(&toy), 0);
    }
}

#[test]
fn at_the_cordon_nothing_is_asked_for_until_the_budget_opens() {
    let mut toy = closed(&["node-1"], &[rule(OpensAt::Cordon)]);
    toy.run(60);
    toy.assert_phase("node-1", Phase::Draining, Reason::BudgetOpening);
    assert_eq!(toy.evicted, Vec::<String>::new());
    open(&mut toy);
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/node-1"]);
    assert_eq!(toy.powered, ["node-1"]);
}

#[test]
fn at_the_eviction_it_is_asked_for_again_and_again_until_the_pod_has_left() {
    let answers: [fn(String) -> EvictOutcome; 2] =
        [EvictOutcome::BudgetExhausted, EvictOutcome::WebhookDenied];
    for answer in answers {
        let mut toy = closed(&["node-1"], &[rule(OpensAt::Eviction)]);
        toy.eviction_answer = Some(answer("the pod is rolled".to_owned()));
        toy.run(60);
        toy.assert_phase("node-1", Phase::Draining, Reason::BudgetOpening);
        assert!((4..=13).contains(&toy.evicted.len()), "{:?}", toy.evicted);
        let entry = toy.entry("node-1").unwrap();
        let message = &entry.record.message;
        assert!(
            message.contains("; the last answer: pod shop/node-1: the pod is rolled"),
            "{message}"
        );
        // The operator has moved it.
        toy.cluster.remove_pod(&pod("node-1", "node-1").key);
        toy.run(60);
        assert_eq!(toy.powered, ["node-1"]);
    }
}

#[test]
fn a_missing_right_is_told_as_itself() {
    let mut toy = closed(&["node-1"], &[rule(OpensAt::Eviction)]);
    toy.eviction_answer = Some(EvictOutcome::Forbidden("pods/eviction".to_owned()));
    toy.run(60);
    toy.assert_phase("node-1", Phase::Draining, Reason::Forbidden);
}

#[test]
fn one_node_waits_at_a_time_and_its_own_timeout_bounds_the_wait() {
    let short = OpeningBudgets {
        timeout: Duration::from_secs(120),
        ..rule(OpensAt::Cordon)
    };
    let mut toy = closed(&["node-1", "node-2"], &[short]);
    toy.run(100);
    toy.assert_phase("node-1", Phase::Draining, Reason::BudgetOpening);
    toy.assert_phase("node-2", Phase::Queued, Reason::OpeningTurn);
    toy.run(60);
    toy.assert_phase("node-1", Phase::Queued, Reason::BackOff);
    toy.assert_phase("node-2", Phase::Draining, Reason::BudgetOpening);
}

#[test]
fn the_last_pod_that_can_take_over_keeps_its_node() {
    // The primary is on node-1, and node-2 has the only other pod of its owner.
    let mut toy = closed(&["node-1", "node-2"], &[rule(OpensAt::Cordon)]);
    toy.cluster.remove_pod(&pod("node-2", "node-2").key);
    toy.cluster.apply_budget(Budget {
        version: Version(2),
        selector: Some(Selector::of_labels([("app".to_owned(), "cart".to_owned())])),
        ..budget("all", 1, 1, 1)
    });
    toy.cluster.apply_pod(Pod {
        owner: Some(WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "node-1")),
        labels: [("role".to_owned(), "replica".to_owned())].into(),
        ..pod("replica", "node-2")
    });
    toy.node("node-2").held = true;
    toy.node("node-2").unschedulable = true;
    toy.run(60);
    toy.assert_phase("node-1", Phase::Queued, Reason::LastCandidate);
    toy.node("node-2").unschedulable = false;
    toy.run(90);
    toy.assert_phase("node-1", Phase::Draining, Reason::BudgetOpening);
    // Now node-2 is needed, and may not follow.
    toy.node("node-2").held = false;
    toy.run(90);
    toy.assert_phase("node-2", Phase::Queued, Reason::LastCandidate);
}
