//! A scenario's workloads as Kubernetes objects. Annotations tell the testbed how their pods behave.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use junban_world::api::node::ZONE;
use serde_json::{Value, json};

use super::volumes::{claim_templates, has_volume, volumes};
use crate::json::{has_condition, items};
use crate::scenario::facts::{Facts, PodFacts};
use crate::scenario::model::{Budget, Demand, Key, Kind, Scenario, Span, Workload};
use crate::testbed::{ANNOTATION, Testbed};

/// The controller starts without waiting for pods that need this long to start or to become Ready.
const LATE: Duration = Duration::from_secs(60);

/// Makes the workloads, and waits until every pod is on its node and Ready.
pub(super) fn apply(bed: &Testbed, scenario: &Scenario) -> Result<()> {
    label_racks(bed, scenario)?;
    let namespaces = scenario.workloads.iter().map(|at| at.what.key.namespace.as_str());
    let missing = namespaces.filter(|name| !matches!(*name, "default" | "kube-system"));
    for namespace in missing.collect::<BTreeSet<_>>() {
        bed.apply_all(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})])?;
    }
    for at in &scenario.workloads {
        make(bed, scenario, &at.what)?;
    }
    for at in &scenario.budgets {
        bed.apply_all(&[pdb(&at.what)])?;
    }
    // Wait until the budgets have a status and the pods of DaemonSets are Ready.
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

fn label_racks(bed: &Testbed, scenario: &Scenario) -> Result<()> {
    for (index, name) in scenario.nodes.names().iter().enumerate() {
        let label = match scenario.nodes.rack(index, name) {
            Some(rack) => format!("{ZONE}={rack}"),
            None => format!("{ZONE}-"),
        };
        bed.kubectl(&["label", "--overwrite", "node", name, &label])?;
    }
    Ok(())
}

fn make(bed: &Testbed, scenario: &Scenario, workload: &Workload) -> Result<()> {
    let mut objects = volumes(workload, &scenario.nodes.names());
    objects.extend(workload.priority.map(|priority| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": priority_class(priority)}, "value": priority,
        })
    }));
    objects.extend(workload.budget.as_ref().map(pdb));
    if workload.kind == Kind::Custom {
        bed.apply_all(&[config_map(workload)])?;
        for index in 0..workload.replicas as usize {
            let add = || {
                add_pod_of_custom(bed, workload)?;
                wait_until_bound(bed, workload, index + 1)
            };
            match workload.on.get(index) {
                Some(place) => with_only(bed, scenario, place, add)?,
                None => add()?,
            }
        }
        return wait_for_pods(bed, workload);
    }
    let is_placed = !workload.on.is_empty();
    let mut object = object(workload, if is_placed { 0 } else { workload.replicas });
    if let Some(owner) = &workload.owner_pod {
        let pod = bed.get(&["-n", &workload.key.namespace, "pod", owner])?;
        object["metadata"]["ownerReferences"] = controlled_by("Pod", owner, &pod);
    }
    objects.push(object);
    if let (Kind::Pod, Some(place)) = (workload.kind, workload.on.first()) {
        with_only(bed, scenario, place, || {
            bed.apply_all(&objects)?;
            wait_until_bound(bed, workload, 1)
        })?;
    } else {
        bed.apply_all(&objects)?;
        if is_placed {
            place(bed, scenario, workload)?;
        }
    }
    wait_for_pods(bed, workload)
}

/// Makes one pod after the other, each on its node.
fn place(bed: &Testbed, scenario: &Scenario, workload: &Workload) -> Result<()> {
    for (index, place) in workload.on.iter().enumerate() {
        with_only(bed, scenario, place, || {
            scale(bed, workload, index + 1)?;
            wait_until_bound(bed, workload, index + 1)
        })?;
    }
    scale(bed, workload, workload.replicas as usize)
}

/// Does something while every other node is cordoned. The pods do not name their node: such a pod bypasses the scheduler,
/// and so does every pod that its controller makes in its place.
fn with_only(bed: &Testbed, scenario: &Scenario, node: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let nodes = scenario.nodes.names();
    let others: Vec<&str> = nodes
        .iter()
        .map(String::as_str)
        .filter(|name| *name != node)
        .collect();
    if others.is_empty() {
        return act();
    }
    bed.kubectl(&[&["cordon"], others.as_slice()].concat())?;
    act()?;
    bed.kubectl(&[&["uncordon"], others.as_slice()].concat())?;
    Ok(())
}

fn wait_until_bound(bed: &Testbed, workload: &Workload, count: usize) -> Result<()> {
    let what = format!("\"pod {count} of {} is bound\"", workload.key);
    wait_until(workload, &what, || {
        let pods = pods(bed, workload)?.into_iter();
        Ok(pods.filter(|pod| pod["spec"]["nodeName"].is_string()).count() >= count)
    })
}

