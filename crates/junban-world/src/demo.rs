//! A cluster by size and seed: racks, services of heavy-tailed sizes, budgets, StatefulSets on local
//! disks, DaemonSets.
//!
//! Every node can be drained: no budget is impossible, no node is over-committed, no pinned pod is on
//! a control-plane node, and what one node holds fits on the others.

use crate::api::node::CONTROL_PLANE;
use crate::api::{Demand, Effect, IntOrPercent, OwnerKind, Taint, Toleration, VolumeKind};
use crate::builder::{NodeSpec, Workload, WorldBuilder};
use crate::rng::{Rng, Span};

/// The shape of a generated cluster.
#[derive(Debug, Clone)]
pub struct Demo {
    /// Workers.
    pub nodes: usize,
    pub seed: u64,
    pub control_planes: usize,
    /// Workers in a rack.
    pub rack: usize,
    /// Without those of DaemonSets.
    pub pods_per_node: usize,
    /// Percent of the workers' CPU and memory that is requested; less in clusters too small to move it.
    pub full: i64,
    /// Percent of the pods that are on local disks.
    pub pinned: u64,
    /// From loss of power to Ready; each machine has its own within these, and varies by a tenth.
    pub boot: Span,
}

impl Demo {
    /// Racks of 8, 10 pods a node, 65 % full, one pod in ten on a local disk, boots of 4 to 10 minutes.
    pub fn new(nodes: usize, seed: u64) -> Self {
        Self {
            nodes,
            seed,
            control_planes: if nodes >= 10 { 3 } else { 0 },
            rack: 8,
            pods_per_node: 10,
            full: 65,
            pinned: 10,
            boot: Span::secs(240, 600),
        }
    }

    /// The builder of this cluster, to add to or to build.
    pub fn builder(&self) -> WorldBuilder {
        let mut builder = WorldBuilder::new(self.seed);
        let mut rng = Rng::stream(self.seed, "demo");
        self.add_nodes(&mut builder, &mut rng);
        self.add_system(&mut builder);
        let mut services = self.services(&mut rng);
        self.fill(&mut services);
        for service in services {
            service.add(&mut builder);
        }
        builder
    }

    fn add_nodes(&self, builder: &mut WorldBuilder, rng: &mut Rng) {
        for i in 1..=self.nodes + self.control_planes {
            let control_plane = i > self.nodes;
            let name = if control_plane {
                format!("control-{}", i - self.nodes)
            } else {
                format!("node-{i}")
            };
            let mine = self.boot.draw(rng);
            let boot = Span::ms(
                (mine * 9 / 10).max(self.boot.min),
                (mine * 11 / 10).min(self.boot.max),
            );
            let rack = if control_plane {
                i - self.nodes
            } else {
                1 + (i - 1) / self.rack.max(1)
            };
            let taints = if control_plane {
                vec![Taint::new(CONTROL_PLANE, "", Effect::NoSchedule)]
            } else {
                vec![]
            };
            let rack = Some(format!("rack-{rack}"));
            builder.node(NodeSpec {
                rack,
                control_plane,
                boot,
                taints,
                ..NodeSpec::worker(&name)
            });
        }
    }

    fn add_system(&self, builder: &mut WorldBuilder) {
        for name in ["cni", "node-exporter"] {
            let mut daemons = Workload::new(OwnerKind::DaemonSet, "kube-system", name, 0);
            daemons.template.tolerations.push(Toleration::key(CONTROL_PLANE));
            daemons.template.requests = requests(50);
            builder.workload(daemons);
        }
        // As kubeadm installs it: two replicas and no budget.
        let dns = Workload::new(OwnerKind::Deployment, "kube-system", "coredns", 2);
        builder
            .workload(dns.with(|t| t.priority = 2_000_000_000))
            .service("kube-system", "coredns");
        for i in 1..=self.control_planes {
            for component in ["etcd", "kube-apiserver"] {
                let labels = [("component".to_owned(), component.to_owned())].into();
                let node = format!("control-{i}");
                builder.mirror_pod(&format!("{component}-{node}"), labels, &node);
            }
        }
    }

