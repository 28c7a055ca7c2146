use super::*;
use crate::fixture::{Toy, budget, pod};
use crate::pod::Pod;
use crate::quantity::IntOrPercent;

fn nodes(count: usize, boot: f64) -> Vec<NodeTime> {
    (0..count)
        .map(|n| NodeTime {
            name: format!("n{n}"),
            drain: 5.0,
            boot,
            ..NodeTime::default()
        })
        .collect()
}

#[test]
fn three_nodes_one_at_a_time_take_three_turns() {
    let input = BoundInput {
        nodes: nodes(3, 60.0),
        places: 1,
        ..BoundInput::default()
    };
    assert_eq!(
        lower_bound(&input),
        Some(Bound {
            seconds: 195,
            by: "limit maxUnavailable".into()
        })
    );
}

fn four_pinned_pods() -> PinnedBudget {
    PinnedBudget {
        name: "db/store".into(),
        allowed: 1,
        holds: vec![(100.0, 10.0); 4],
    }
}

#[test]
fn pinned_pods_of_one_budget_give_the_bound_if_there_are_enough_places() {
    let input = BoundInput {
        nodes: nodes(4, 60.0),
        places: 4,
        pinned: vec![four_pinned_pods()],
        ..BoundInput::default()
    };
    assert_eq!(
        lower_bound(&input),
        Some(Bound {
            seconds: 390,
            by: "pdb db/store".into()
        })
    );
}

fn bound(input: BoundInput) -> (u64, String) {
    let bound = lower_bound(&input).unwrap();
    (bound.seconds, bound.by)
}

fn expected(seconds: u64, by: &str) -> (u64, String) {
    (seconds, by.to_owned())
}

#[test]
fn the_first_proof_comes_before_the_second_power_action() {
    let input = |places| BoundInput {
        nodes: nodes(3, 60.0),
        places,
        first_proof: true,
        ..BoundInput::default()
    };
    // The first node takes 65 s. The others need at least their boot, because they may have drained meanwhile.
    assert_eq!(bound(input(3)), expected(125, "path"));
    assert_eq!(bound(input(1)), expected(185, "limit maxUnavailable"));
}

#[test]
fn the_first_proof_is_the_shortest_turn_and_a_single_node_needs_none() {
    let mut input = BoundInput {
        nodes: [nodes(1, 90.0), nodes(1, 30.0)].concat(),
        places: 2,
        first_proof: true,
        ..BoundInput::default()
    };
    assert_eq!(bound(input.clone()), expected(125, "path"));
    input.nodes.truncate(1);
    assert_eq!(bound(input), expected(95, "path"));
}

#[test]
fn a_budget_may_be_used_before_the_first_proof() {
    let input = BoundInput {
        nodes: nodes(4, 60.0),
        places: 4,
        first_proof: true,
        pinned: vec![four_pinned_pods()],
        ..BoundInput::default()
    };
    assert_eq!(bound(input), expected(390, "pdb db/store"));
}

#[test]
fn each_group_takes_the_time_of_its_slowest_node() {
    let mut nodes = nodes(5, 60.0);
    nodes[0].boot = 100.0;
    for (node, group) in nodes.iter_mut().zip(["a", "a", "b", "b"]) {
        node.group = Some(group.into());
    }
    let input = |at_once| BoundInput {
        nodes: nodes.clone(),
        places: 5,
        groups_at_once: at_once,
        ..BoundInput::default()
    };
    // 105 s for a, 65 s for b, and 65 s for the node without a group, which is a group of its own.
    assert_eq!(bound(input(Some(1))), expected(235, "groups"));
    assert_eq!(bound(input(Some(2))), expected(117, "groups"));
    assert_eq!(bound(input(None)), expected(105, "path"));
}

#[test]
fn control_plane_nodes_go_one_by_one_and_never_beside_workers() {
    let mut three = nodes(3, 60.0);
    let make_control_plane =
        |nodes: &mut [NodeTime]| nodes.iter_mut().for_each(|node| node.control_plane = true);
    make_control_plane(&mut three[..1]);
    let input = BoundInput {
        nodes: three.clone(),
        places: 3,
        ..BoundInput::default()
    };
    assert_eq!(bound(input.clone()), expected(130, "path"));
    make_control_plane(&mut three);
    let input = BoundInput {
        nodes: three,
        ..input
    };
    assert_eq!(bound(input).0, 195);
}

#[test]
fn moves_share_tokens_and_the_last_may_end_after_the_run() {
    let input = |allowed| BoundInput {
        nodes: nodes(2, 60.0),
        places: 2,
        movable: vec![MovableBudget {
            name: "shop/cart".into(),
            allowed,
            hold: 20.0,
            moves: 10,
        }],
        ..BoundInput::default()
    };
    assert_eq!(bound(input(1)), expected(180, "pdb shop/cart"));
    assert_eq!(bound(input(2)), expected(80, "pdb shop/cart"));
    assert_eq!(bound(input(4)), expected(65, "path"));
}

#[test]
fn the_live_bound_names_the_budget_of_pinned_pods() {
    let mut toy = Toy::new(&["node-1", "node-2", "node-3"]);
    let queue = toy.queue();
    (queue.max_unavailable, queue.paused) = (IntOrPercent::Count(3), true);
    for node in ["node-1", "node-2", "node-3"] {
        let labels = BTreeMap::from([("kubernetes.io/hostname".to_owned(), node.to_owned())]);
        toy.node(node).labels.extend(labels.clone());
        toy.cluster.apply_pod(Pod {
            node_selector: labels,
            ..pod(&format!("store-{node}"), node)
        });
    }
    toy.cluster.apply_budget(budget("store", 3, 2, 3));
    toy.settle();
    let plan = PlanBuilder::new(&toy.cluster, &toy.memory, toy.now());
    let bound = of_rest(&plan, plan.derived.queue.unwrap()).unwrap();
    assert_eq!(bound.by, "pdb shop/store");
    // Three boots, one after the other, each a fifth of bootTimeout.
    assert_eq!(bound.seconds, 36);
}

#[test]
fn without_nodes_there_is_no_bound() {
    assert_eq!(lower_bound(&BoundInput::default()), None);
}
