//! Builds the world of a scenario.

use junban_world::api::node::{CONTROL_PLANE, UNSCHEDULABLE};
use junban_world::{
    Demand, Effect, IntOrPercent, Ms, NodeSpec, OperatorKind, OwnerKind, Preconditions, Selector, Span,
    Taint, Toleration, UnhealthyPolicy, VolumeKind, Workload, World, WorldBuilder,
};
use serde_json::Value;

use crate::scenario::model::{self, Key, Kind, Scenario};
use crate::scenario::settings;
use crate::time::ms;
use junban_sim::custom_resources;
use junban_sim::objects::{EPOCH, POLICY, QUEUE, wall};

/// The age of the world when a scenario begins.
pub(super) const BEGINS_AT_MS: Ms = 120_000;
/// The field manager of everything that people do.
pub(super) const PEOPLE: &str = "kubectl";

/// The cluster before anybody does anything.
pub(super) fn world(scenario: &Scenario, seed: u64) -> World {
    let mut builder = WorldBuilder::new(seed);
    add_nodes(&mut builder, scenario);
    for at in &scenario.workloads {
        add_workload(&mut builder, &at.what);
    }
    for at in &scenario.budgets {
        add_budget(&mut builder, &at.what);
    }
    let mut world = builder.build();
    for at in &scenario.operators {
        let (Key { namespace, name }, kind) = &at.what;
        let kind = match kind {
            model::Operator::CloudNativePg => OperatorKind::CloudNativePg,
            model::Operator::Zalando => OperatorKind::Zalando,
            model::Operator::Strimzi => OperatorKind::Strimzi,
            model::Operator::StrimziLegacy => OperatorKind::StrimziLegacy,
            model::Operator::KubeVirt => OperatorKind::KubeVirt,
        };
        world.install_operator(kind, namespace, name);
    }
    custom_resources::install(&mut world);
    // Times in the file count from the beginning of the scenario.
    let begins = wall(BEGINS_AT_MS).as_second();
    for name in scenario.policy_names() {
        apply(&mut world, POLICY, name, policy_spec(scenario, name, begins));
    }
    apply(&mut world, QUEUE, junban_api::names::QUEUE, queue_spec(scenario));
    world
}

/// Server-side apply: writes the fields of the file; fields that others have set stay.
pub(super) fn apply(world: &mut World, kind: &str, name: &str, spec: Value) {
    let known = world
        .client(PEOPLE)
        .patch_custom(kind, name, &spec, &Preconditions::default());
    if known.is_ok() {
        return;
    }
    let new = junban_world::NewCustom {
        kind: kind.into(),
        name: name.into(),
        spec,
        ..junban_world::NewCustom::default()
    };
    drop(world.client(PEOPLE).create_custom(new));
}

/// `now` is in seconds since 1970.
pub(super) fn policy_spec(scenario: &Scenario, name: &str, now: i64) -> Value {
    settings::policy_spec(scenario, name, &["power".to_owned()], now)
}

pub(super) fn queue_spec(scenario: &Scenario) -> Value {
    let masters = scenario
        .nodes
        .names()
        .into_iter()
        .filter(|name| name.starts_with("cp-"));
    let masters: Vec<String> = masters.collect();
    let labelled = settings::etcd_nodes(scenario);
    // Without the label of etcd the nodes with API servers carry it.
    let etcd: Vec<String> = match labelled.is_empty() {
        true => masters.clone(),
        false => labelled.into_iter().map(str::to_owned).collect(),
    };
    let urls = |hosts: &[String], port: u32| -> Vec<String> {
        hosts
            .iter()
            .map(|host| format!("https://{host}:{port}"))
            .collect()
    };
    settings::queue_spec(
        scenario,
        &urls(&masters, 6443),
        &urls(&etcd, 2379),
        EPOCH.as_second(),
    )
}

fn span(span: model::Span) -> Span {
    Span::ms(ms(span.from), ms(span.to))
}

fn add_nodes(builder: &mut WorldBuilder, scenario: &Scenario) {
    let nodes = &scenario.nodes;
    for (index, name) in nodes.names().iter().enumerate() {
        let control_plane = name.starts_with("cp-");
        let mut spec = NodeSpec {
            control_plane,
            boot: span(nodes.boot),
            ..NodeSpec::worker(name)
        };
        // The same labels and taints with which the machines of the testbed register their Nodes.
        let role = if control_plane { "control-plane" } else { "worker" };
        let own = [
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            ("role", role),
        ];
        if control_plane {
            spec.taints = vec![Taint::new(CONTROL_PLANE, "", Effect::NoSchedule)];
        }
        spec.labels = own.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        spec.rack = nodes.rack(index, name);
        if let Some(cpu) = &nodes.cpu {
            spec.cpu = cpu.amount;
        }
        if let Some(memory) = &nodes.memory {
            spec.memory = memory.amount;
        }
        builder.node(spec);
    }
}

pub(super) fn demand(demand: &model::Demand) -> Demand {
    let share = |value: &Value| settings::share(value).unwrap_or(IntOrPercent::Percent(100));
    match demand {
        model::Demand::MaxUnavailable(value) => Demand::MaxUnavailable(share(value)),
        model::Demand::MinAvailable(value) => Demand::MinAvailable(share(value)),
    }
}

