//! Checks the hand-written manifests. `cargo xtask api-check` also checks them on a real API server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use junban_api::names;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
}

fn documents(path: &str) -> Vec<Value> {
    let path = folder().join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

fn of_kind(path: &str, kind: &str) -> Vec<Value> {
    documents(path)
        .into_iter()
        .filter(|document| document["kind"] == kind)
        .collect()
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Rules as lines of the golden file: the verbs of each scope and resource.
fn flatten(scope: &str, rules: &Value, into: &mut BTreeMap<String, BTreeSet<String>>) {
    for rule in rules.as_array().unwrap() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                let suffix = if group.is_empty() {
                    String::new()
                } else {
                    format!(".{group}")
                };
                let names = words(&rule["resourceNames"]);
                let names = if names.is_empty() { vec![""] } else { names };
                for name in names {
                    let name = if name.is_empty() {
                        String::new()
                    } else {
                        format!("/{name}")
                    };
                    let verbs = words(&rule["verbs"]).into_iter().map(str::to_owned);
                    into.entry(format!("{scope}: {resource}{suffix}{name}"))
                        .or_default()
                        .extend(verbs);
                }
            }
        }
    }
}

#[test]
fn the_account_has_exactly_the_rights_of_the_golden_list() {
    let mut rights = BTreeMap::new();
    for role in of_kind("junban/20-account.yaml", "ClusterRole") {
        flatten("cluster", &role["rules"], &mut rights);
    }
    for role in of_kind("junban/20-account.yaml", "Role") {
        flatten(
            role["metadata"]["namespace"].as_str().unwrap(),
            &role["rules"],
            &mut rights,
        );
    }
    let lines: BTreeSet<String> = rights
        .iter()
        .map(|(what, verbs)| format!("{what}: {}", verbs.iter().cloned().collect::<Vec<_>>().join(" ")))
        .collect();
    let golden: BTreeSet<String> = include_str!("golden/rights.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(str::to_owned)
        .collect();
    assert_eq!(lines, golden);
}

/// Without this right a person is not told that no controller leads.
#[test]
fn people_may_read_the_lease_of_the_controller() {
    let roles = of_kind("junban/22-people.yaml", "ClusterRole");
    assert_eq!(roles.len(), 2);
    for role in roles {
        let mut rights = BTreeMap::new();
        flatten("cluster", &role["rules"], &mut rights);
        let lease = &rights["cluster: leases.coordination.k8s.io/junban"];
        assert!(
            lease.iter().eq(["get"]),
            "{}: {lease:?}",
            role["metadata"]["name"]
        );
    }
}

/// The rights that the account must never have (docs/design/safety.md#c6).
#[test]
fn the_golden_list_has_no_right_that_the_account_must_never_have() {
    let golden: Vec<&str> = include_str!("golden/rights.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(golden.len() > 20);
    for line in golden {
        let mut parts = line.split(": ").skip(1);
        let (resource, verbs) = (parts.next().unwrap(), parts.next().unwrap());
        assert!(!resource.contains('*') && !verbs.contains('*'), "{line}");
        for never in [
            "secrets",
            "nodes/status",
            "nodes/proxy",
            "pods/exec",
            "serviceaccounts",
            "roles",
            "subjectaccess",
        ] {
            assert!(!resource.contains(never), "{line}");
        }
        for never in ["escalate", "bind", "impersonate", "deletecollection"] {
            assert!(!verbs.split(' ').any(|verb| verb == never), "{line}");
        }
        let deletes = verbs.split(' ').any(|verb| verb == "delete");
        assert!(!deletes || resource == "nodereboots.junban.dev", "{line}");
    }
}

#[test]
fn the_account_is_bound_and_the_force_role_is_not() {
    let all: Vec<Value> = ["20-account", "21-force", "22-people", "40-controller"]
        .iter()
        .flat_map(|name| documents(&format!("junban/{name}.yaml")))
        .collect();
    let bound: Vec<&Value> = all
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("Binding"))
        .collect();
    assert_eq!(bound.len(), 4);
    for binding in bound {
        assert_eq!(binding["roleRef"]["name"], names::SERVICE_ACCOUNT);
        assert_eq!(binding["subjects"].as_array().unwrap().len(), 1);
        assert_eq!(binding["subjects"][0]["namespace"], names::NAMESPACE);
    }
    let force = &documents("junban/21-force.yaml")[0];
    assert_eq!(force["metadata"]["name"], names::FORCE_ROLE);
}

/// Commands read what the controller reads.
#[test]
fn the_role_for_viewers_may_read_what_the_account_reads() {
    let of = |path: &str, name: &str| {
        let roles = of_kind(path, "ClusterRole");
        let role = roles
            .iter()
            .find(|role| role["metadata"]["name"] == name)
            .unwrap();
        let mut rights = BTreeMap::new();
        flatten("cluster", &role["rules"], &mut rights);
        rights
    };
    let view = of("junban/22-people.yaml", "junban-view");
    for (what, verbs) in of("junban/20-account.yaml", "junban") {
        if verbs.contains("list") {
            assert!(
                view.get(&what).is_some_and(|verbs| verbs.contains("list")),
                "{what}"
            );
        }
    }
    assert!(
        view.values()
            .flatten()
            .all(|verb| ["get", "list", "watch"].contains(&verb.as_str()))
    );
}

/// The restricted profile of pod security; never on a worker (docs/design/safety.md#c7).
#[test]
fn the_controller_passes_restricted_pod_security_and_stays_off_workers() {
    let deployment = &of_kind("junban/40-controller.yaml", "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 2);
    let pod = &deployment["spec"]["template"]["spec"];
    for host in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
        assert!(pod.get(host).is_none(), "{host}");
    }
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert!(pod["securityContext"]["runAsUser"].as_i64().unwrap() > 0);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(words(&context["capabilities"]["drop"]), ["ALL"]);
        assert!(context.get("privileged").is_none() && context["capabilities"].get("add").is_none());
        assert!(container["livenessProbe"]["httpGet"]["path"] == "/healthz");
        assert!(container["readinessProbe"]["httpGet"]["path"] == "/readyz");
    }
    let required = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let expression = &required["nodeSelectorTerms"][0]["matchExpressions"][0];
    assert_eq!(expression["key"], names::CONTROL_PLANE);
    assert_eq!(expression["operator"], "Exists");
    assert_eq!(required["nodeSelectorTerms"].as_array().unwrap().len(), 1);
    let namespace = &documents("junban/10-namespace.yaml")[0];
    assert_eq!(namespace["metadata"]["name"], names::NAMESPACE);
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
}

