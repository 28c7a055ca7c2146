//! Turns the world's objects into objects as a Kubernetes client reads them. So they go through the same conversion to
//! core (`junban_api::convert`) as the objects of a real cluster.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use junban_core::cluster as core;
use junban_core::cluster::{QueueView, WorkloadKey, WorkloadKind};
use junban_core::ids::Version;
use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as apis;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::DynamicObject;
use serde_json::json;

use junban_api::names;
use junban_world as world;

/// The kinds of Junban's own objects.
pub const QUEUE: &str = "RebootQueue";
pub const POLICY: &str = "RebootPolicy";
pub const ENTRY: &str = "NodeReboot";

/// The wall time at which the world begins.
pub const EPOCH: Timestamp = Timestamp::constant(1_795_000_000, 0);

/// The wall time of a moment of the world.
pub fn wall(ms: world::Ms) -> Timestamp {
    let span = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    EPOCH.checked_add(span).unwrap_or(EPOCH)
}

fn time(ms: world::Ms) -> apis::Time {
    apis::Time(wall(ms))
}

fn meta(meta: &world::Meta) -> apis::ObjectMeta {
    apis::ObjectMeta {
        name: Some(meta.name.to_string()),
        namespace: (!meta.namespace.is_empty()).then(|| meta.namespace.to_string()),
        uid: Some(meta.uid.to_string()),
        resource_version: Some(meta.resource_version.to_string()),
        generation: i64::try_from(meta.generation).ok(),
        labels: Some(meta.labels.clone()),
        annotations: Some(meta.annotations.clone()),
        creation_timestamp: Some(time(meta.created)),
        deletion_timestamp: meta.deleted.map(time),
        finalizers: Some(meta.finalizers.clone()),
        owner_references: meta.owner.as_ref().map(|owner| vec![owner_reference(owner)]),
        ..apis::ObjectMeta::default()
    }
}

fn owner_reference(owner: &world::OwnerRef) -> apis::OwnerReference {
    let group = match owner.kind {
        world::OwnerKind::Job => "batch/v1",
        world::OwnerKind::ReplicationController | world::OwnerKind::Pod | world::OwnerKind::Node => "v1",
        world::OwnerKind::Foreign => "example.com/v1",
        _ => "apps/v1",
    };
    apis::OwnerReference {
        api_version: group.into(),
        kind: owner.kind.as_str().into(),
        name: owner.name.to_string(),
        uid: owner.uid.to_string(),
        controller: Some(true),
        ..apis::OwnerReference::default()
    }
}

fn quantities(amounts: &BTreeMap<String, i64>) -> BTreeMap<String, Quantity> {
    let text = |(name, amount): (&String, &i64)| {
        let unit = if name == "cpu" { "m" } else { "" };
        (name.clone(), Quantity(format!("{amount}{unit}")))
    };
    amounts.iter().map(text).collect()
}

fn taint_effect(effect: world::Effect) -> &'static str {
    match effect {
        world::Effect::NoSchedule => "NoSchedule",
        world::Effect::PreferNoSchedule => "PreferNoSchedule",
        world::Effect::NoExecute => "NoExecute",
    }
}

/// A Node; its Lease is not part of it.
pub fn node(node: &world::Node) -> Option<core::Node> {
    let mut metadata = meta(&node.meta);
    metadata.managed_fields = node.unschedulable_manager.as_ref().map(|manager| {
        vec![apis::ManagedFieldsEntry {
            manager: Some(manager.clone()),
            fields_v1: Some(apis::FieldsV1(json!({"f:spec": {"f:unschedulable": {}}}))),
            ..apis::ManagedFieldsEntry::default()
        }]
    });
    let taint = |taint: &world::Taint| k8s::Taint {
        key: taint.key.clone(),
        value: Some(taint.value.clone()),
        effect: taint_effect(taint.effect).into(),
        ..k8s::Taint::default()
    };
    let ready = match node.status.ready {
        world::Ready::True => "True",
        world::Ready::False => "False",
        world::Ready::Unknown => "Unknown",
    };
    let read = k8s::Node {
        metadata,
        spec: Some(k8s::NodeSpec {
            unschedulable: Some(node.unschedulable),
            taints: Some(node.taints.iter().map(taint).collect()),
            ..k8s::NodeSpec::default()
        }),
        status: Some(k8s::NodeStatus {
            allocatable: Some(quantities(&node.status.allocatable)),
            conditions: Some(vec![k8s::NodeCondition {
                type_: "Ready".into(),
                status: ready.into(),
                ..k8s::NodeCondition::default()
            }]),
            node_info: Some(k8s::NodeSystemInfo {
                boot_id: node.status.boot_id.clone(),
                system_uuid: node.status.system_uuid.clone(),
                ..k8s::NodeSystemInfo::default()
            }),
            ..k8s::NodeStatus::default()
        }),
    };
    junban_api::convert::node::read(&read).ok()
}

