//! Turns objects as the API shows them into objects of the simulated world. The checkers and the facts of a scenario know
//! no others.

use std::collections::BTreeMap;
use std::sync::Arc;

use junban_api::convert::{bytes_or_units, millicores};
use junban_api::names;
use junban_world::{
    Attachment, Budget, BudgetStatus, Custom, Demand, Effect, IntOrPercent, Meta, Ms, Node, NodeStatus,
    Object, Owner, OwnerKind, OwnerRef, Phase, Pod, PodStatus, PodTemplate, Ready, Selector, Taint,
    Toleration, UnhealthyPolicy,
};
use kube::api::DynamicObject;
use serde_json::Value;

use crate::json::{has_condition, items, text};

/// `None` for a kind that the world does not have. A newer object has a higher `order`.
pub(super) fn object(kind: &str, object: &DynamicObject, order: u64) -> Option<Object> {
    let (meta, spec, status) = (meta(object, order), &object.data["spec"], &object.data["status"]);
    Some(match kind {
        "Node" => Object::Node(Arc::new(node(meta, object))),
        "Pod" => {
            let grace = object.metadata.deletion_grace_period_seconds;
            let grace_s = u64::try_from(grace.unwrap_or_default()).unwrap_or_default();
            Object::Pod(Arc::new(pod(meta, grace_s, &object.data)))
        }
        "PodDisruptionBudget" => Object::Budget(Arc::new(budget(meta, spec, status))),
        "VolumeAttachment" => Object::Attachment(Arc::new(Attachment {
            meta,
            node: text(&spec["nodeName"]).into(),
            volume: text(&spec["source"]["persistentVolumeName"]).into(),
            attached: true,
        })),
        "RebootQueue" | "RebootPolicy" | "NodeReboot" => Object::Custom(Arc::new(Custom {
            kind: kind.to_owned(),
            meta,
            spec: spec.clone(),
            status: status.clone(),
        })),
        _ => {
            let kind = owner_kind(kind)?;
            let replicas = spec["replicas"].as_i64().or(spec["parallelism"].as_i64());
            Object::Owner(Arc::new(Owner {
                kind,
                meta,
                replicas: replicas.unwrap_or_default(),
                selector: selector(&spec["selector"]),
                template: Arc::default(),
                complete: false,
                min_ready_s: spec["minReadySeconds"].as_u64().unwrap_or_default(),
            }))
        }
    })
}

/// The manager who cordoned a Node, as `managedFields` names it.
fn manager_of_cordon(object: &DynamicObject) -> Option<String> {
    let mut entries = object.metadata.managed_fields.iter().flatten();
    let owner = entries.find(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:unschedulable").is_some())
    })?;
    owner.manager.clone()
}

/// Who cordoned or uncordoned a Node. Nothing in a Node says who uncordoned it. Junban does that in the same write in
/// which it takes its mark away.
pub(super) fn cordoned_by(old: Option<&Node>, new: &Node) -> String {
    let is_marked = |node: &Node| node.meta.annotations.contains_key(names::MARK);
    if new.unschedulable {
        return new.unschedulable_manager.clone().unwrap_or_default();
    }
    let by_junban = old.is_some_and(is_marked) && !is_marked(new);
    if by_junban {
        names::FIELD_MANAGER
    } else {
        "somebody"
    }
    .to_owned()
}

/// Whether the Eviction API has marked this pod for its deletion.
pub(super) fn is_evicted(pod: &DynamicObject) -> bool {
    let conditions = items(&pod.data["status"]["conditions"]);
    let mut reasons = conditions.iter().filter(|one| one["type"] == "DisruptionTarget");
    reasons.any(|one| one["reason"] == "EvictionByEvictionAPI")
}

/// How many endpoints of an EndpointSlice are ready, and its Service.
pub(super) fn endpoints(slice: &DynamicObject) -> (&str, u64) {
    let labels = slice.metadata.labels.as_ref();
    let service = labels.and_then(|labels| labels.get("kubernetes.io/service-name"));
    let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != Value::Bool(false);
    let ready = items(&slice.data["endpoints"]).iter().filter(is_ready).count();
    (service.map_or("", String::as_str), ready as u64)
}

fn meta(object: &DynamicObject, order: u64) -> Meta {
    let meta = &object.metadata;
    let owners = meta.owner_references.iter().flatten();
    let controller = owners.into_iter().find(|owner| owner.controller == Some(true));
    // `deletionTimestamp` is the end of the grace period.
    let gone_by = meta
        .deletion_timestamp
        .as_ref()
        .map(|time| time.0.as_millisecond());
    let grace = meta.deletion_grace_period_seconds.unwrap_or_default() * 1000;
    Meta {
        name: meta.name.as_deref().unwrap_or_default().into(),
        namespace: meta.namespace.as_deref().unwrap_or_default().into(),
        uid: meta.uid.as_deref().unwrap_or_default().into(),
        labels: meta.labels.clone().unwrap_or_default(),
        annotations: meta.annotations.clone().unwrap_or_default(),
        created: order,
        deleted: gone_by.map(|gone_by| Ms::try_from(gone_by - grace).unwrap_or_default()),
        owner: controller.map(|owner| OwnerRef {
            kind: owner_kind(&owner.kind).unwrap_or(OwnerKind::Foreign),
            name: owner.name.as_str().into(),
            uid: owner.uid.as_str().into(),
        }),
        ..Meta::default()
    }
}

