//! For which pods a node is not cordoned, and in which order its pods leave.

use std::time::Duration;

use crate::budget::Budget;
use crate::effect::EvictOutcome;
use crate::entry::Phase;
use crate::fixture::{Toy, budget, pod};
use crate::ids::{ClaimKey, Version};
use crate::pod::{Pod, PodPhase, PodWish};
use crate::policy::{Leave, OnTimeout};
use crate::quantity::IntOrPercent;
use crate::reason::Reason;
use crate::workload::{WorkloadKey, WorkloadKind};

/// Two nodes of which only node-1 may start, with these pods on it.
fn one_node_of_two(pods: impl IntoIterator<Item = Pod>) -> Toy {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    for pod in pods {
        toy.cluster.apply_pod(pod);
    }
    toy
}

/// A running pod of Job `shop/NAME`.
fn job(name: &str) -> Pod {
    Pod {
        owner: Some(WorkloadKey::new(WorkloadKind::Job, "shop", name)),
        ends: true,
        ..pod(name, "node-1")
    }
}

fn finish(toy: &mut Toy, pod: &Pod) {
    toy.cluster.apply_pod(Pod {
        phase: PodPhase::Finished,
        ready: false,
        ..pod.clone()
    });
}

#[test]
fn a_node_that_cannot_be_drained_is_not_cordoned() {
    type Block = fn(&mut Toy);
    let cart = || pod("cart", "node-1");
    let cases: [(Pod, Block, Reason); 5] = [
        (
            Pod {
                empty_dirs: vec!["cache".into()],
                ..cart()
            },
            |toy| toy.policy().drain.empty_dir = Leave::Block,
            Reason::EmptyDir,
        ),
        (
            Pod {
                owner: None,
                ..cart()
            },
            |_| {},
            Reason::BarePod,
        ),
        (
            Pod {
                requests: [("cpu".to_owned(), 8_001)].into(),
                ..cart()
            },
            |_| {},
            Reason::NoCapacity,
        ),
        (
            cart(),
            |toy| toy.node("node-1").foreign_owner = Some("karpenter.sh/disrupted".into()),
            Reason::ForeignOwner,
        ),
        (
            Pod {
                ready: false,
                ..cart()
            },
            |toy| {
                toy.cluster.apply_budget(budget("all", 0, 1, 2));
            },
            Reason::UnhealthyPods,
        ),
    ];
    for (pod, block, reason) in cases {
        let mut toy = one_node_of_two([pod]);
        block(&mut toy);
        toy.run(60);
        assert_eq!(toy.phases, Vec::<String>::new(), "{reason}");
        assert_eq!(toy.phase("node-1"), Some((Phase::Queued, Some(reason))));
    }
}

#[test]
fn a_pod_with_the_label_skip_stays_and_one_with_wait_completed_is_waited_for() {
    let by = "cluster.x-k8s.io/drain".to_owned();
    let skipped = Pod {
        wish: Some(PodWish::Skip { by: by.clone() }),
        ..pod("skipped", "node-1")
    };
    let completes = Pod {
        wish: Some(PodWish::WaitCompleted { by }),
        ..pod("completes", "node-1")
    };
    let mut toy = one_node_of_two([skipped, completes.clone()]);
    toy.run(60);
    let waits = Some((Phase::Queued, Some(Reason::JobRunning)));
    assert_eq!(toy.phase("node-1"), waits, "before the cordon");
    finish(&mut toy, &completes);
    toy.run(60);
    assert_eq!(toy.powered, ["node-1"]);
    assert_eq!(toy.evicted, Vec::<String>::new());
}

#[test]
fn later_jobs_do_not_prolong_the_wait_before_the_cordon_and_the_deadline_bounds_both() {
    let first = job("first");
    let mut toy = one_node_of_two([first.clone()]);
    toy.policy().drain.jobs_deadline = Duration::from_secs(300);
    toy.run(100);
    // It was made early and waited for a node.
    toy.cluster.apply_pod(Pod {
        bound: toy.now().wall,
        ..job("later")
    });
    finish(&mut toy, &first);
    toy.run(100);
    let waits = Some((Phase::Draining, Some(Reason::JobRunning)));
    assert_eq!(toy.phase("node-1"), waits, "under the cordon");
    assert_eq!(toy.evicted, Vec::<String>::new());
    toy.run(110);
    assert_eq!(
        toy.evicted,
        ["shop/later"],
        "300 s after the first Job's pod was waited for"
    );
}

