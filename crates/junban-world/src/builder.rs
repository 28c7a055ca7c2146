//! Builds a cluster that runs already: its Nodes are Ready, its pods are bound and Ready, its budgets are computed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::node::{CONTROL_PLANE, ZONE};
use crate::api::pod::MIRROR;
use crate::api::{
    Budget, BudgetStatus, Demand, Map, Meta, Name, ObjKey, Owner, OwnerKind, OwnerRef, Pod, PodTemplate,
    Selector, Service, Taint, UnhealthyPolicy, VolumeKind,
};
use crate::controllers::workload::{app_label, daemon_tolerations};
use crate::rng::Span;
use crate::world::{Config, World};

/// A machine to build.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    pub name: String,
    /// The value of the zone label; `None` sets no label.
    pub rack: Option<String>,
    pub labels: Map,
    pub control_plane: bool,
    /// The taints with which the kubelet registers its Node.
    pub taints: Vec<Taint>,
    /// Milli-CPUs.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
    pub pods: i64,
    /// From the loss of power to Ready.
    pub boot: Span,
}

impl NodeSpec {
    /// A worker with 16 CPUs, 64Gi and room for 110 pods. It boots in 20 to 30 s.
    pub fn worker(name: &str) -> Self {
        Self {
            name: name.into(),
            rack: None,
            labels: Map::new(),
            control_plane: false,
            taints: Vec::new(),
            cpu: 16_000,
            memory: 64 << 30,
            pods: 110,
            boot: Span::secs(20, 30),
        }
    }
}

/// An owner and its pods, to build.
#[derive(Debug, Clone)]
pub struct Workload {
    pub kind: OwnerKind,
    pub namespace: String,
    pub name: String,
    pub replicas: i64,
    pub template: PodTemplate,
    /// The nodes of the first pods, in order. The scheduler places the other pods.
    pub on: Vec<String>,
    /// `minReadySeconds`.
    pub min_ready_s: u64,
}

impl Workload {
    /// `replicas` pods with the label `app: NAME`, requests of 100m CPU and 128Mi, and a grace period of 30 s.
    pub fn new(kind: OwnerKind, namespace: &str, name: &str, replicas: i64) -> Self {
        let mut template = PodTemplate {
            labels: app_label(name),
            requests: BTreeMap::from([("cpu".into(), 100), ("memory".into(), 128 << 20)]),
            grace_s: 30,
            restarts_never: kind == OwnerKind::Job,
            ..PodTemplate::default()
        };
        if kind == OwnerKind::DaemonSet {
            template.tolerations = daemon_tolerations();
        }
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
            replicas,
            template,
            on: Vec::new(),
            min_ready_s: 0,
        }
    }

    /// Places the first pods on these nodes.
    #[must_use]
    pub fn on(mut self, nodes: &[&str]) -> Self {
        self.on = nodes.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    /// Adds a claim of this kind; in a StatefulSet each pod has a claim of its own.
    #[must_use]
    pub fn claim(mut self, kind: VolumeKind) -> Self {
        self.template.claims.push(("data".into(), kind));
        self
    }

    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut PodTemplate)) -> Self {
        change(&mut self.template);
        self
    }
}

/// Collects the parts of a world and builds it.
pub struct WorldBuilder {
    world: World,
    budgets: Vec<Budget>,
    services: Vec<Service>,
    bare: Vec<Pod>,
    workloads: Vec<Workload>,
}

impl WorldBuilder {
    pub fn new(seed: u64) -> Self {
        Self::with_config(seed, Config::default())
    }

    /// An empty cluster with this seed and these times.
    pub fn with_config(seed: u64, config: Config) -> Self {
        let mut world = World::new(seed, config);
        world.instant = true;
        Self {
            world,
            budgets: vec![],
            services: vec![],
            bare: vec![],
            workloads: vec![],
        }
    }

    /// Adds a machine and its Node.
    pub fn node(&mut self, spec: NodeSpec) -> &mut Self {
        let mut labels = spec.labels;
        if let Some(rack) = spec.rack {
            labels.insert(ZONE.into(), rack);
        }
        if spec.control_plane {
            labels.insert(CONTROL_PLANE.into(), String::new());
        }
        let allocatable = BTreeMap::from([
            ("cpu".to_owned(), spec.cpu),
            ("memory".to_owned(), spec.memory),
            ("pods".to_owned(), spec.pods),
        ]);
        self.world.add_machine(&spec.name, labels, allocatable, spec.boot);
        if let Some(machine) = self.world.machines.get_mut(spec.name.as_str()) {
            machine.taints = spec.taints;
        }
        self.world.register_node(&spec.name);
        self
    }

    /// Adds `n` workers without pods, `node-1` to `node-n`, with these boot times.
    pub fn nodes(&mut self, n: usize, boot: Span) -> &mut Self {
        for i in 1..=n {
            self.node(NodeSpec {
                boot,
                ..NodeSpec::worker(&format!("node-{i}"))
            });
        }
        self
    }

    /// Adds an owner and its pods.
    pub fn workload(&mut self, workload: Workload) -> &mut Self {
        self.workloads.push(workload);
        self
    }

