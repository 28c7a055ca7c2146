use std::collections::BTreeMap;

use super::*;
use crate::cluster::QueueView;
use crate::fixture::{node, pod, policy, queue};
use crate::pod::{Neighbours, PodGroup, PodTerm, Spread};
use crate::selector::Selector;
use crate::taint::{Taint, Toleration};

const HOST: &str = "kubernetes.io/hostname";

/// Nodes of 8 CPU, each labelled with its hostname, under one policy.
fn cluster(nodes: &[&str]) -> Cluster {
    let mut cluster = Cluster {
        queue: QueueView::Present(Box::new(queue())),
        ..Cluster::default()
    };
    cluster.apply_policy(policy());
    for name in nodes {
        let mut one = node(name);
        one.labels.insert(HOST.into(), (*name).to_owned());
        cluster.apply_node(one);
    }
    cluster
}

fn asks(name: &str, on: &str, cpu: i64) -> Pod {
    Pod {
        requests: BTreeMap::from([("cpu".to_owned(), cpu)]),
        ..pod(name, on)
    }
}

fn waits(name: &str, cpu: i64) -> Pod {
    Pod {
        node: None,
        phase: PodPhase::Pending,
        ready: false,
        ..asks(name, "", cpu)
    }
}

fn homeless(cluster: &Cluster, node: &str) -> Option<Barrier> {
    let memory = Memory::default();
    let placement = Placement::new(cluster, &memory);
    let moves = placement.moves(&cluster.nodes[&NodeName::from(node)]);
    moves.homeless.clone().map(|(_, barrier)| barrier)
}

fn group() -> PodGroup {
    PodGroup {
        namespaces: Some(["shop".to_owned()].into()),
        selector: Selector::of_labels([("app".to_owned(), "cart".to_owned())]),
    }
}

fn spread(skew: i64, honors_taints: bool) -> Neighbours {
    Neighbours {
        spread: vec![Spread {
            pods: group(),
            topology_key: HOST.into(),
            max_skew: skew,
            min_domains: 1,
            honors_affinity: true,
            honors_taints,
        }],
        ..Neighbours::default()
    }
}

fn apart() -> Neighbours {
    Neighbours {
        anti_affinity: vec![PodTerm {
            pods: group(),
            topology_key: HOST.into(),
        }],
        ..Neighbours::default()
    }
}

#[test]
fn room_in_pieces_is_no_room() {
    let mut cluster = cluster(&["node-1", "node-2", "node-3"]);
    cluster.apply_pod(asks("large", "node-1", 5_000));
    for on in ["node-2", "node-3"] {
        cluster.apply_pod(asks(&format!("fill-{on}"), on, 4_000));
    }
    let Some(Barrier::Room { request, most, .. }) = homeless(&cluster, "node-1") else {
        panic!("there are 8 CPU free, but not 5 on one node");
    };
    assert_eq!((request, most), (5_000, 4_000));
}

#[test]
fn starts_take_room_together() {
    let mut cluster = cluster(&["node-1", "node-2", "node-3", "node-4"]);
    for on in ["node-1", "node-2", "node-3", "node-4"] {
        cluster.apply_pod(asks(&format!("cart-{on}"), on, 5_000));
    }
    // Each node has 3 CPU free.
    cluster.apply_pod(asks("small", "node-1", 1));
    cluster.remove_pod(&PodKey::new("shop", "cart-node-1"));
    cluster.apply_pod(asks("cart-node-1", "node-1", 3_000));
    cluster.remove_pod(&PodKey::new("shop", "cart-node-2"));
    cluster.apply_pod(asks("cart-node-2", "node-2", 3_000));
    let memory = Memory::default();
    let placement = Placement::new(&cluster, &memory);
    let of = |name: &str| &cluster.nodes[&NodeName::from(name)];
    assert!(placement.moves(of("node-1")).homeless.is_none());
    assert!(placement.moves(of("node-2")).homeless.is_none());
    placement.take(of("node-1"));
    placement.take(of("node-2"));
    assert!(
        placement.moves(of("node-3")).homeless.is_some(),
        "the other nodes are taken"
    );
}

#[test]
fn pods_that_wait_for_reasons_of_their_own_take_no_room() {
    let mut cluster = cluster(&["node-1", "node-2"]);
    cluster.apply_pod(asks("cart", "node-1", 4_000));
    cluster.apply_pod(waits("huge", 40_000));
    cluster.apply_pod(Pod {
        is_gated: true,
        ..waits("gated", 8_000)
    });
    cluster.apply_pod(Pod {
        node_selector: BTreeMap::from([("disk".to_owned(), "none has it".to_owned())]),
        ..waits("elsewhere", 8_000)
    });
    cluster.apply_pod(Pod {
        priority: -1,
        ..waits("lower", 8_000)
    });
    assert_eq!(homeless(&cluster, "node-1"), None);
    cluster.apply_pod(waits("equal", 5_000));
    assert!(homeless(&cluster, "node-1").is_some());
}

#[test]
fn a_resource_that_no_node_lists_cannot_be_judged() {
    let mut cluster = cluster(&["node-1", "node-2"]);
    let mut extended = asks("cart", "node-1", 100);
    extended.requests.insert("example.com/unknown".into(), 3);
    cluster.apply_pod(extended);
    assert_eq!(homeless(&cluster, "node-1"), None);
    let node_1 = cluster.nodes.get_mut(&NodeName::from("node-1")).unwrap();
    node_1.allocatable.insert("example.com/unknown".into(), 3);
    assert!(homeless(&cluster, "node-1").is_some());
}