#[test]
fn work_is_waited_for_whoever_owns_it_and_from_the_moment_it_is_bound() {
    let work = |pod: Pod| Pod { ends: true, ..pod };
    let cases = [
        work(pod("of-a-replicaset", "node-1")),
        work(Pod {
            owner: Some(WorkloadKey::new(
                WorkloadKind::Other("workflow".into()),
                "shop",
                "w",
            )),
            ..pod("of-a-workflow", "node-1")
        }),
        work(Pod {
            owner: None,
            ..pod("of-nobody", "node-1")
        }),
        work(Pod {
            phase: PodPhase::Pending,
            ready: false,
            ..pod("starting", "node-1")
        }),
        work(Pod {
            wish: Some(PodWish::DoNotDisrupt { by: "x".into() }),
            ..pod("wishing", "node-1")
        }),
    ];
    for case in cases {
        let mut toy = one_node_of_two([case.clone()]);
        toy.run(60);
        toy.assert_phase("node-1", Phase::Queued, Reason::JobRunning);
        finish(&mut toy, &case);
        toy.run(60);
        assert_eq!(toy.powered, ["node-1"], "{:?}", case.key);
        assert_eq!(toy.evicted, Vec::<String>::new(), "{:?}", case.key);
    }
}

#[test]
fn what_is_never_evicted_is_waited_for_until_the_deadline_then_the_drain_timeout_decides() {
    let spared = |name: &str| Pod {
        wish: Some(PodWish::DoNotDisrupt { by: "x".into() }),
        ..pod(name, "node-1")
    };
    let bare_work = Pod {
        owner: None,
        ends: true,
        ..pod("bare", "node-1")
    };
    let cases = [
        (spared("spared"), Reason::DoNotDisrupt, Reason::DoNotDisrupt),
        (bare_work, Reason::JobRunning, Reason::BarePod),
    ];
    for (pod, before, after) in cases {
        let mut toy = one_node_of_two([pod.clone()]);
        toy.policy().drain.jobs_deadline = Duration::from_secs(100);
        toy.policy().drain.timeout = Duration::from_secs(30);
        toy.run(95);
        toy.assert_phase("node-1", Phase::Queued, before);
        assert_eq!(toy.phases, Vec::<String>::new());
        toy.run(20);
        toy.assert_phase("node-1", Phase::Draining, after);
        toy.run(30);
        toy.assert_phase("node-1", Phase::Queued, Reason::BackOff);
        // The node is not drained in vain once more.
        toy.run(600);
        toy.assert_phase("node-1", Phase::Queued, after);
        assert_eq!(toy.phases.len(), 2, "{:?}", toy.phases);
        assert_eq!(toy.evicted, Vec::<String>::new());
        finish(&mut toy, &pod);
        toy.run(60);
        assert_eq!(toy.powered, ["node-1"]);
    }
    // A person may ask for one more round.
    let mut toy = one_node_of_two([spared("spared")]);
    toy.policy().drain.jobs_deadline = Duration::ZERO;
    toy.policy().drain.timeout = Duration::from_secs(30);
    toy.run(700);
    toy.assert_phase("node-1", Phase::Queued, Reason::DoNotDisrupt);
    toy.policy().drain.on_timeout = OnTimeout::Hold;
    let entry = toy
        .cluster
        .entries
        .values_mut()
        .find(|entry| entry.spec.node.as_str() == "node-1");
    entry.unwrap().spec.retries += 1;
    toy.run(60);
    toy.assert_phase("node-1", Phase::Failed, Reason::DrainTimeout);
}

#[test]
fn later_pods_that_must_not_be_disturbed_do_not_prolong_the_wait() {
    let runner = |name: &str| Pod {
        wish: Some(PodWish::DoNotDisrupt { by: "x".into() }),
        ends: true,
        ..pod(name, "node-1")
    };
    let mut toy = one_node_of_two([runner("first")]);
    toy.run(10);
    let later = Pod {
        bound: toy.now().wall,
        ..runner("later")
    };
    toy.cluster.apply_pod(later.clone());
    finish(&mut toy, &runner("first"));
    toy.run(10);
    toy.assert_phase("node-1", Phase::Draining, Reason::JobRunning);
    finish(&mut toy, &later);
    toy.run(60);
    assert_eq!(toy.powered, ["node-1"]);
}

