//! Generates a cluster from a size and a seed: racks, many small services and a few large ones, budgets, StatefulSets
//! on local disks, DaemonSets.
//!
//! Every node can be drained: each budget allows an eviction, the pods of one node fit on the others, and no pod with
//! a local disk is on a control-plane node.

use crate::api::node::CONTROL_PLANE;
use crate::api::{Demand, Effect, IntOrPercent, OwnerKind, Taint, Toleration, VolumeKind};
use crate::builder::{NodeSpec, Workload, WorldBuilder};
use crate::rng::{Rng, Span};

/// The shape of a generated cluster.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The number of workers.
    pub nodes: usize,
    pub seed: u64,
    pub control_planes: usize,
    /// The number of workers in a rack.
    pub rack: usize,
    /// Pods of DaemonSets do not count.
    pub pods_per_node: usize,
    /// The percentage of the workers' CPU and memory that pods request. It is less in a cluster that is too small to
    /// move the pods of one node.
    pub full: i64,
    /// The percentage of the pods that have a local disk.
    pub pinned: u64,
    /// From the loss of power to Ready. Each machine has its own time in this range, and its boots vary by a tenth.
    pub boot: Span,
}

impl Demo {
    /// Racks of 8 workers, 10 pods for each worker, 65 % full, one pod in 10 on a local disk, boots of 4 to 10
    /// minutes.
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

    /// A builder with this cluster; the caller may add to it.
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
        // kubeadm installs CoreDNS with two replicas and no budget.
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

    /// Scales the requests to the share `full`, but never to more than fits while one node is down.
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

/// Requests of `cpu`, and of memory in the proportion that a worker has.
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

/// Mostly two or three replicas; some services have one, a few have many.
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

/// Half of the services have no budget, as in real clusters.
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