/// When a Lease was renewed, as text.
pub(crate) fn renewal(lease: &world::Lease) -> String {
    wall(lease.renewed).to_string()
}

pub(crate) fn pod(pod: &world::Pod) -> Option<core::Pod> {
    let mut metadata = meta(&pod.meta);
    if let Some(deleted) = pod.meta.deleted {
        // The API server sets the end of the grace period.
        metadata.deletion_timestamp = Some(time(deleted + pod.deletion_grace_s * 1000));
        metadata.deletion_grace_period_seconds = i64::try_from(pod.deletion_grace_s).ok();
    }
    let read = k8s::Pod {
        metadata,
        spec: Some(pod_spec(pod)),
        status: Some(pod_status(pod)),
    };
    junban_api::convert::pod::read(&read, names::NAMESPACE).ok()
}

fn pod_spec(pod: &world::Pod) -> k8s::PodSpec {
    let template = &pod.template;
    let claims = pod.claims.iter().map(|claim| k8s::Volume {
        name: claim.to_string(),
        persistent_volume_claim: Some(k8s::PersistentVolumeClaimVolumeSource {
            claim_name: claim.to_string(),
            ..k8s::PersistentVolumeClaimVolumeSource::default()
        }),
        ..k8s::Volume::default()
    });
    let scratch = template.empty_dir.then(|| k8s::Volume {
        name: "scratch".into(),
        empty_dir: Some(k8s::EmptyDirVolumeSource::default()),
        ..k8s::Volume::default()
    });
    let toleration = |toleration: &world::Toleration| k8s::Toleration {
        key: toleration.key.clone(),
        operator: Some(
            if toleration.value.is_some() {
                "Equal"
            } else {
                "Exists"
            }
            .into(),
        ),
        value: toleration.value.clone(),
        effect: toleration.effect.map(|effect| taint_effect(effect).into()),
        ..k8s::Toleration::default()
    };
    k8s::PodSpec {
        node_name: pod.node.as_ref().map(ToString::to_string),
        containers: vec![k8s::Container {
            name: "main".into(),
            resources: Some(k8s::ResourceRequirements {
                requests: Some(quantities(&template.requests)),
                ..k8s::ResourceRequirements::default()
            }),
            ..k8s::Container::default()
        }],
        volumes: Some(claims.chain(scratch).collect()),
        node_selector: Some(template.node_selector.clone()),
        affinity: template.anti_affinity.as_ref().map(anti_affinity),
        topology_spread_constraints: template
            .spread
            .as_ref()
            .map(|spread| vec![constraint(spread, template)]),
        tolerations: Some(template.tolerations.iter().map(toleration).collect()),
        priority: Some(template.priority),
        termination_grace_period_seconds: i64::try_from(template.grace_s).ok(),
        restart_policy: Some(
            if template.restarts_never {
                "Never"
            } else {
                "Always"
            }
            .into(),
        ),
        ..k8s::PodSpec::default()
    }
}

fn anti_affinity(labels: &world::Map) -> k8s::Affinity {
    let term = k8s::PodAffinityTerm {
        label_selector: Some(with_labels(labels)),
        topology_key: world::api::node::HOSTNAME.into(),
        ..k8s::PodAffinityTerm::default()
    };
    k8s::Affinity {
        pod_anti_affinity: Some(k8s::PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..k8s::PodAntiAffinity::default()
        }),
        ..k8s::Affinity::default()
    }
}

fn constraint(spread: &world::Spread, template: &world::PodTemplate) -> k8s::TopologySpreadConstraint {
    k8s::TopologySpreadConstraint {
        label_selector: Some(with_labels(&template.labels)),
        max_skew: i32::try_from(spread.max_skew).unwrap_or(i32::MAX),
        node_taints_policy: spread.honors_taints.then(|| "Honor".into()),
        topology_key: spread.topology_key.clone(),
        when_unsatisfiable: "DoNotSchedule".into(),
        ..k8s::TopologySpreadConstraint::default()
    }
}

fn with_labels(labels: &world::Map) -> apis::LabelSelector {
    apis::LabelSelector {
        match_labels: Some(labels.clone()),
        match_expressions: None,
    }
}

