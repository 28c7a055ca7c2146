//! Pod to core.

use std::collections::BTreeMap;
use std::time::Duration;

use junban_core::cluster::{Pod, PodPhase, Toleration};
use junban_core::ids::{ClaimKey, NodeName, PodKey, PodUid};
use k8s_openapi::api::core::v1 as k8s;

use super::quantity::{self, Amounts, Round};
use super::{Incomplete, affinity, meta, neighbours, owner, wish};
use crate::names;

/// The default of Kubernetes.
const GRACE_DEFAULT_SECONDS: i64 = 30;

/// Reads a Pod. `namespace` is the namespace that Junban runs in: only there a pod can be Junban's own.
pub fn read(pod: &k8s::Pod, namespace: &str) -> Result<Pod, Incomplete> {
    let meta = meta::read("Pod", &pod.metadata)?;
    let empty = k8s::PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let status = pod.status.as_ref();
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let none = BTreeMap::new();
    let annotations = pod.metadata.annotations.as_ref().unwrap_or(&none);
    let label = |key: &str| labels.get(key).map(String::as_str);
    let grace = pod
        .metadata
        .deletion_grace_period_seconds
        .or(spec.termination_grace_period_seconds)
        .unwrap_or(GRACE_DEFAULT_SECONDS);
    Ok(Pod {
        node: spec
            .node_name
            .as_deref()
            .filter(|node| !node.is_empty())
            .map(NodeName::from),
        fits_nowhere: condition(status, "PodScheduled")
            .is_some_and(|found| found.status == "False" && found.reason.as_deref() == Some("Unschedulable")),
        phase: phase(status),
        ready: condition(status, "Ready").is_some_and(|found| found.status == "True"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        created: meta.created,
        grace: Duration::from_secs(u64::try_from(grace).unwrap_or_default()),
        has_finalizers: pod
            .metadata
            .finalizers
            .as_ref()
            .is_some_and(|names| !names.is_empty()),
        owner: owner::controller(&pod.metadata),
        is_mirror: annotations.contains_key(names::CONFIG_MIRROR) || owner::is_node(&pod.metadata),
        empty_dirs: empty_dirs(spec, annotations.get(names::SAFE_TO_EVICT_LOCAL_VOLUMES)),
        wish: wish::read(&pod.metadata, status),
        claims: claims(spec, &meta.namespace, &meta.name),
        running_containers: running_containers(status),
        requests: requests(spec, status),
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        required_affinity: required_affinity(spec),
        neighbours: neighbours::read(spec, &meta.namespace, &labels),
        is_gated: spec
            .scheduling_gates
            .as_ref()
            .is_some_and(|gates| !gates.is_empty()),
        tolerations: spec.tolerations.iter().flatten().map(toleration).collect(),
        priority: spec.priority.unwrap_or_default(),
        is_junban: meta.namespace == namespace
            && label(names::APP_NAME) == Some(names::APP)
            && label(names::APP_COMPONENT) == Some(names::COMPONENT_CONTROLLER),
        ends: matches!(spec.restart_policy.as_deref(), Some("Never" | "OnFailure")),
        gone_by: pod.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        bound: condition(status, "PodScheduled")
            .filter(|found| found.status == "True")
            .and_then(|found| Some(found.last_transition_time.as_ref()?.0))
            .unwrap_or(meta.created),
        ready_since: condition(status, "Ready")
            .and_then(|found| Some(found.last_transition_time.as_ref()?.0)),
        key: PodKey::new(meta.namespace, meta.name),
        uid: PodUid::new(meta.uid),
        version: meta.version,
        labels,
    })
}

fn phase(status: Option<&k8s::PodStatus>) -> PodPhase {
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Succeeded" | "Failed") => PodPhase::Finished,
        None | Some("Pending" | "") => PodPhase::Pending,
        // Older releases of Kubernetes wrote Unknown for pods of a lost node. Such a pod may still run.
        Some(_) => PodPhase::Running,
    }
}

fn condition<'a>(status: Option<&'a k8s::PodStatus>, kind: &str) -> Option<&'a k8s::PodCondition> {
    let mut conditions = status?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind)
}