#[test]
fn a_taint_keeps_pods_out_that_do_not_tolerate_it() {
    let mut cluster = cluster(&["node-1", "node-2"]);
    let taint = Taint {
        key: "pool".into(),
        value: "gpu".into(),
        effect: "NoSchedule".into(),
    };
    cluster.apply_pod(asks("cart", "node-1", 100));
    cluster
        .nodes
        .get_mut(&NodeName::from("node-2"))
        .unwrap()
        .taints
        .push(taint);
    let Some(Barrier::Taint { nodes: 1, taint }) = homeless(&cluster, "node-1") else {
        panic!("node-2 is tainted");
    };
    assert_eq!(taint, "pool=gpu:NoSchedule");
    cluster.apply_pod(Pod {
        version: crate::ids::Version(2),
        tolerations: vec![Toleration {
            key: "pool".into(),
            value: Some("gpu".into()),
            effect: String::new(),
        }],
        ..asks("cart", "node-1", 100)
    });
    assert_eq!(homeless(&cluster, "node-1"), None);
}

#[test]
fn the_policy_may_only_report_a_lack() {
    let mut cluster = cluster(&["node-1", "node-2"]);
    cluster.apply_pod(asks("large", "node-1", 9_000));
    cluster.apply_pod(asks("small", "node-1", 100));
    assert!(homeless(&cluster, "node-1").is_some());
    let policy = cluster.policies.values_mut().next().unwrap();
    policy.drain.capacity.report_only = vec!["cpu".into()];
    let memory = Memory::default();
    let placement = Placement::new(&cluster, &memory);
    let node = &cluster.nodes[&NodeName::from("node-1")];
    assert!(placement.moves(node).homeless.is_none());
    let stays = |name: &str| placement.stays(node, &cluster.pods[&PodKey::new("shop", name)]);
    assert!(stays("large") && !stays("small"));
}

/// Which of the pods on node-1 stay with it.
fn staying(cluster: &Cluster) -> Vec<String> {
    let memory = Memory::default();
    let placement = Placement::new(cluster, &memory);
    let node = &cluster.nodes[&NodeName::from("node-1")];
    let pods = cluster
        .pods_of(&node.name)
        .filter(|pod| placement.stays(node, pod));
    pods.map(|pod| pod.key.name.to_string()).collect()
}

#[test]
fn a_cordoned_node_is_an_empty_domain_unless_taints_are_honoured() {
    for (honors_taints, expected) in [(false, vec!["cart-1", "cart-4"]), (true, vec![])] {
        let mut cluster = cluster(&["node-1", "node-2", "node-3"]);
        for number in 1..=6 {
            let on = format!("node-{}", (number - 1) % 3 + 1);
            cluster.apply_pod(Pod {
                neighbours: spread(1, honors_taints),
                ..pod(&format!("cart-{number}"), &on)
            });
        }
        assert_eq!(staying(&cluster), expected, "honors taints: {honors_taints}");
        assert_eq!(homeless(&cluster, "node-1"), None, "room is not what is missing");
    }
}

#[test]
fn pods_that_keep_apart_stay_with_their_node_if_each_other_node_has_one() {
    let mut cluster = cluster(&["node-1", "node-2", "node-3"]);
    for number in 1..=3 {
        cluster.apply_pod(Pod {
            neighbours: apart(),
            ..pod(&format!("cart-{number}"), &format!("node-{number}"))
        });
    }
    assert_eq!(staying(&cluster), ["cart-1"]);
    let mut fourth = node("node-4");
    fourth.labels.insert(HOST.into(), "node-4".into());
    cluster.apply_node(fourth);
    assert_eq!(staying(&cluster), Vec::<String>::new());
    // A fourth node that is away may take the pod later. Until then the start waits.
    cluster
        .nodes
        .get_mut(&NodeName::from("node-4"))
        .unwrap()
        .unschedulable = true;
    assert_eq!(staying(&cluster), Vec::<String>::new());
    assert_eq!(
        homeless(&cluster, "node-1"),
        Some(Barrier::AntiAffinity(HOST.into()))
    );
}

#[test]
fn a_pod_that_keeps_others_away_is_heard_too() {
    let mut cluster = cluster(&["node-1", "node-2"]);
    cluster.apply_pod(pod("cart", "node-1"));
    cluster.apply_pod(Pod {
        neighbours: apart(),
        labels: BTreeMap::from([("app".to_owned(), "hermit".to_owned())]),
        ..pod("hermit", "node-2")
    });
    assert_eq!(
        homeless(&cluster, "node-1"),
        Some(Barrier::AntiAffinity(HOST.into()))
    );
}

#[test]
fn a_pod_may_be_the_first_of_its_affinity() {
    let near = Neighbours {
        affinity: apart().anti_affinity,
        ..Neighbours::default()
    };
    let mut cluster = cluster(&["node-1", "node-2"]);
    cluster.apply_pod(Pod {
        neighbours: near.clone(),
        ..pod("cart", "node-1")
    });
    assert_eq!(staying(&cluster), Vec::<String>::new());
    cluster.apply_pod(Pod {
        version: crate::ids::Version(2),
        labels: BTreeMap::new(),
        neighbours: near,
        ..pod("cart", "node-1")
    });
    assert_eq!(staying(&cluster), ["cart"]);
}
