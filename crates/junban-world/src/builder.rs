//! Builds a cluster that already runs: Nodes Ready, pods bound and Ready, budgets computed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::node::{CONTROL_PLANE, ZONE};
use crate::api::pod::MIRROR;
use crate::api::{
    Budget, BudgetStatus, Demand, Map, Meta, Name, ObjKey, Owner, OwnerKind, OwnerRef, Pod, PodStatus,
    PodTemplate, Selector, Service, Taint, UnhealthyPolicy, VolumeKind,
};
use crate::controllers::workload::{app_label, daemon_tolerations};
use crate::rng::Span;
use crate::world::{Config, World};

/// A machine to build.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    pub name: String,
    /// The value of the zone label; none without.
    pub rack: Option<String>,
    pub labels: Map,
    pub control_plane: bool,
    /// That the kubelet registers its Node with.
    pub taints: Vec<Taint>,
    /// Milli-CPUs.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
    pub pods: i64,
    /// From loss of power to Ready.
    pub boot: Span,
}

impl NodeSpec {
    /// A worker of 16 CPUs, 64 GiB and 110 pods that boots in 20 to 30 s.
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

/// A set of pods to build.
#[derive(Debug, Clone)]
pub struct Workload {
    pub kind: OwnerKind,
    pub namespace: String,
    pub name: String,
    pub replicas: i64,
    pub template: PodTemplate,
    /// Nodes of the first pods, in order; the scheduler places the rest.
    pub on: Vec<String>,
}

impl Workload {
    /// `replicas` pods of 100 milli-CPUs and 128 MiB with the label `app: NAME` and 30 s of grace.
    pub fn new(kind: OwnerKind, namespace: &str, name: &str, replicas: i64) -> Self {
        let mut template = PodTemplate {
            labels: app_label(name),
            requests: BTreeMap::from([("cpu".into(), 100), ("memory".into(), 128 << 20)]),
            grace_s: 30,
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
        }
    }

    /// Places the first pods.
    #[must_use]
    pub fn on(mut self, nodes: &[&str]) -> Self {
        self.on = nodes.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    /// Each pod has a claim of its own (StatefulSet) of this kind.
    #[must_use]
    pub fn claim(mut self, kind: VolumeKind) -> Self {
        self.template.claims.push(("data".into(), kind));
        self
    }

    /// Changes the template.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut PodTemplate)) -> Self {
        change(&mut self.template);
        self
    }
}

/// Collects what a world is made of.
pub struct WorldBuilder {
    world: World,
    budgets: Vec<Budget>,
    services: Vec<Service>,
    bare: Vec<Pod>,
    workloads: Vec<Workload>,
}

impl WorldBuilder {
    /// An empty cluster under this seed.
    pub fn new(seed: u64) -> Self {
        Self::with_config(seed, Config::default())
    }

    /// An empty cluster with these times.
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

    /// Adds `n` empty workers `node-1` to `node-n` with these boot times.
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

    /// Adds a budget over the pods with label `app: NAME`, named alike.
    pub fn budget(&mut self, namespace: &str, name: &str, demand: Demand) -> &mut Self {
        self.budget_over(
            namespace,
            name,
            Selector::label("app", name),
            demand,
            UnhealthyPolicy::default(),
        )
    }

    /// Adds a budget.
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

    /// Adds a Service over the pods with label `app: NAME`, named alike.
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

    /// Adds a pod without a controller, bound to `node`.
    pub fn bare_pod(&mut self, namespace: &str, name: &str, node: &str) -> &mut Self {
        let template = Workload::new(OwnerKind::ReplicaSet, namespace, name, 1).template;
        self.pod(namespace, name, Some(node), template)
    }

    /// Adds a pod without a controller, of this kind; without a node the scheduler places it.
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
            labels: template.labels.clone(),
            annotations: template.annotations.clone(),
            owner,
            finalizers: template.finalizers.clone(),
            ..Meta::default()
        };
        self.bare.push(Pod {
            meta,
            template: Arc::new(template),
            node: node.map(Name::from),
            claims: vec![],
            deletion_grace_s: 0,
            status: PodStatus::default(),
        });
        self
    }

    /// The cluster, settled, at time 0. Its truth stream begins with everything that there is.
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
            world.store.put_service(0, service);
        }
        for mut pod in bare {
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