/// The emptyDir volumes, without those that an annotation names as expendable (separated by commas).
fn empty_dirs(spec: &k8s::PodSpec, expendable: Option<&String>) -> Vec<String> {
    let expendable: Vec<&str> = expendable
        .into_iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .collect();
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter(|volume| volume.empty_dir.is_some() && !expendable.contains(&volume.name.as_str()))
        .map(|volume| volume.name.clone())
        .collect()
}

/// The claims of a pod. An ephemeral volume has a claim named POD-VOLUME.
fn claims(spec: &k8s::PodSpec, namespace: &str, pod: &str) -> Vec<ClaimKey> {
    let volumes = spec.volumes.iter().flatten();
    let names = volumes.filter_map(|volume| {
        let named = volume
            .persistent_volume_claim
            .as_ref()
            .map(|claim| claim.claim_name.clone());
        named.or_else(|| {
            volume
                .ephemeral
                .as_ref()
                .map(|_| format!("{pod}-{}", volume.name))
        })
    });
    names.map(|name| ClaimKey::new(namespace, name)).collect()
}

fn running_containers(status: Option<&k8s::PodStatus>) -> Vec<String> {
    let Some(status) = status else { return Vec::new() };
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let containers = lists.into_iter().flatten().flatten();
    containers
        .filter(|container| {
            container
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        })
        .filter_map(|container| container.container_id.clone())
        .collect()
}

/// What a scheduler counts: the sum of containers and sidecars, or the largest init container if that is more. A request
/// of the whole pod replaces this. The overhead and one of `pods` are added.
fn requests(spec: &k8s::PodSpec, status: Option<&k8s::PodStatus>) -> Amounts {
    let of = |container: &k8s::Container| container_requests(container, status);
    let mut sum = Amounts::new();
    spec.containers
        .iter()
        .for_each(|container| quantity::add(&mut sum, &of(container)));
    let mut sidecars = Amounts::new();
    let mut start = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let mut beside = of(container);
        quantity::add(&mut beside, &sidecars);
        quantity::raise(&mut start, &beside);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = beside;
        }
    }
    quantity::add(&mut sum, &sidecars);
    quantity::raise(&mut sum, &start);
    let whole = spec
        .resources
        .as_ref()
        .and_then(|resources| resources.requests.as_ref());
    sum.extend(quantity::amounts(whole, Round::Up));
    quantity::add(&mut sum, &quantity::amounts(spec.overhead.as_ref(), Round::Up));
    quantity::add(&mut sum, &BTreeMap::from([("pods".to_owned(), 1)]));
    sum
}

/// The requests of one container. A container that is being resized counts with the largest of what it asks for, what
/// the kubelet has allocated, and what it has. If the kubelet can never meet the resize, what it asks for does not count.
fn container_requests(container: &k8s::Container, status: Option<&k8s::PodStatus>) -> Amounts {
    let asked = container
        .resources
        .as_ref()
        .and_then(|resources| resources.requests.as_ref());
    let mut requests = quantity::amounts(asked, Round::Up);
    let Some(status) = status else { return requests };
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let Some(known) = lists
        .into_iter()
        .flatten()
        .flatten()
        .find(|known| known.name == container.name)
    else {
        return requests;
    };
    let has = known
        .resources
        .as_ref()
        .and_then(|resources| resources.requests.as_ref());
    if has.is_some()
        && condition(Some(status), "PodResizePending")
            .is_some_and(|found| found.status == "True" && found.reason.as_deref() == Some("Infeasible"))
    {
        requests.clear();
    }
    for list in [has, known.allocated_resources.as_ref()] {
        quantity::raise(&mut requests, &quantity::amounts(list, Round::Up));
    }
    requests
}

fn required_affinity(spec: &k8s::PodSpec) -> Vec<junban_core::selector::Selector> {
    spec.affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        })
        .map(affinity::terms)
        .unwrap_or_default()
}

fn toleration(toleration: &k8s::Toleration) -> Toleration {
    let is_exists = toleration.operator.as_deref() == Some("Exists");
    Toleration {
        key: toleration.key.clone().unwrap_or_default(),
        value: (!is_exists).then(|| toleration.value.clone().unwrap_or_default()),
        effect: toleration.effect.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
#[path = "tests/pod.rs"]
mod tests;
