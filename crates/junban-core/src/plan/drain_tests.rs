//! Which pods leave a node, under which budgets and in which order, and for what a node is not even cordoned.

use crate::cluster::{Workload, WorkloadKey, WorkloadKind};
use crate::entry::Phase;
use crate::fixture::{Toy, pod};
use crate::ids::Version;
use crate::reason::Reason;

/// Makes a workload known, with its replicas and its own controller.
fn workload(toy: &mut Toy, key: &WorkloadKey, replicas: u32, owner: Option<WorkloadKey>) {
    let workload = Workload {
        key: key.clone(),
        version: Version(1),
        replicas: Some(replicas),
        owner,
    };
    toy.cluster.workloads.insert(key.clone(), workload);
}

/// `statefulset shop/db` with as many replicas, one on each of these nodes.
fn stateful_set(toy: &mut Toy, on: &[&str]) {
    let key = WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "db");
    workload(toy, &key, u32::try_from(on.len()).unwrap(), None);
    for (ordinal, node) in on.iter().enumerate() {
        let mut pod = pod(&format!("db-{ordinal}"), node);
        pod.owner = Some(key.clone());
        toy.cluster.apply_pod(pod);
    }
}

#[test]
fn a_budget_is_implied_for_a_statefulset_of_a_custom_resource() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    stateful_set(&mut toy, &["node-1", "node-1"]);
    let key = WorkloadKey::new(WorkloadKind::StatefulSet, "shop", "db");
    let custom = WorkloadKey::new(WorkloadKind::Other("Alertmanager".into()), "shop", "main");
    workload(&mut toy, &key, 2, Some(custom));
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/db-0"], "the last Ready pod stays");
    assert_eq!(
        toy.phase("node-1"),
        Some((Phase::Draining, Some(Reason::ImpliedBudget)))
    );
}
