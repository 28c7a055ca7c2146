//! Simple loops reboot whole clusters. The checkers report nothing about a careful loop, and report a careless one.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use std::collections::{BTreeMap, BTreeSet};

use junban_world::{
    Checkers, Demo, EvictOptions, IntOrPercent, Metrics, NodeOp, OwnerKind, Params, Phase, Pod, PowerRequest,
    PowerTag, Ready, Span, World,
};

/// Drains and reboots nodes, `at_once` at a time.
struct RebootLoop {
    world: World,
    checkers: Checkers,
    metrics: Metrics,
    at_once: usize,
    /// Whether it evicts pods without a budget although other pods of their owner are not healthy.
    careless: bool,
}

impl RebootLoop {
    fn new(world: World, at_once: usize, careless: bool) -> Self {
        let params = Params {
            max_unavailable: IntOrPercent::Int(at_once as i64),
            ..Params::default()
        };
        let metrics = Metrics::new(["junban".to_owned()]);
        Self {
            world,
            checkers: Checkers::new(params),
            metrics,
            at_once,
            careless,
        }
    }

    fn tick(&mut self, ms: u64) {
        self.world.advance_to(self.world.now() + ms);
        for event in self.world.take_truth() {
            self.checkers.observe(&event);
            self.metrics.observe(&event);
        }
    }

    fn run(&mut self) {
        let names: Vec<String> = self
            .world
            .store()
            .nodes()
            .map(|n| n.meta.name.to_string())
            .collect();
        let mut left: Vec<String> = names
            .into_iter()
            .filter(|n| !self.world.store().node(n).unwrap().is_control_plane())
            .rev()
            .collect();
        let mut active: BTreeMap<String, Option<String>> = BTreeMap::new();
        self.tick(0);
        while !(left.is_empty() && active.is_empty()) {
            while active.len() < self.at_once
                && let Some(node) = left.pop()
            {
                self.world
                    .client("junban")
                    .patch_node(&node, &[NodeOp::SetUnschedulable(true)])
                    .unwrap();
                active.insert(node, None);
            }
            for (node, boot) in &mut active {
                match boot {
                    None if self.drain(node) => *boot = Some(self.power(node)),
                    None => {}
                    Some(before) => self.release(node, before),
                }
            }
            active.retain(|node, _| self.world.store().node(node).unwrap().unschedulable);
            self.tick(1000);
            assert!(
                self.world.now() < 100 * 3_600_000,
                "these nodes are never done: {active:?}"
            );
        }
        self.tick(60_000);
    }

    /// Evicts the pods that may leave; returns whether none is left.
    fn drain(&mut self, node: &str) -> bool {
        let (_, pods) = self.world.client("junban").pods_on(node).unwrap();
        let mut left = 0;
        for pod in pods {
            let stays = pod.mirror() || pod.owned_by(OwnerKind::DaemonSet) || pod.ended();
            if stays {
                continue;
            }
            left += 1;
            if pod.terminating() || !(self.careless || self.may_go(&pod)) {
                continue;
            }
            let options = EvictOptions {
                uid: Some(pod.meta.uid.to_string()),
                ..EvictOptions::default()
            };
            let _ = self
                .world
                .client("junban")
                .evict(&pod.meta.namespace, &pod.meta.name, &options);
        }
        left == 0
    }

    /// Whether a budget selects the pod, or all pods of its owner are healthy.
    fn may_go(&self, pod: &Pod) -> bool {
        let store = self.world.store();
        let Some(owner) = store.topmost(pod).filter(|_| store.budgets_of(pod).is_empty()) else {
            return true;
        };
        let direct = &pod.meta.owner.as_ref().unwrap().uid;
        let healthy = store
            .pods_of(direct)
            .filter(|p| p.status.ready && !p.terminating())
            .count();
        healthy as i64 == owner.replicas
    }

    fn power(&mut self, node: &str) -> String {
        let tag = PowerTag {
            entry: format!("e-{node}"),
            attempt: 1,
        };
        self.world.power(&PowerRequest {
            node: node.into(),
            tag,
            ..PowerRequest::default()
        });
        self.world.store().node(node).unwrap().status.boot_id.clone()
    }