#[test]
fn a_pod_that_a_pod_of_the_node_controls_leaves_with_it() {
    let controlled = |on: &str| Pod {
        owner: Some(WorkloadKey::new(WorkloadKind::Pod, "shop", "launcher")),
        ..pod("disk", on)
    };
    let mut toy = one_node_of_two([pod("launcher", "node-1"), controlled("node-1")]);
    // The launcher is asked to leave and takes its time.
    toy.eviction_answer = Some(EvictOutcome::Accepted);
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/launcher"]);
    // The garbage collector removes both.
    toy.cluster.remove_pod(&pod("launcher", "node-1").key);
    toy.cluster.remove_pod(&pod("disk", "node-1").key);
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/launcher"]);
    assert_eq!(toy.powered, ["node-1"]);

    // If its controller is elsewhere or has ended, it leaves by itself.
    let ended = Pod {
        phase: PodPhase::Finished,
        ready: false,
        ..pod("launcher", "node-1")
    };
    for launcher in [pod("launcher", "node-2"), ended] {
        let mut toy = one_node_of_two([launcher, controlled("node-1")]);
        toy.run(60);
        assert_eq!(toy.evicted, ["shop/disk"]);
    }
}

#[test]
fn movable_pods_leave_first_then_critical_ones_and_pinned_ones_last() {
    let mut pinned = pod("a", "node-1");
    pinned.node_selector = [("disk".to_owned(), "local".to_owned())].into();
    let critical = Pod {
        priority: 2_000_000_000,
        ..pod("b", "node-1")
    };
    let mut toy = one_node_of_two([pinned, critical, pod("c", "node-1"), pod("d", "node-1")]);
    let disk = ("disk".to_owned(), "local".to_owned());
    toy.node("node-1").labels.extend([disk]);
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/c", "shop/d", "shop/b", "shop/a"]);
}

#[test]
fn pods_with_volumes_leave_one_at_a_time() {
    let with_volume = |name: &str| Pod {
        claims: vec![ClaimKey::new("shop", name)],
        ..pod(name, "node-1")
    };
    let pods = [with_volume("a"), with_volume("b"), pod("c", "node-1")];
    let mut toy = one_node_of_two(pods);
    // The evictions are accepted, and the pods stay.
    toy.eviction_answer = Some(EvictOutcome::Accepted);
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/a", "shop/c"]);
    toy.cluster.remove_pod(&pod("a", "node-1").key);
    toy.run(10);
    assert_eq!(toy.evicted, ["shop/a", "shop/c", "shop/b"]);
}

#[test]
fn the_queue_names_each_control_plane_node_and_allows_quorum_loss_below_three() {
    for (nodes, members, quorum_loss, reason) in [
        (1, 1, false, Some(Reason::ControlPlaneUnknown)),
        (2, 2, false, Some(Reason::ControlPlaneUnknown)),
        (1, 1, true, None),
        (2, 2, true, None),
        (3, 2, true, Some(Reason::ControlPlaneUnknown)),
        (3, 3, false, None),
    ] {
        let names: Vec<_> = (1..=nodes).map(|ordinal| format!("cp-{ordinal}")).collect();
        let mut toy = Toy::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for name in &names {
            toy.node(name).control_plane = true;
        }
        toy.queue().control_plane.allow_quorum_loss = quorum_loss;
        toy.queue().control_plane.api_servers = vec!["https://cp".into(); members];
        toy.queue().control_plane.etcd = vec!["https://etcd".into(); members];
        toy.run(20);
        let waits = reason.map(|reason| (Phase::Queued, Some(reason)));
        let queued = toy.phase("cp-1").filter(|(phase, _)| *phase == Phase::Queued);
        assert_eq!(queued, waits, "{members} members of {nodes}");
    }
}

#[test]
fn api_servers_and_etcd_members_are_counted_against_the_nodes_that_run_them() {
    // Nodes that run API servers, nodes that carry etcd, what the queue names, and whether a node may start.
    for (masters, etcd_nodes, api_servers, etcd, may_start) in [
        (0, 3, 0, 3, true),
        (0, 3, 1, 2, false),
        (2, 3, 2, 3, true),
        (2, 3, 1, 3, false),
        (0, 2, 0, 2, false),
        // The nodes with API servers carry no etcd.
        (2, 2, 2, 2, true),
        (1, 2, 1, 2, false),
        (3, 0, 3, 3, true),
        (3, 0, 3, 2, false),
    ] {
        let masters: Vec<_> = (1..=masters).map(|ordinal| format!("cp-{ordinal}")).collect();
        let members: Vec<_> = (1..=etcd_nodes)
            .map(|ordinal| format!("etcd-{ordinal}"))
            .collect();
        let names = members.iter().chain(&masters).map(String::as_str);
        let mut toy = Toy::new(&names.collect::<Vec<_>>());
        for name in &masters {
            toy.node(name).control_plane = true;
        }
        for name in &members {
            toy.node(name).etcd = true;
        }
        toy.queue().control_plane.api_servers = vec!["https://cp".into(); api_servers];
        toy.queue().control_plane.etcd = vec!["https://etcd".into(); etcd];
        toy.queue().max_unavailable = IntOrPercent::Count(9);
        toy.run(20);
        let started = toy
            .cluster
            .nodes
            .values()
            .filter(|node| node.unschedulable)
            .count();
        let case = format!("{masters:?} {members:?}, named {api_servers} and {etcd}");
        assert_eq!(started, usize::from(may_start), "{case}");
    }
}