    /// Adds the budget `name` for the pods with the label `app: NAME`.
    pub fn budget(&mut self, namespace: &str, name: &str, demand: Demand) -> &mut Self {
        self.budget_over(
            namespace,
            name,
            Selector::label("app", name),
            demand,
            UnhealthyPolicy::default(),
        )
    }

    pub fn budget_over(
        &mut self,
        namespace: &str,
        name: &str,
        selector: Selector,
        demand: Demand,
        unhealthy: UnhealthyPolicy,
    ) -> &mut Self {
        let meta = Meta {
            name: name.into(),
            namespace: namespace.into(),
            ..Meta::default()
        };
        let status = BudgetStatus::default();
        self.budgets.push(Budget {
            meta,
            selector: Some(selector),
            demand,
            unhealthy,
            status,
        });
        self
    }

    /// Adds the Service `name` for the pods with the label `app: NAME`.
    pub fn service(&mut self, namespace: &str, name: &str) -> &mut Self {
        let meta = Meta {
            name: name.into(),
            namespace: namespace.into(),
            ..Meta::default()
        };
        self.services.push(Service {
            meta,
            selector: Selector::label("app", name),
        });
        self
    }

    /// Adds a pod without an owner on `node`.
    pub fn bare_pod(&mut self, namespace: &str, name: &str, node: &str) -> &mut Self {
        let template = Workload::new(OwnerKind::ReplicaSet, namespace, name, 1).template;
        self.pod(namespace, name, Some(node), template)
    }

    /// Adds a pod without an owner. If `node` is `None`, the scheduler places it.
    pub fn pod(
        &mut self,
        namespace: &str,
        name: &str,
        node: Option<&str>,
        template: PodTemplate,
    ) -> &mut Self {
        self.pod_of(namespace, name, node, template, None)
    }

    /// Adds the mirror of a static pod of `node`.
    pub fn mirror_pod(&mut self, name: &str, labels: Map, node: &str) -> &mut Self {
        let mut template = Workload::new(OwnerKind::Node, "kube-system", name, 1).template;
        template.labels = labels;
        template.annotations.insert(MIRROR.into(), "static".into());
        template.tolerations = vec![crate::api::Toleration::default()];
        let uid = self
            .world
            .store
            .nodes
            .get(node)
            .map(|n| n.meta.uid.clone())
            .unwrap_or_default();
        let owner = OwnerRef {
            kind: OwnerKind::Node,
            name: node.into(),
            uid,
        };
        self.pod_of("kube-system", name, Some(node), template, Some(owner))
    }

    /// Adds a pod that the pod `owner` of the same namespace controls. `owner` is added first.
    pub fn pod_of_pod(
        &mut self,
        namespace: &str,
        name: &str,
        node: Option<&str>,
        template: PodTemplate,
        owner: &str,
    ) -> &mut Self {
        let owner = OwnerRef {
            kind: OwnerKind::Pod,
            name: owner.into(),
            uid: Name::default(),
        };
        self.pod_of(namespace, name, node, template, Some(owner))
    }

    fn pod_of(
        &mut self,
        namespace: &str,
        name: &str,
        node: Option<&str>,
        template: PodTemplate,
        owner: Option<OwnerRef>,
    ) -> &mut Self {
        let meta = Meta {
            name: name.into(),
            namespace: namespace.into(),
            owner,
            ..Meta::default()
        };
        let pod = Pod::new(meta, Arc::new(template), node.map(Name::from), vec![]);
        self.bare.push(pod);
        self
    }

    /// The running cluster at time 0. Its truth begins with all objects that exist.
    pub fn build(self) -> World {
        let Self {
            mut world,
            budgets,
            services,
            bare,
            workloads,
        } = self;
        for service in services {
            let mut service = service;
            service.meta.uid = world.new_uid();
            world.store.put(0, service);
        }
        for mut pod in bare {
            if let Some(owner) = pod
                .meta
                .owner
                .as_mut()
                .filter(|owner| owner.kind == OwnerKind::Pod)
            {
                let key = ObjKey::new(&pod.meta.namespace, &owner.name);
                owner.uid = world
                    .store
                    .pods
                    .get(&key)
                    .map(|owner| owner.meta.uid.clone())
                    .unwrap_or_default();
            }
            pod.claims = world.make_claims(&pod.meta.namespace, &pod.template, None);
            world.add_pod(pod);
        }
        for w in workloads {
            let key = ObjKey::new(&w.namespace, &w.name);
            let on = w.on.iter().map(|n| Name::from(n.as_str())).collect();
            world.placements.insert(key, on);
            let meta = Meta {
                name: w.name.as_str().into(),
                namespace: w.namespace.as_str().into(),
                labels: w.template.labels.clone(),
                ..Meta::default()
            };
            let selector = Selector {
                match_labels: w.template.labels.clone(),
                expressions: vec![],
            };
            let template = Arc::new(w.template);
            world.put_owner(Owner {
                kind: w.kind,
                meta,
                replicas: w.replicas,
                selector,
                template,
                complete: false,
                min_ready_s: w.min_ready_s,
            });
        }
        world.advance_to(0);
        for budget in budgets {
            world.apply_budget(budget);
        }
        world.advance_to(0);
        world.instant = false;
        world
    }
}