fn scale(bed: &Testbed, workload: &Workload, replicas: usize) -> Result<()> {
    let Key { namespace, name } = &workload.key;
    let spec = match workload.kind {
        Kind::Job => json!({"parallelism": replicas}),
        _ => json!({"replicas": replicas}),
    };
    let kind = format!("{:?}", workload.kind).to_lowercase();
    bed.patch("merge", &["-n", namespace, &kind, name], &json!({"spec": spec}))
}

fn wait_for_pods(bed: &Testbed, workload: &Workload) -> Result<()> {
    let is_late = workload.start.from.max(workload.ready.from) >= LATE;
    if workload.kind == Kind::DaemonSet || workload.runs_for.is_some() || is_late {
        return Ok(());
    }
    let is_up = |pod: &&Value| {
        has_condition(pod, "Ready") || (workload.never_ready && pod["status"]["phase"] == "Running")
    };
    let what = format!("\"the pods of {} are up\"", workload.key);
    wait_until(workload, &what, || {
        Ok(pods(bed, workload)?.iter().filter(is_up).count() >= workload.replicas as usize)
    })
}

/// Plays the operators of the custom owners: makes a new pod for each of their pods that ended or is terminating.
pub(super) fn operate(bed: &Testbed, scenario: &Scenario, facts: &Facts) -> Result<()> {
    let customs = scenario
        .workloads
        .iter()
        .filter(|at| at.what.kind == Kind::Custom);
    for workload in customs.map(|at| &at.what) {
        let key = workload.key.to_string();
        let is_there = |pod: &&PodFacts| pod.workload == key && !pod.terminating;
        // The watch may be late, so a list decides.
        if facts.pods.values().filter(is_there).count() == workload.replicas as usize
            && !workload.restarts_never
        {
            continue;
        }
        let is_active = |pod: &&Value| {
            let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            !ended && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let active = pods(bed, workload)?.iter().filter(is_active).count();
        for _ in active..workload.replicas as usize {
            add_pod_of_custom(bed, workload)?;
        }
    }
    Ok(())
}

/// The object that plays a custom resource: Junban does not watch ConfigMaps.
fn config_map(workload: &Workload) -> Value {
    let Key { namespace, name } = &workload.key;
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}})
}

fn add_pod_of_custom(bed: &Testbed, workload: &Workload) -> Result<()> {
    let Key { namespace, name } = &workload.key;
    let owner = bed.get(&["-n", namespace, "configmap", name])?;
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let mut object = pod(workload);
    object["apiVersion"] = json!("v1");
    object["kind"] = json!("Pod");
    object["metadata"]["name"] = json!(format!("{name}-{nanos:x}"));
    object["metadata"]["namespace"] = json!(namespace);
    object["metadata"]["ownerReferences"] = controlled_by("ConfigMap", name, &owner);
    bed.apply_all(&[object])
}

fn controlled_by(kind: &str, name: &str, owner: &Value) -> Value {
    json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": owner["metadata"]["uid"], "controller": true}])
}

/// Waits for a minute, and for the time that the pods need if they start one after the other, as in a StatefulSet.
fn wait_until(workload: &Workload, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let own = workload.start.to + workload.ready.to;
    let patience = Duration::from_secs(60) + own * workload.replicas;
    let began = Instant::now();
    while began.elapsed() < patience {
        if holds()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(150));
    }
    bail!("{what} is not true after {} s", patience.as_secs())
}

fn pods(bed: &Testbed, workload: &Workload) -> Result<Vec<Value>> {
    let Key { namespace, name } = &workload.key;
    let list = bed.get(&["-n", namespace, "pods", "-l", &format!("app={name}")])?;
    Ok(items(&list["items"]).to_vec())
}

fn object(workload: &Workload, replicas: u32) -> Value {
    let Key { namespace, name } = &workload.key;
    let pod = pod(workload);
    let metadata = json!({"name": name, "namespace": namespace});
    match workload.kind {
        Kind::Pod => {
            let mut metadata = pod["metadata"].clone();
            metadata["name"] = json!(name);
            metadata["namespace"] = json!(namespace);
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]})
        }
        Kind::Job => json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
            "spec": {"template": pod, "completions": workload.replicas, "parallelism": replicas, "backoffLimit": 20},
        }),
        kind => {
            let mut spec = json!({"selector": {"matchLabels": {"app": name}}, "template": pod});
            if kind != Kind::DaemonSet {
                spec["replicas"] = json!(replicas);
                spec["minReadySeconds"] = json!(workload.min_ready.as_secs());
            }
            if kind == Kind::StatefulSet {
                spec["serviceName"] = json!(name);
                spec["volumeClaimTemplates"] = claim_templates(workload);
            }
            json!({"apiVersion": "apps/v1", "kind": format!("{kind:?}"), "metadata": metadata, "spec": spec})
        }
    }
}