/// Junban recognises its own pods by these labels.
#[test]
fn the_controllers_pods_carry_their_labels() {
    let deployment = &of_kind("junban/40-controller.yaml", "Deployment")[0];
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels[names::APP_NAME], names::APP);
    assert_eq!(labels[names::APP_COMPONENT], names::COMPONENT_CONTROLLER);
    let budget = &of_kind("junban/40-controller.yaml", "PodDisruptionBudget")[0];
    assert_eq!(budget["spec"]["selector"]["matchLabels"], *labels);
}

/// The default objects set no field that has a default, so to apply them again resets nothing (docs/design/life-cycle.md#pause).
#[test]
fn the_default_objects_set_only_fields_without_a_default() {
    let queue = &documents("defaults/queue.yaml")[0];
    assert_eq!(queue["metadata"]["name"], names::QUEUE);
    assert_eq!(queue["spec"], serde_json::json!({}));
    let policies = documents("defaults/policies.yaml");
    let found: Vec<&str> = policies
        .iter()
        .filter_map(|policy| policy["metadata"]["name"].as_str())
        .collect();
    assert_eq!(found, ["workers", "control-plane", "etcd"]);
    for policy in policies {
        let fields: Vec<&String> = policy["spec"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["nodeSelector", "priority"]);
        assert_eq!(policy["spec"]["priority"], -1000);
    }
}

/// Whatever roles a node has, exactly one default policy selects it.
#[test]
fn exactly_one_default_policy_selects_each_node() {
    for (roles, expected) in [
        (&[][..], "workers"),
        (&[names::CONTROL_PLANE], "control-plane"),
        (&[names::ETCD], "etcd"),
        (&[names::CONTROL_PLANE, names::ETCD], "control-plane"),
    ] {
        let fits = |expression: &serde_json::Value| {
            let has = roles.iter().any(|role| expression["key"] == *role);
            has == (expression["operator"] == "Exists")
        };
        let policies = documents("defaults/policies.yaml").into_iter();
        let selecting = policies.filter(|policy| {
            let expressions = &policy["spec"]["nodeSelector"]["matchExpressions"];
            expressions.as_array().unwrap().iter().all(fits)
        });
        let found: Vec<_> = selecting
            .map(|policy| policy["metadata"]["name"].clone())
            .collect();
        assert_eq!(found, [expected], "{roles:?}");
    }
}

/// The names in the YAML are those of the table.
#[test]
fn the_admission_policies_use_the_names_of_the_table() {
    let path = folder().join("junban/30-admission.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    for name in [names::KEY_PREFIX, names::SERVICE_ACCOUNT_USER] {
        assert!(text.contains(&format!("'{name}'")), "{name}");
    }
    assert!(text.contains(&format!(
        "group('{}').resource('nodes').check('{}')",
        names::GROUP,
        names::MARK_VERB
    )));
    for policy in of_kind("junban/30-admission.yaml", "ValidatingAdmissionPolicy") {
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    }
}

/// The alerts use only metrics that exist.
#[test]
fn the_alerts_use_metrics_of_the_table() {
    let text = std::fs::read_to_string(folder().join("alerts.yaml")).unwrap();
    let known: Vec<&str> = names::TABLE.iter().map(|name| name.text).collect();
    let mut used = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for word in line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            if word.starts_with("junban_") {
                used.insert(word);
            }
        }
    }
    assert!(used.len() >= 4, "{used:?}");
    for metric in used {
        assert!(known.contains(&metric), "{metric}");
    }
}

#[test]
fn generated_files_are_up_to_date() {
    let generator = env!("CARGO_BIN_EXE_generate-manifests");
    let output = std::process::Command::new(generator)
        .arg("--check")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Under server-side apply the API server (1.34) loses the whole spec if an object without such a list is applied twice:
/// "spec: Required value".
#[test]
fn no_list_of_type_map_has_a_default() {
    fn check(path: &str, value: &Value) {
        for (name, inner) in value.as_object().into_iter().flatten() {
            check(&format!("{path}/{name}"), inner);
        }
        let is_map = value["x-kubernetes-list-type"] == "map";
        assert!(!is_map || value["default"].is_null(), "{path} has a default");
    }
    for file in ["nodereboots", "rebootpolicies", "rebootqueues"] {
        for crd in documents(&format!("crds/{file}.yaml")) {
            check(
                file,
                &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"],
            );
        }
    }
}