fn pod_status(pod: &world::Pod) -> k8s::PodStatus {
    let phase = match pod.status.phase {
        world::Phase::Pending => "Pending",
        world::Phase::Running => "Running",
        world::Phase::Succeeded => "Succeeded",
        world::Phase::Failed => "Failed",
    };
    let running = |id: &String| k8s::ContainerStatus {
        name: "main".into(),
        container_id: Some(id.clone()),
        state: Some(k8s::ContainerState {
            running: Some(k8s::ContainerStateRunning::default()),
            ..k8s::ContainerState::default()
        }),
        ..k8s::ContainerStatus::default()
    };
    let condition = |kind: &str, holds: bool, reason: Option<&str>| k8s::PodCondition {
        type_: kind.into(),
        status: if holds { "True" } else { "False" }.into(),
        reason: reason.map(Into::into),
        ..k8s::PodCondition::default()
    };
    let mut conditions = vec![k8s::PodCondition {
        last_transition_time: Some(time(pod.status.ready_since)),
        ..condition("Ready", pod.status.ready, None)
    }];
    conditions.extend(pod.status.bound.map(|bound| k8s::PodCondition {
        last_transition_time: Some(time(bound)),
        ..condition("PodScheduled", true, None)
    }));
    if pod.node.is_none() && pod.status.reason == world::scheduler::UNSCHEDULABLE {
        conditions.push(condition(
            "PodScheduled",
            false,
            Some(world::scheduler::UNSCHEDULABLE),
        ));
    }
    k8s::PodStatus {
        phase: Some(phase.into()),
        conditions: Some(conditions),
        container_statuses: Some(pod.status.container_ids.iter().map(running).collect()),
        start_time: pod.status.started.map(time),
        ..k8s::PodStatus::default()
    }
}

pub(crate) fn budget(budget: &world::Budget) -> Option<core::Budget> {
    let amount = |amount: world::IntOrPercent| match amount {
        world::IntOrPercent::Int(number) => IntOrString::Int(i32::try_from(number).unwrap_or(i32::MAX)),
        world::IntOrPercent::Percent(percent) => IntOrString::String(format!("{percent}%")),
    };
    let (min_available, max_unavailable) = match budget.demand {
        world::Demand::MinAvailable(wanted) => (Some(amount(wanted)), None),
        world::Demand::MaxUnavailable(wanted) => (None, Some(amount(wanted))),
    };
    let number = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let status = &budget.status;
    let failed = status.sync_failed.as_ref().map(|message| apis::Condition {
        type_: "DisruptionAllowed".into(),
        status: "False".into(),
        reason: "SyncFailed".into(),
        message: message.clone(),
        last_transition_time: time(0),
        observed_generation: None,
    });
    let read = policy::PodDisruptionBudget {
        metadata: meta(&budget.meta),
        spec: Some(policy::PodDisruptionBudgetSpec {
            min_available,
            max_unavailable,
            selector: budget.selector.as_ref().map(selector),
            unhealthy_pod_eviction_policy: Some(
                match budget.unhealthy {
                    world::UnhealthyPolicy::IfHealthyBudget => "IfHealthyBudget",
                    world::UnhealthyPolicy::AlwaysAllow => "AlwaysAllow",
                }
                .into(),
            ),
        }),
        status: Some(policy::PodDisruptionBudgetStatus {
            conditions: Some(failed.into_iter().collect()),
            current_healthy: Some(number(status.current_healthy)),
            desired_healthy: Some(number(status.desired_healthy)),
            disruptions_allowed: Some(number(status.disruptions_allowed)),
            expected_pods: Some(number(status.expected_pods)),
            observed_generation: i64::try_from(status.observed_generation).ok(),
            disrupted_pods: Some(
                status
                    .disrupted_pods
                    .iter()
                    .map(|(pod, charged)| (pod.clone(), time(*charged)))
                    .collect(),
            ),
        }),
    };
    junban_api::convert::budget::read(&read).ok()
}

fn selector(selector: &world::Selector) -> apis::LabelSelector {
    let expression = |expression: &world::Expression| {
        let (key, operator, values) = match expression {
            world::Expression::In { key, values } => (key, "In", values.clone()),
            world::Expression::NotIn { key, values } => (key, "NotIn", values.clone()),
            world::Expression::Exists { key } => (key, "Exists", vec![]),
            world::Expression::DoesNotExist { key } => (key, "DoesNotExist", vec![]),
        };
        apis::LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.into(),
            values: Some(values),
        }
    };
    apis::LabelSelector {
        match_labels: Some(selector.match_labels.clone()),
        match_expressions: Some(selector.expressions.iter().map(expression).collect()),
    }
}

