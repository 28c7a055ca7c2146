//! The demo: the production engine reboots a generated cluster of racks, services and budgets in virtual time. The command
//! draws what the demo shows, and decides how fast time passes.

mod bound;
mod frame;

use std::collections::{BTreeMap, BTreeSet};

use junban_world::{Checkers, Demo as Cluster, Fault, IntOrPercent, Metrics, Ms, Params, Truth, World};
use serde::Serialize;
use serde_json::{Value, json};

use crate::custom_resources;
use crate::objects::{POLICY, QUEUE, wall};
use crate::sim::{Delays, Sim};

pub use frame::{Frame, NodeView, Rack};

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// All nodes, the control-plane nodes included.
    pub nodes: usize,
    pub seed: u64,
    /// How many servers never come back.
    pub fail: usize,
}

impl Options {
    /// How many nodes are not control-plane nodes. Only these can be made to fail.
    pub fn workers(&self) -> usize {
        cluster(*self).nodes
    }
}

/// If nothing has happened for this long, nothing will.
const STUCK_MS: Ms = 3 * 3_600_000;
const BOOT_TIMEOUT: &str = "30m";
/// The engine plans once for all changes within this time, as a busy controller does.
const GRAIN_MS: Ms = 1_000;

/// A demo that runs.
pub struct Demo {
    options: Options,
    sim: Sim,
    metrics: Metrics,
    checkers: Checkers,
    /// When the goal was set.
    goal_at: Ms,
    /// When each node's reboot was proven.
    proven: BTreeMap<String, Ms>,
    phases: BTreeMap<String, String>,
    last_progress: Ms,
    bound: bound::ClusterBefore,
}

/// The figures at the end; `--output json` prints them as its last line.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub nodes: usize,
    pub succeeded: usize,
    /// How many are Failed or never started.
    pub failed: usize,
    pub seed: u64,
    /// From the moment at which the goal was set to the last proof.
    pub makespan_seconds: u64,
    /// The least time that any scheduler needs for the boots of this run.
    pub lower_bound_seconds: u64,
    pub bound_by: String,
    pub evictions: u64,
    /// Evictions for each pod that had to leave.
    pub evictions_per_pod: f64,
    pub pods: usize,
    /// How often the world's checkers saw a budget below its need or a service without endpoints.
    pub budget_violations: usize,
    /// How often they saw another rule broken.
    pub rule_violations: usize,
    /// Evictions that were denied because a budget had no token left. Nobody else evicts pods here, so each is Junban's own
    /// fault.
    #[serde(rename = "selfInflicted429")]
    pub self_inflicted_429: u64,
    pub most_nodes_down: u64,
    /// Name, phase, reason and message of each server that was not proven.
    pub failed_nodes: Vec<String>,
    /// The first five broken rules in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<String>,
}

impl Demo {
    /// Makes the cluster, sets the goal and starts the controller.
    pub fn new(options: Options) -> Self {
        let (mut world, control_planes) = build(options);
        let places = options.nodes.div_ceil(10);
        let fails = break_some(&mut world, options);
        create_objects(&mut world, control_planes, places, fails);
        let mut metrics = Metrics::new(["junban".to_owned()]);
        let mut checkers = Checkers::new(params(fails));
        for event in world.take_truth() {
            metrics.observe(&event);
            checkers.observe(&event);
        }
        let bound = bound::ClusterBefore::of(&world);
        let delays = Delays {
            grain: GRAIN_MS,
            ..Delays::default()
        };
        let goal_at = world.now();
        let mut sim = Sim::new(world, delays);
        sim.start(1, None);
        Self {
            options,
            sim,
            metrics,
            checkers,
            goal_at,
            proven: BTreeMap::new(),
            phases: BTreeMap::new(),
            last_progress: goal_at,
            bound,
        }
    }

    /// Lets this many milliseconds pass.
    pub fn advance(&mut self, by: Ms) {
        let until = self.sim.now() + by;
        while self.sim.now() < until {
            self.sim.advance(until);
            self.observe();
        }
    }

    /// Runs the demo to its end.
    pub fn run(&mut self) {
        while !self.is_over() {
            let limit = self.sim.now() + 60_000;
            self.sim.advance(limit);
            self.observe();
        }
    }

    /// Whether every node has ended, or nothing happens any more.
    pub fn is_over(&self) -> bool {
        let settled = |phase: &String| matches!(phase.as_str(), "Succeeded" | "Failed" | "Cancelled");
        let all = self.phases.len() >= self.options.nodes && self.phases.values().all(settled);
        all && self.is_quiet() || self.sim.now() >= self.last_progress + STUCK_MS
    }

    /// Whether only failed nodes hold a slot.
    fn is_quiet(&self) -> bool {
        let world = self.sim.world();
        let queue = world.store().custom(QUEUE, junban_api::names::QUEUE);
        let slots = queue.and_then(|queue| queue.status["ledger"]["slots"].as_object().cloned());
        let failed = |node: &String| self.phases.get(node).is_some_and(|phase| phase == "Failed");
        slots.into_iter().flatten().all(|(node, _)| failed(&node))
    }

    fn observe(&mut self) {
        let truth = self.sim.world().take_truth();
        for event in &truth {
            self.metrics.observe(event);
            self.checkers.observe(event);
            if let Truth::Entry(entry) = &event.what {
                self.last_progress = event.at;
                self.phases.insert(entry.node.clone(), entry.phase.clone());
                if entry.phase == "Succeeded" {
                    self.proven.insert(entry.node.clone(), event.at);
                }
            }
        }
    }