fn pod(workload: &Workload) -> Value {
    let mut labels = json!(workload.labels);
    labels["app"] = json!(workload.key.name);
    let mut spec = json!({
        "terminationGracePeriodSeconds": workload.grace.map_or(30, |grace| grace.as_secs()),
        "containers": [{
            "name": "main", "image": "none",
            "resources": {"requests": {
                "cpu": workload.cpu.as_ref().map_or("100m", |cpu| &cpu.text),
                "memory": workload.memory.as_ref().map_or("128Mi", |memory| &memory.text),
            }},
        }],
    });
    if workload.kind == Kind::Job || workload.restarts_never {
        spec["restartPolicy"] = json!("Never");
    }
    if let Some(spread) = &workload.hard_spread {
        spec["topologySpreadConstraints"] = json!([{
            "maxSkew": spread.skew, "topologyKey": spread.key, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": workload.key.name}},
            "nodeTaintsPolicy": if spread.honors_taints { "Honor" } else { "Ignore" },
        }]);
    }
    if let Some(priority) = workload.priority {
        // The class is made for the run: only the admission plugin of classes writes spec.priority.
        spec["priorityClassName"] = json!(priority_class(priority));
    }
    if let Some(node) = &workload.only_on {
        spec["nodeSelector"] = json!({ "kubernetes.io/hostname": node });
    }
    let tolerated = workload.tolerates.iter();
    let tolerated =
        tolerated.map(|taint| json!({"key": taint.key, "operator": "Equal", "value": taint.value}));
    let key = junban_api::names::UNSCHEDULABLE;
    let cordon = workload
        .tolerates_unschedulable
        .then(|| json!({"key": key, "operator": "Exists"}));
    spec["tolerations"] = tolerated.chain(cordon).collect();
    if workload.kind == Kind::DaemonSet {
        spec["tolerations"] = json!([{"operator": "Exists"}]);
    }
    if workload.spread {
        let term = json!({"labelSelector": {"matchLabels": {"app": workload.key.name}}, "topologyKey": "kubernetes.io/hostname"});
        spec["affinity"] =
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
    }
    let mut volumes = Vec::new();
    if workload.empty_dir {
        volumes.push(json!({"name": "scratch", "emptyDir": {}}));
    }
    if has_volume(workload) && workload.kind != Kind::StatefulSet {
        volumes.push(json!({"name": "data", "persistentVolumeClaim": {"claimName": format!("data-{}", workload.key.name)}}));
    }
    spec["volumes"] = json!(volumes);
    json!({
        "metadata": {
            "labels": labels, "annotations": annotations(workload),
            "finalizers": workload.finalizer.iter().collect::<Vec<_>>(),
        },
        "spec": spec,
    })
}

fn priority_class(priority: i32) -> String {
    format!("priority-{}", priority.to_string().replace('-', "minus-"))
}

fn annotations(workload: &Workload) -> Value {
    let mut all = workload.annotations.clone();
    let mut set = |key: &str, value: String| all.insert(format!("{ANNOTATION}{key}"), value);
    let seconds = |span: Span| (span.from.as_secs_f64() + span.to.as_secs_f64()) / 2.0;
    set("start-seconds", seconds(workload.start).to_string());
    set("ready-seconds", seconds(workload.ready).to_string());
    set("terminate-seconds", seconds(workload.stop).to_string());
    if workload.ignores_sigterm {
        set("ignore-sigterm", "true".into());
    }
    if workload.never_ready {
        set("never-ready", "true".into());
    }
    if workload.never_stops {
        set("never-terminates", "true".into());
    }
    // Without this annotation the testbed ends work after 10 s.
    let run = workload.runs_for.map_or(0.0, |run| run.as_secs_f64());
    set("run-seconds", run.to_string());
    json!(all)
}

fn pdb(budget: &Budget) -> Value {
    let (field, value) = match &budget.demand {
        Demand::MaxUnavailable(value) => ("maxUnavailable", value),
        Demand::MinAvailable(value) => ("minAvailable", value),
    };
    let mut spec = json!({"selector": {"matchLabels": {"app": budget.selects}}, field: value});
    if budget.always_allow_unhealthy {
        spec["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
    }
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": budget.key.name, "namespace": budget.key.namespace}, "spec": spec,
    })
}