/// A controller of pods; `None` for the world's foreign kinds, which no client can watch.
pub(crate) fn workload(owner: &world::Owner) -> Option<core::Workload> {
    let scaled = !matches!(owner.kind, world::OwnerKind::DaemonSet | world::OwnerKind::Job);
    Some(core::Workload {
        key: workload_key(owner)?,
        version: Version(owner.meta.resource_version),
        replicas: scaled.then(|| u32::try_from(owner.replicas).unwrap_or_default()),
        owner: owner.meta.owner.as_ref().and_then(|above| {
            let kind = kind(above.kind)?;
            Some(WorkloadKey::new(
                kind,
                owner.meta.namespace.clone(),
                above.name.clone(),
            ))
        }),
        template_node: None,
        min_ready: std::time::Duration::from_secs(owner.min_ready_s),
    })
}

pub(crate) fn workload_key(owner: &world::Owner) -> Option<WorkloadKey> {
    let (namespace, name) = (owner.meta.namespace.clone(), owner.meta.name.clone());
    Some(WorkloadKey::new(kind(owner.kind)?, namespace, name))
}

fn kind(kind: world::OwnerKind) -> Option<WorkloadKind> {
    Some(match kind {
        world::OwnerKind::Deployment => WorkloadKind::Deployment,
        world::OwnerKind::ReplicaSet => WorkloadKind::ReplicaSet,
        world::OwnerKind::StatefulSet => WorkloadKind::StatefulSet,
        world::OwnerKind::DaemonSet => WorkloadKind::DaemonSet,
        world::OwnerKind::Job => WorkloadKind::Job,
        world::OwnerKind::ReplicationController => WorkloadKind::ReplicationController,
        world::OwnerKind::Foreign | world::OwnerKind::Pod | world::OwnerKind::Node => return None,
    })
}

/// A claim with the node affinity of its volume: a local volume names its host.
pub(crate) fn claim(claim: &world::Claim, volume: Option<&world::Volume>) -> core::Claim {
    let term = |node: &world::Name| {
        let requirement = k8s::NodeSelectorRequirement {
            key: "kubernetes.io/hostname".into(),
            operator: "In".into(),
            values: Some(vec![node.to_string()]),
        };
        k8s::NodeSelectorTerm {
            match_expressions: Some(vec![requirement]),
            ..k8s::NodeSelectorTerm::default()
        }
    };
    let node = volume.and_then(|volume| volume.node.as_ref());
    let volume = k8s::PersistentVolume {
        spec: Some(k8s::PersistentVolumeSpec {
            node_affinity: node.map(|node| k8s::VolumeNodeAffinity {
                required: Some(k8s::NodeSelector {
                    node_selector_terms: vec![term(node)],
                }),
            }),
            ..k8s::PersistentVolumeSpec::default()
        }),
        ..k8s::PersistentVolume::default()
    };
    let claim = k8s::PersistentVolumeClaim {
        metadata: meta(&claim.meta),
        spec: Some(k8s::PersistentVolumeClaimSpec {
            volume_name: claim.volume.as_ref().map(ToString::to_string),
            ..k8s::PersistentVolumeClaimSpec::default()
        }),
        ..k8s::PersistentVolumeClaim::default()
    };
    junban_api::convert::claim::read(&claim, Some(&volume))
}

pub(crate) fn attachment(attachment: &world::Attachment) -> core::Attachment {
    core::Attachment {
        name: attachment.meta.name.to_string(),
        version: Version(attachment.meta.resource_version),
        node: (&*attachment.node).into(),
        volume: attachment.volume.to_string(),
        attached: attachment.attached,
    }
}

/// A custom object in the form that the conversion reads.
pub fn custom(custom: &world::Custom) -> DynamicObject {
    let mut data = json!({ "spec": custom.spec });
    if !custom.status.is_null() {
        data["status"] = custom.status.clone();
    }
    DynamicObject {
        types: None,
        metadata: meta(&custom.meta),
        data,
    }
}

/// The queue as core reads it.
pub(crate) fn queue(custom: &world::Custom) -> QueueView {
    match junban_api::convert::queue::read(&self::custom(custom)) {
        Ok(queue) => QueueView::Present(Box::new(queue)),
        Err(error) => QueueView::Unreadable(error.to_string()),
    }
}