    fn release(&mut self, name: &str, before: &str) {
        let node = self.world.store().node(name).unwrap().clone();
        let daemons = self
            .world
            .store()
            .pods_on(name)
            .filter(|p| p.owned_by(OwnerKind::DaemonSet))
            .all(|p| p.status.ready);
        let lease = self.world.store().lease(name).unwrap().renewed;
        let up = self.world.machine(name).unwrap().down_at < lease;
        // Wait 5 s: the API may still show statuses from before the boot.
        let settled =
            self.world.now() > lease + 5000 || lease > self.world.machine(name).unwrap().down_at + 300_000;
        let back =
            node.status.boot_id != before && node.status.ready == Ready::True && daemons && up && settled;
        if back {
            self.world
                .client("junban")
                .patch_node(name, &[NodeOp::SetUnschedulable(false)])
                .unwrap();
        }
    }
}

fn demo(nodes: usize, seed: u64) -> Demo {
    Demo {
        boot: Span::secs(240, 600),
        ..Demo::new(nodes, seed)
    }
}

#[test]
fn a_demo_cluster_has_the_requested_fill_and_no_node_is_over_committed() {
    for (nodes, seed) in [(3, 1), (5, 2), (30, 3), (100, 4)] {
        let w = demo(nodes, seed).builder().build();
        assert_eq!(w.scheduler().pending(), 0, "{nodes} nodes");
        let (mut used, mut room) = (0, 0);
        for node in w.store().nodes().filter(|n| !n.is_control_plane()) {
            let (u, r) = (
                w.scheduler().used(&node.meta.name, "cpu"),
                node.status.allocatable["cpu"],
            );
            assert!(u <= r, "{} is over-committed", node.meta.name);
            used += u;
            room += r;
        }
        let full = used * 100 / room;
        assert!(
            full <= 65 && (nodes < 5 || full >= 62),
            "{nodes} nodes are {full} % full"
        );
        assert!(w.store().pods().all(|p| p.status.ready));
        assert!(w.store().budgets().all(|b| b.status.disruptions_allowed >= 1));
        let pinned: BTreeSet<_> = w.store().volumes().filter_map(|v| v.node.clone()).collect();
        assert!(pinned.iter().all(|n| !n.starts_with("control")));
        let workloads = w
            .store()
            .pods()
            .filter(|p| p.meta.namespace.starts_with("team"))
            .count();
        assert_eq!(workloads, nodes * 10);
    }
}

#[test]
fn a_careful_loop_reboots_every_node_and_breaks_no_rule() {
    let mut run = RebootLoop::new(demo(12, 7).builder().build(), 1, false);
    let boots: BTreeMap<String, String> = run
        .world
        .store()
        .nodes()
        .map(|n| (n.meta.name.to_string(), n.status.boot_id.clone()))
        .collect();
    run.run();
    assert_eq!(run.checkers.violations(), []);
    for node in run.world.store().nodes() {
        let changed = node.status.boot_id != boots[&*node.meta.name];
        assert_eq!(changed, !node.is_control_plane(), "{}", node.meta.name);
        assert!(!node.unschedulable && node.is_ready());
    }
    assert!(
        run.world
            .store()
            .pods()
            .all(|p| p.status.ready && p.status.phase == Phase::Running)
    );
    assert_eq!(run.metrics.power_actions, 12);
    assert_eq!(run.metrics.most_cordoned, 1);
    assert!(run.metrics.evictions >= run.metrics.had_to_leave && run.metrics.had_to_leave > 100);
    assert!(run.metrics.makespan_ms().unwrap() > 12 * 240_000);
}

#[test]
fn budgets_hold_even_if_several_nodes_go_at_a_time() {
    let mut run = RebootLoop::new(demo(24, 8).builder().build(), 4, false);
    run.run();
    assert_eq!(run.checkers.violations(), []);
    assert!(
        run.metrics.denied > 0,
        "the loop does not count what budgets allow, so some evictions are denied"
    );
}

#[test]
fn the_checkers_report_a_careless_loop() {
    let mut run = RebootLoop::new(demo(12, 9).builder().build(), 3, true);
    run.run();
    let rules: BTreeSet<&str> = run
        .checkers
        .violations()
        .iter()
        .map(|v| v.rule.as_str())
        .collect();
    assert!(rules.contains("S7"), "{rules:?}");
}
