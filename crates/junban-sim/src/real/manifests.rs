//! The product's own manifests, with the scenario's settings on top.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::testbed::Testbed;
use super::{Options, Trouble};
use crate::scenario::model::Scenario;
use crate::scenario::settings;

/// Applies CRDs, account, rights, admission policies, defaults, and then what the scenario says.
pub(super) fn apply(bed: &Testbed, scenario: &Scenario, options: &Options) -> Result<(), Trouble> {
    let path = |name: &str| options.manifests.join(name).display().to_string();
    bed.kubectl(&["apply", "--server-side", "-f", &path("crds")])?;
    let of_ours = "app.kubernetes.io/name=junban";
    bed.kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd",
        "-l",
        of_ours,
    ])?;
    let mut files = sorted(&options.manifests.join("junban"))?;
    // The controller runs as a process beside the cluster.
    files.retain(|file| !file.contains("controller"));
    files.push(path("defaults"));
    let mut arguments = vec!["apply", "--server-side"];
    for file in &files {
        arguments.extend(["-f", file]);
    }
    bed.kubectl(&arguments)?;
    apply_queue(bed, scenario)?;
    for name in policies(scenario) {
        apply_policy(bed, scenario, &name)?;
    }
    Ok(())
}

fn sorted(folder: &std::path::Path) -> Result<Vec<String>, Trouble> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        files.push(entry?.path().display().to_string());
    }
    files.sort();
    Ok(files)
}

fn policies(scenario: &Scenario) -> Vec<String> {
    let mut names = vec!["workers".to_owned(), "control-plane".to_owned()];
    names.extend(
        scenario
            .policies
            .keys()
            .filter(|name| !matches!(name.as_str(), "workers" | "control-plane"))
            .cloned(),
    );
    names
}

/// The queue as the scenario has it.
pub(super) fn apply_queue(bed: &Testbed, scenario: &Scenario) -> Result<(), Trouble> {
    let mut spec = json!({});
    if scenario.nodes.control_planes > 1 {
        spec["controlPlane"] = json!({"apiServers": bed.info.api_servers, "etcd": bed.info.etcd.health});
    }
    settings::apply(&mut spec, &scenario.queue, now());
    bed.apply(&[object("RebootQueue", junban_api::names::QUEUE, spec)])
}

/// A policy as the scenario has it.
pub(super) fn apply_policy(bed: &Testbed, scenario: &Scenario, name: &str) -> Result<(), Trouble> {
    let mut spec = json!({"reboot": {"ladder": [{"driver": "command", "command": bed.info.power_command}]}});
    let operator = match name {
        "workers" => Some("DoesNotExist"),
        "control-plane" => Some("Exists"),
        _ => None,
    };
    if let Some(operator) = operator {
        spec["priority"] = json!(-1000);
        let key = junban_api::names::CONTROL_PLANE;
        spec["nodeSelector"] = json!({"matchExpressions": [{"key": key, "operator": operator}]});
    }
    let none = Vec::new();
    settings::apply(&mut spec, scenario.policies.get(name).unwrap_or(&none), now());
    let named = spec["drain"]["deleteAfterDenial"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for namespace in named.iter().filter_map(Value::as_str) {
        bed.apply(&force_binding(namespace))?;
    }
    bed.apply(&[object("RebootPolicy", name, spec)])
}

/// What an administrator binds by hand in each namespace that a policy names in `drain.deleteAfterDenial`.
fn force_binding(namespace: &str) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "RoleBinding",
            "metadata": {"name": "junban-force", "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "junban-force"},
            "subjects": [{"kind": "ServiceAccount", "name": "junban", "namespace": "junban"}],
        }),
    ]
}

/// Seconds since 1970; the testbed's servers are on this machine.
pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": junban_api::names::API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
}