fn add_workload(builder: &mut WorldBuilder, workload: &model::Workload) {
    let kind = match workload.kind {
        Kind::Deployment => OwnerKind::Deployment,
        Kind::StatefulSet => OwnerKind::StatefulSet,
        Kind::DaemonSet => OwnerKind::DaemonSet,
        Kind::Job => OwnerKind::Job,
        Kind::Custom => OwnerKind::Foreign,
        Kind::Pod => return add_pod(builder, workload),
    };
    let Key { namespace, name } = &workload.key;
    let built = Workload {
        min_ready_s: workload.min_ready.as_secs(),
        ..Workload::new(kind, namespace, name, i64::from(workload.replicas))
    };
    let places: Vec<&str> = workload.on.iter().map(String::as_str).collect();
    builder.workload(built.on(&places).with(|template| fill(template, workload)));
    if let Some(budget) = &workload.budget {
        add_budget(builder, budget);
    }
    if matches!(workload.kind, Kind::Deployment | Kind::StatefulSet | Kind::Custom)
        && workload.replicas > 1
        && !(workload.never_ready || workload.restarts_never)
    {
        builder.service(namespace, name);
    }
}

fn add_budget(builder: &mut WorldBuilder, budget: &model::Budget) {
    let unhealthy = if budget.always_allow_unhealthy {
        UnhealthyPolicy::AlwaysAllow
    } else {
        UnhealthyPolicy::IfHealthyBudget
    };
    let (Key { namespace, name }, app) = (&budget.key, Selector::label("app", &budget.selects));
    builder.budget_over(namespace, name, app, demand(&budget.demand), unhealthy);
}

fn add_pod(builder: &mut WorldBuilder, workload: &model::Workload) {
    let Key { namespace, name } = &workload.key;
    // The pod template has the defaults of any pod, so the kind of the owner does not matter.
    let pod = Workload::new(OwnerKind::ReplicaSet, namespace, name, 1);
    let pod = pod.with(|template| fill(template, workload));
    let node = workload.on.first().map(String::as_str);
    match &workload.owner_pod {
        Some(owner) => builder.pod_of_pod(namespace, name, node, pod.template, owner),
        None => builder.pod(namespace, name, node, pod.template),
    };
}

fn fill(template: &mut junban_world::PodTemplate, workload: &model::Workload) {
    template.labels.extend(workload.labels.clone());
    template.annotations.extend(workload.annotations.clone());
    if let Some(cpu) = &workload.cpu {
        template.requests.insert("cpu".into(), cpu.amount);
    }
    if let Some(memory) = &workload.memory {
        template.requests.insert("memory".into(), memory.amount);
    }
    if let Some(grace) = workload.grace {
        template.grace_s = grace.as_secs();
    }
    if let Some(node) = &workload.only_on {
        template
            .node_selector
            .insert("kubernetes.io/hostname".into(), node.clone());
    }
    if workload.spread {
        template.anti_affinity = Some(junban_world::Map::from([(
            "app".to_owned(),
            workload.key.name.clone(),
        )]));
    }
    template.spread = workload.hard_spread.as_ref().map(|spread| junban_world::Spread {
        topology_key: spread.key.clone(),
        max_skew: i64::from(spread.skew),
        honors_taints: spread.honors_taints,
    });
    template.priority = workload.priority.unwrap_or_default();
    let tolerations = workload.tolerates.iter().map(|taint| Toleration {
        key: Some(taint.key.clone()),
        value: Some(taint.value.clone()),
        effect: None,
    });
    template.tolerations.extend(tolerations);
    if workload.tolerates_unschedulable {
        template.tolerations.push(Toleration::key(UNSCHEDULABLE));
    }
    if workload.kind == Kind::DaemonSet {
        template.tolerations.push(Toleration::default());
    }
    // Each pod of a StatefulSet has a claim of its own; the pods of another kind share one.
    let claim = match workload.kind {
        Kind::StatefulSet => "data".to_owned(),
        _ => format!("data-{}", workload.key.name),
    };
    if workload.local_volume {
        template.claims.push((claim, VolumeKind::Local));
    } else if workload.csi_volume.is_some() {
        template.claims.push((claim, VolumeKind::Network));
    }
    template.empty_dir = workload.empty_dir;
    template.finalizers.extend(workload.finalizer.clone());
    template.restarts_never |= workload.restarts_never;
    let behaviour = &mut template.behaviour;
    behaviour.start = span(workload.start);
    behaviour.ready = span(workload.ready);
    behaviour.stop = span(workload.stop);
    behaviour.ignores_sigterm = workload.ignores_sigterm;
    behaviour.never_stops = workload.never_stops;
    behaviour.never_ready = workload.never_ready;
    behaviour.detach = workload.csi_volume.map(|time| Span::ms(ms(time), ms(time)));
    behaviour.runs_for = workload.runs_for.map(|length| Span::ms(ms(length), ms(length)));
}