fn owner_kind(kind: &str) -> Option<OwnerKind> {
    use OwnerKind::{DaemonSet, Deployment, Job, Node, Pod, ReplicaSet, ReplicationController, StatefulSet};
    let kinds = [
        Deployment,
        ReplicaSet,
        StatefulSet,
        DaemonSet,
        Job,
        ReplicationController,
        Pod,
        Node,
    ];
    kinds.into_iter().find(|one| one.as_str() == kind)
}

fn node(meta: Meta, object: &DynamicObject) -> Node {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let mut conditions = items(&status["conditions"]).iter();
    let ready = conditions.find(|one| one["type"] == "Ready");
    Node {
        meta,
        unschedulable: spec["unschedulable"].as_bool().unwrap_or_default(),
        unschedulable_manager: manager_of_cordon(object),
        taints: items(&spec["taints"]).iter().filter_map(taint).collect(),
        status: NodeStatus {
            ready: match ready.map(|ready| text(&ready["status"])) {
                Some("True") => Ready::True,
                Some("False") => Ready::False,
                _ => Ready::Unknown,
            },
            boot_id: text(&status["nodeInfo"]["bootID"]).to_owned(),
            system_uuid: text(&status["nodeInfo"]["systemUUID"]).to_owned(),
            allocatable: allocatable(&status["allocatable"]),
            ..NodeStatus::default()
        },
    }
}

/// CPU in milli-CPUs, everything else in bytes or pieces.
fn allocatable(resources: &Value) -> BTreeMap<String, i64> {
    let amount = |(name, value): (&String, &Value)| {
        let read = if name == "cpu" { millicores } else { bytes_or_units };
        Some((name.clone(), read(text(value))?))
    };
    let resources = resources.as_object().into_iter().flatten();
    resources.filter_map(amount).collect()
}

fn taint(taint: &Value) -> Option<Taint> {
    let (key, value) = (text(&taint["key"]), text(&taint["value"]));
    Some(Taint::new(key, value, effect(&taint["effect"])?))
}

fn effect(effect: &Value) -> Option<Effect> {
    Some(match text(effect) {
        "NoSchedule" => Effect::NoSchedule,
        "PreferNoSchedule" => Effect::PreferNoSchedule,
        "NoExecute" => Effect::NoExecute,
        _ => return None,
    })
}

fn toleration(toleration: &Value) -> Toleration {
    let word = |field: &str| toleration[field].as_str().map(str::to_owned);
    let is_any = toleration["operator"] == "Exists";
    Toleration {
        key: word("key"),
        value: (!is_any).then(|| word("value").unwrap_or_default()),
        effect: effect(&toleration["effect"]),
    }
}

fn pod(meta: Meta, grace_s: u64, data: &Value) -> Pod {
    let (spec, status) = (&data["spec"], &data["status"]);
    let template = PodTemplate {
        tolerations: items(&spec["tolerations"]).iter().map(toleration).collect(),
        restarts_never: spec["restartPolicy"] == "Never",
        ..PodTemplate::default()
    };
    Pod {
        meta,
        template: Arc::new(template),
        node: spec["nodeName"].as_str().map(Into::into),
        deletion_grace_s: grace_s,
        status: PodStatus {
            phase: match text(&status["phase"]) {
                "Running" => Phase::Running,
                "Succeeded" => Phase::Succeeded,
                "Failed" => Phase::Failed,
                _ => Phase::Pending,
            },
            ready: has_condition(data, "Ready"),
            ..PodStatus::default()
        },
        ..Pod::default()
    }
}

/// The demand is not read: the status says what it comes to.
fn budget(meta: Meta, spec: &Value, status: &Value) -> Budget {
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    Budget {
        meta,
        selector: spec["selector"].is_object().then(|| selector(&spec["selector"])),
        demand: Demand::MaxUnavailable(IntOrPercent::Int(0)),
        unhealthy: UnhealthyPolicy::default(),
        status: BudgetStatus {
            disruptions_allowed: number("disruptionsAllowed"),
            current_healthy: number("currentHealthy"),
            desired_healthy: number("desiredHealthy"),
            expected_pods: number("expectedPods"),
            ..BudgetStatus::default()
        },
    }
}

/// The objects of the testbed select by `matchLabels` alone.
fn selector(selector: &Value) -> Selector {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    Selector {
        match_labels: labels
            .map(|(key, value)| (key.clone(), text(value).to_owned()))
            .collect(),
        expressions: vec![],
    }
}