    /// Milliseconds of virtual time since the goal was set.
    pub fn elapsed(&self) -> Ms {
        self.sim.now() - self.goal_at
    }

    /// What the demo shows now.
    pub fn frame(&self) -> Frame {
        let elapsed = self.elapsed();
        frame::frame(&self.sim.world(), &self.phases, elapsed)
    }

    /// How many steps the engine took.
    pub fn steps(&self) -> u64 {
        self.sim.steps()
    }

    /// The figures so far.
    pub fn summary(&self) -> Summary {
        let world = self.sim.world();
        let bound = self.bound.bound(&world, &self.metrics, &self.proven);
        let succeeded = self.proven.len();
        let names = world.store().nodes().map(|node| node.meta.name.to_string());
        let entries = frame::newest_entries(&world);
        let why = |name: String| {
            let status = entries
                .get(&name)
                .map(|entry| entry.status.clone())
                .unwrap_or_default();
            let word = |field: &str| status[field].as_str().unwrap_or("none").to_owned();
            format!(
                "{name}: {} {}: {}",
                word("phase"),
                word("reason"),
                word("message")
            )
        };
        let budget_rules = ["S7", "services"];
        let violations = self.checkers.violations();
        let of_budgets = violations
            .iter()
            .filter(|one| budget_rules.contains(&one.rule.as_str()))
            .count();
        let in_words: BTreeSet<String> = violations
            .iter()
            .map(|one| format!("{}: {}", one.rule, one.text))
            .collect();
        Summary {
            nodes: self.options.nodes,
            succeeded,
            failed: self.options.nodes - succeeded,
            seed: self.options.seed,
            makespan_seconds: self
                .proven
                .values()
                .max()
                .map_or(0, |last| (last - self.goal_at).div_ceil(1_000)),
            lower_bound_seconds: bound.as_ref().map_or(0, |bound| bound.seconds),
            bound_by: bound.map(|bound| bound.by).unwrap_or_default(),
            evictions: self.metrics.evictions,
            evictions_per_pod: (self.metrics.evictions_per_pod() * 1_000.0).round() / 1_000.0,
            pods: self.bound.pods,
            budget_violations: of_budgets,
            rule_violations: violations.len() - of_budgets,
            self_inflicted_429: self.metrics.denied + self.metrics.behind,
            most_nodes_down: self.metrics.most_cordoned,
            failed_nodes: names
                .filter(|name| !self.proven.contains_key(name))
                .map(why)
                .collect(),
            violations: in_words.into_iter().take(5).collect(),
        }
    }
}

fn cluster(options: Options) -> Cluster {
    let mut cluster = Cluster::new(options.nodes, options.seed);
    cluster.nodes = options.nodes.saturating_sub(cluster.control_planes).max(1);
    cluster
}

fn build(options: Options) -> (World, usize) {
    let cluster = cluster(options);
    let control_planes = cluster.control_planes;
    let mut world = cluster.builder().build();
    custom_resources::install(&mut world);
    (world, control_planes)
}

/// Makes servers that never come back, spread over the racks. Returns how many.
fn break_some(world: &mut World, options: Options) -> usize {
    let workers: Vec<String> = world
        .store()
        .nodes()
        .filter(|node| !node.is_control_plane())
        .map(|node| node.meta.name.to_string())
        .collect();
    let fails = options.fail.min(workers.len());
    for index in 0..fails {
        let at = (index * workers.len() + workers.len() / 2) / fails.max(1);
        world.inject(&workers[at.min(workers.len() - 1)], Fault::NeverReturns, None);
    }
    fails
}

/// Creates the queue and the policies: the defaults, but with one rack after the other, and as many tolerated failures as
/// there are servers that never come back.
fn create_objects(world: &mut World, control_planes: usize, places: usize, fails: usize) {
    const RACK: usize = 8;
    let urls = |port: u32| -> Vec<String> {
        (1..=control_planes)
            .map(|n| format!("https://control-{n}:{port}"))
            .collect()
    };
    let goal = wall(world.now()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let label = junban_world::api::node::CONTROL_PLANE;
    let policy = |operator: &str| {
        json!({
            "priority": -1000,
            "bootedAfter": goal,
            "nodeSelector": {"matchExpressions": [{"key": label, "operator": operator}]},
            "reboot": {"ladder": [{"driver": "command", "command": ["power"]}], "bootTimeout": BOOT_TIMEOUT},
        })
    };
    let mut workers = policy("DoesNotExist");
    workers["groups"] = json!({"by": "topology.kubernetes.io/zone", "atOnce": places.div_ceil(RACK)});
    let queue = json!({
        "maxUnavailable": "10%",
        "failures": {"max": fails.max(1)},
        "controlPlane": {"apiServers": urls(6443), "etcd": urls(2379)},
    });
    let mut create = |kind: &str, name: &str, spec: Value| {
        let new = junban_world::NewCustom {
            kind: kind.into(),
            name: name.into(),
            spec,
            ..junban_world::NewCustom::default()
        };
        drop(world.client("kubectl").create_custom(new));
    };
    create(POLICY, "workers", workers);
    create(POLICY, "control-plane", policy("Exists"));
    create(QUEUE, junban_api::names::QUEUE, queue);
}

fn params(fails: usize) -> Params {
    Params {
        failures_max: IntOrPercent::Int(i64::try_from(fails.max(1)).unwrap_or(1)),
        ..Params::default()
    }
}
