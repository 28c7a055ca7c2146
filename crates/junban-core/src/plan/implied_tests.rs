//! Budgets that are implied for owners that have none, and budgets that stop selecting a pod in mid-turn.

use std::time::Duration;

use super::drain_tests::{stateful_set, workload};
use crate::budget::Budget;
use crate::entry::Phase;
use crate::fixture::{Toy, budget, pod};
use crate::ids::{PodKey, Version};
use crate::pod::Pod;
use crate::reason::Reason;
use crate::selector::Selector;
use crate::time::Mono;
use crate::workload::{WorkloadKey, WorkloadKind};

#[test]
fn a_budget_is_implied_for_a_statefulset_of_a_custom_resource() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    stateful_set(&mut toy, &["node-1", "node-1"]);
    let key = WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "db");
    let custom = WorkloadKey::new(WorkloadKind::Other("Alertmanager".into()), "shop", "main");
    workload(&mut toy, &key, 2, Some(custom));
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/db-0"], "the last Ready pod stays");
    toy.assert_phase("node-1", Phase::Draining, Reason::ImpliedBudget);
}

#[test]
fn a_budget_is_implied_for_owners_of_kinds_that_nobody_knows() {
    let of_custom = |name: &str, on: &str| Pod {
        owner: Some(WorkloadKey::new(
            WorkloadKind::Other("cloneset".into()),
            "shop",
            "set",
        )),
        ..pod(name, on)
    };
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.node("node-2").held = true;
    toy.node("node-3").held = true;
    for (name, on) in [("a", "node-1"), ("b", "node-1"), ("c", "node-2")] {
        toy.cluster.apply_pod(of_custom(name, on));
    }
    toy.run(60);
    assert_eq!(
        toy.evicted,
        ["shop/a"],
        "nobody has replaced it, and its object is gone"
    );
    toy.assert_phase("node-1", Phase::Draining, Reason::ImpliedBudget);
    let new = Pod {
        ready: false,
        ..of_custom("d", "node-3")
    };
    toy.cluster.apply_pod(new.clone());
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/a"], "its successor is not Ready");
    toy.cluster.apply_pod(Pod {
        version: Version(9),
        ..of_custom("d", "node-3")
    });
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/a", "shop/b"]);

    // A single pod, and pods whose work ends, have no budget.
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    toy.policy().drain.jobs_deadline = Duration::ZERO;
    toy.cluster.apply_pod(of_custom("single", "node-1"));
    for name in ["x", "y"] {
        let owner = WorkloadKey::new(WorkloadKind::Other("workflow".into()), "shop", "runs");
        toy.cluster.apply_pod(Pod {
            owner: Some(owner),
            ends: true,
            ..pod(name, "node-1")
        });
    }
    toy.run(60);
    assert_eq!(toy.evicted.len(), 3, "{:?}", toy.evicted);
}

#[test]
fn an_implied_budget_counts_pods_that_have_been_ready_for_min_ready_seconds() {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    stateful_set(&mut toy, &["node-1", "node-2", "node-2"]);
    let key = WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "db");
    toy.cluster.workloads.get_mut(&key).unwrap().min_ready = Duration::from_secs(120);
    let warm = toy.cluster.pods[&PodKey::new("shop", "db-2")].as_ref().clone();
    toy.cluster.apply_pod(Pod {
        ready_since: Some(toy.now().wall),
        ..warm
    });
    toy.run(115);
    toy.assert_phase("node-1", Phase::Queued, Reason::ImpliedBudget);
    assert_eq!(toy.settle(), Some(Mono::from_millis(121_000)));
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/db-0"]);
}

#[test]
fn a_budget_protects_a_pod_that_loses_its_role_until_another_pod_has_it() {
    let with_role = |name: &str, on: &str, role: &str, version| Pod {
        labels: [("role".to_owned(), role.to_owned())].into(),
        version: Version(version),
        ..pod(name, on)
    };
    let of_primary = |version, healthy| Budget {
        selector: Some(Selector::of_labels([("role".to_owned(), "primary".to_owned())])),
        version: Version(version),
        ..budget("primary", healthy, 1, healthy)
    };
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    toy.node("node-2").held = true;
    toy.node("node-3").held = true;
    toy.policy().drain.load_balancer_wait = Duration::from_secs(30);
    toy.cluster.apply_pod(with_role("db-0", "node-1", "primary", 1));
    toy.cluster.apply_pod(with_role("db-1", "node-2", "primary", 1));
    toy.cluster.apply_budget(of_primary(1, 2));
    toy.run(20);
    // Both lose the role while the node is cordoned, and nobody has it.
    toy.cluster.apply_pod(with_role("db-0", "node-1", "replica", 2));
    toy.cluster.apply_pod(with_role("db-1", "node-2", "replica", 2));
    toy.run(60);
    toy.assert_phase("node-1", Phase::Draining, Reason::BudgetExhausted);
    let message = &toy.entry("node-1").unwrap().record.message;
    assert!(
        message.starts_with("pdb shop/primary protected pod shop/db-0"),
        "{message}"
    );
    toy.cluster.apply_budget(of_primary(2, 0));
    toy.run(10);
    assert_eq!(
        toy.evicted,
        Vec::<String>::new(),
        "the budget needs one healthy pod"
    );
    toy.cluster.apply_pod(with_role("db-2", "node-3", "primary", 1));
    toy.run(10);
    assert_eq!(
        toy.evicted,
        Vec::<String>::new(),
        "the status does not show it yet"
    );
    toy.cluster.apply_budget(of_primary(3, 1));
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/db-0"]);
}
