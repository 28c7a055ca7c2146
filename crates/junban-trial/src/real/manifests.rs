//! Junban's queue, policies and rights as a scenario sets them.

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::json::items;
use crate::scenario::model::{Right, Scenario};
use crate::scenario::settings;
use crate::testbed::Testbed;

/// The name of the controller's account and of its ClusterRole.
const ACCOUNT: &str = "junban";
/// The role that lets the controller delete pods in a namespace. An administrator binds it there.
const FORCE: &str = "junban-force";

/// Binds the rights that the scenario needs, and applies its queue and policies.
pub(super) fn apply(bed: &Testbed, scenario: &Scenario) -> Result<()> {
    bind_force(bed, scenario)?;
    apply_queue(bed, scenario)?;
    for name in scenario.policy_names() {
        apply_policy(bed, scenario, name)?;
    }
    Ok(())
}

/// Applies the queue of the scenario.
pub(super) fn apply_queue(bed: &Testbed, scenario: &Scenario) -> Result<()> {
    let ready = &bed.ready;
    let etcd = etcd_members(&ready.etcd.health, settings::etcd_nodes(scenario).len());
    let spec = settings::queue_spec(scenario, &ready.api_servers, &etcd, now());
    bed.apply_all(&[object("RebootQueue", junban_api::names::QUEUE, spec)])
}

/// URLs for at least `nodes` etcd members, if so many spellings exist. A simulated machine runs no etcd, so each node that
/// a scenario labels as carrying etcd stands for a real member, under another spelling of its URL.
fn etcd_members(real: &[String], nodes: usize) -> Vec<String> {
    let by_name = |url: &String| url.replace("127.0.0.1", "localhost");
    let names: Vec<String> = real.iter().map(by_name).collect();
    let bare = [real.to_vec(), names].concat();
    let slashed: Vec<String> = bare.iter().map(|url| format!("{url}/")).collect();
    let all = [bare, slashed].concat();
    all.into_iter().take(nodes.max(real.len())).collect()
}

/// Applies a policy of the scenario.
pub(super) fn apply_policy(bed: &Testbed, scenario: &Scenario, name: &str) -> Result<()> {
    let spec = settings::policy_spec(scenario, name, &bed.ready.power_command, now());
    bed.apply_all(&[object("RebootPolicy", name, spec)])
}

/// Takes a right from the controller's account. The account must have it.
pub(super) fn deny(bed: &Testbed, right: &Right) -> Result<()> {
    let (verb, resource) = match right {
        Right::DeletePodsIn(namespace) => {
            let of_force = ["-n", namespace, "delete", "rolebinding", FORCE];
            return bed.kubectl(&of_force).map(drop);
        }
        Right::Cluster { verb, resource } => (verb.as_str(), resource.as_str()),
    };
    let known = bed.get(&["clusterrole", ACCOUNT])?;
    let rules = without(items(&known["rules"]), verb, resource);
    if known["rules"] == json!(rules) {
        bail!("the account has no right to {verb} {resource}");
    }
    let patch = json!([{"op": "replace", "path": "/rules", "value": rules}]);
    bed.patch("json", &["clusterrole", ACCOUNT], &patch)
}

/// The rules without one right. A rule that grants this right and others is split.
fn without(rules: &[Value], verb: &str, resource: &str) -> Vec<Value> {
    let less = |list: &Value, word: &str| {
        let words = items(list).iter();
        words.filter(|one| *one != word).cloned().collect::<Vec<_>>()
    };
    let mut rest = Vec::new();
    for rule in rules {
        let (verbs, resources) = (less(&rule["verbs"], verb), less(&rule["resources"], resource));
        let grants = json!(verbs) != rule["verbs"] && json!(resources) != rule["resources"];
        if !grants {
            rest.push(rule.clone());
            continue;
        }
        let part = |resources: Vec<Value>, verbs: Vec<Value>| {
            let mut part = rule.clone();
            part["resources"] = json!(resources);
            part["verbs"] = json!(verbs);
            part
        };
        if !resources.is_empty() {
            rest.push(part(resources, items(&rule["verbs"]).to_vec()));
        }
        if !verbs.is_empty() {
            rest.push(part(vec![json!(resource)], verbs));
        }
    }
    rest
}

/// Gives the account the rights of the manifests and of the bindings again.
pub(super) fn allow_everything(bed: &Testbed, scenario: &Scenario) -> Result<()> {
    let account = bed.manifests.join("junban/20-account.yaml").display().to_string();
    bed.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &account])?;
    bind_force(bed, scenario)
}

/// Binds the role for deleting pods in each namespace that a policy names in `drain.deleteAfterDenial`. On a real cluster
/// an administrator does that.
fn bind_force(bed: &Testbed, scenario: &Scenario) -> Result<()> {
    settings::deletes_in(scenario)
        .iter()
        .try_for_each(|namespace| bed.apply_all(&force_binding(namespace)))
}

fn force_binding(namespace: &str) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "RoleBinding",
            "metadata": {"name": FORCE, "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": FORCE},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "junban"}],
        }),
    ]
}

/// Seconds since 1970. The servers of the testbed use the clock of this machine.
pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": junban_api::names::API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_right_is_taken_and_the_other_rights_of_its_rule_stay() {
        let rule = |resources: &[&str], verbs: &[&str]| json!({"apiGroups": [""], "resources": resources, "verbs": verbs});
        let rules = [
            rule(&["nodes"], &["get", "patch"]),
            rule(&["pods", "services"], &["get", "list"]),
            rule(&["pods/eviction"], &["create"]),
        ];
        assert_eq!(without(&rules, "create", "pods/eviction"), rules[..2]);
        assert_eq!(
            without(&rules, "list", "pods")[1..3],
            [rule(&["services"], &["get", "list"]), rule(&["pods"], &["get"])]
        );
        assert_eq!(without(&rules, "delete", "pods"), rules);
    }
}