#[test]
fn a_pod_that_fits_on_no_node_is_named_as_the_cause_of_an_exhausted_budget() {
    let mut toy = one_node_of_two([pod("web-0", "node-1")]);
    toy.cluster.apply_pod(Pod {
        node: None,
        ready: false,
        fits_nowhere: true,
        ..pod("web-1", "node-2")
    });
    toy.cluster.apply_budget(budget("all", 1, 1, 2));
    toy.run(60);
    let waits = Some((Phase::Queued, Some(Reason::ReplacementUnschedulable)));
    assert_eq!(toy.phase("node-1"), waits);
    let message = &toy.entry("node-1").unwrap().record.message;
    assert!(
        message.contains("pod shop/web-1 is to replace another one and fits on no node"),
        "{message}"
    );
}

#[test]
fn a_pod_that_is_not_ready_on_a_node_that_is_up_is_not_reported_as_down_with_its_node() {
    let mut toy = one_node_of_two([pod("web-0", "node-1")]);
    toy.cluster.apply_pod(Pod {
        ready: false,
        ..pod("web-1", "node-2")
    });
    toy.cluster.apply_budget(budget("all", 1, 1, 2));
    toy.run(60);
    toy.assert_phase("node-1", Phase::Queued, Reason::BudgetExhausted);
    let message = &toy.entry("node-1").unwrap().record.message;
    assert!(
        message.ends_with("; pod shop/web-1 is not Ready on node node-2"),
        "{message}"
    );
    toy.cluster.apply_budget(Budget {
        version: Version(2),
        ..budget("all", 0, 0, 2)
    });
    // Even if no healthy pod is needed, the API server asks for a token for a pod that is not Ready.
    let mut sick = pod("web-0", "node-1");
    (sick.ready, sick.version) = (false, Version(20));
    toy.cluster.apply_pod(sick);
    toy.run(60);
    toy.assert_phase("node-1", Phase::Queued, Reason::UnhealthyPods);
}

/// Two budgets select `cart`, and each needs all of its pods.
fn two_budgets(toy: &mut Toy) {
    toy.cluster.apply_budget(budget("all", 0, 1, 1));
    toy.cluster.apply_budget(budget("second", 0, 1, 1));
}

#[test]
fn the_api_server_asks_no_budget_for_a_pod_that_never_started() {
    let cart = Pod {
        phase: PodPhase::Pending,
        ready: false,
        ..pod("cart", "node-1")
    };
    let mut toy = one_node_of_two([cart.clone()]);
    two_budgets(&mut toy);
    toy.run(60);
    assert_eq!(toy.evicted, ["shop/cart"]);
    assert_eq!(toy.powered, ["node-1"]);
    // A container that crashes is another matter: its pod is Running.
    let mut toy = one_node_of_two([Pod {
        phase: PodPhase::Running,
        ..cart
    }]);
    two_budgets(&mut toy);
    toy.run(60);
    toy.assert_phase("node-1", Phase::Queued, Reason::TwoBudgets);
}

#[test]
fn ended_pods_that_a_budget_expects_do_not_make_it_possible() {
    let ended = Pod {
        phase: PodPhase::Finished,
        ready: false,
        ..pod("ended", "node-2")
    };
    for (expects_what_it_selects, reason) in
        [(true, Reason::BudgetImpossible), (false, Reason::BudgetExhausted)]
    {
        let mut toy = one_node_of_two([pod("cart", "node-1"), ended.clone()]);
        toy.cluster.apply_budget(Budget {
            expects_what_it_selects,
            ..budget("all", 1, 1, 2)
        });
        toy.run(60);
        toy.assert_phase("node-1", Phase::Queued, reason);
    }
    let message = |toy: &Toy| toy.entry("node-1").unwrap().record.message.clone();
    let mut toy = one_node_of_two([pod("cart", "node-1"), ended]);
    toy.cluster.apply_budget(Budget {
        expects_what_it_selects: true,
        ..budget("all", 1, 1, 2)
    });
    toy.run(60);
    assert_eq!(
        message(&toy),
        "pdb shop/all can never allow an eviction: 1 of 1 pods are needed; 1 more that it selects have ended"
    );
}