    fn services(&self, rng: &mut Rng) -> Vec<Service> {
        let total = self.nodes * self.pods_per_node;
        let mut services = Vec::new();
        let (mut made, mut pinned) = (0, 0);
        while made < total {
            let number = services.len() + 1;
            let namespace = format!("team-{}", 1 + (number - 1) / 8);
            let stateful = (pinned as u64) * 100 < self.pinned * (made as u64) && self.nodes >= 4;
            let replicas = if stateful {
                3 + rng.below(3.min(self.nodes as u64 - 3)) as usize
            } else {
                replicas(rng, self.nodes)
            };
            let replicas = replicas.min(total - made).max(1);
            let apart = stateful || (replicas * 2 <= self.nodes && rng.chance(300));
            made += replicas;
            pinned += if stateful { replicas } else { 0 };
            let cpu = 500 + 250 * rng.below(5) as i64;
            let budget = if stateful {
                Some(one())
            } else {
                budget(rng, replicas)
            };
            let name = format!("{}-{number}", if stateful { "store" } else { "app" });
            services.push(Service {
                namespace,
                name,
                stateful,
                replicas,
                apart,
                cpu,
                budget,
            });
        }
        services
    }

    /// Scales the requests so that they take up the share that was asked for, and no more than fits
    /// while one node is away.
    fn fill(&self, services: &mut [Service]) {
        let n = self.nodes.max(1) as i64;
        let full = self.full.min(100 * (n - 1) / n - 15).max(10);
        let daemons = 100 * n + 200;
        let want = NodeSpec::worker("").cpu * n * full / 100 - daemons;
        let have: i64 = services.iter().map(|s| s.cpu * s.replicas as i64).sum();
        for service in services {
            service.cpu = (service.cpu * want / have.max(1) / 10 * 10).max(10);
        }
    }
}

struct Service {
    namespace: String,
    name: String,
    stateful: bool,
    replicas: usize,
    apart: bool,
    cpu: i64,
    budget: Option<Demand>,
}

impl Service {
    fn add(self, builder: &mut WorldBuilder) {
        let kind = if self.stateful {
            OwnerKind::StatefulSet
        } else {
            OwnerKind::Deployment
        };
        let mut workload = Workload::new(kind, &self.namespace, &self.name, self.replicas as i64);
        workload.template.requests = requests(self.cpu);
        if self.apart {
            workload.template.anti_affinity = Some(workload.template.labels.clone());
        }
        if self.stateful {
            workload = workload.claim(VolumeKind::Local);
        }
        builder.workload(workload).service(&self.namespace, &self.name);
        if let Some(demand) = self.budget {
            builder.budget(&self.namespace, &self.name, demand);
        }
    }
}

/// CPU, and memory in the proportion of a worker's.
fn requests(cpu: i64) -> std::collections::BTreeMap<String, i64> {
    let worker = NodeSpec::worker("");
    [
        ("cpu".to_owned(), cpu),
        ("memory".to_owned(), cpu * (worker.memory / worker.cpu)),
    ]
    .into()
}

fn one() -> Demand {
    Demand::MaxUnavailable(IntOrPercent::Int(1))
}

/// Many services of two and three replicas, a few large ones, some single.
fn replicas(rng: &mut Rng, nodes: usize) -> usize {
    let n = match rng.below(100) {
        0..10 => 1,
        10..55 => 2 + rng.below(2),
        55..85 => 4 + rng.below(5),
        85..97 => 9 + rng.below(12),
        _ => 21 + rng.below(30),
    };
    (n as usize).min(nodes.max(2))
}

/// None for half of the services, as in the field.
fn budget(rng: &mut Rng, replicas: usize) -> Option<Demand> {
    if replicas < 2 {
        return None;
    }
    match rng.below(100) {
        0..45 => None,
        45..70 => Some(one()),
        70..85 => Some(Demand::MaxUnavailable(IntOrPercent::Percent(10))),
        85..95 => Some(Demand::MaxUnavailable(IntOrPercent::Percent(25))),
        _ => Some(Demand::MinAvailable(IntOrPercent::Percent(50))),
    }
}
