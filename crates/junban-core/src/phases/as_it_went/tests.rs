use std::collections::BTreeMap;
use std::time::Duration;

use super::differs;
use crate::entry::Phase;
use crate::fixture::{Toy, node, policy};
use crate::node::Node;
use crate::policy::VerifyRules;
use crate::reason::Reason;
use crate::taint::Taint;

fn taint(key: &str, value: &str, effect: &str) -> Taint {
    Taint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect: effect.to_owned(),
    }
}

fn with(allocatable: &[(&str, i64)], taints: &[Taint]) -> Node {
    let amounts = allocatable
        .iter()
        .map(|(name, amount)| ((*name).to_owned(), *amount));
    Node {
        allocatable: amounts.collect(),
        taints: taints.to_vec(),
        ..node("node-1")
    }
}

fn said(before: &Node, after: &Node, rules: &VerifyRules) -> Option<String> {
    differs(&before.found(), after, rules).map(|blocker| format!("{}: {blocker}", blocker.reason))
}

#[test]
fn a_taint_that_keeps_pods_out_and_was_not_there_before_is_named() {
    let rules = policy().verify;
    let pool = taint("pool", "gpu", "NoSchedule");
    let before = with(&[], std::slice::from_ref(&pool));
    let cases = [
        (pool.clone(), None),
        (taint("soft", "", "PreferNoSchedule"), None),
        (taint("node.kubernetes.io/unschedulable", "", "NoSchedule"), None),
        (taint("net", "", "NoSchedule"), Some("net:NoSchedule")),
        (taint("net", "down", "NoExecute"), Some("net=down:NoExecute")),
        (taint("pool", "gpu", "NoExecute"), Some("pool=gpu:NoExecute")),
    ];
    for (added, named) in cases {
        let after = with(&[], &[pool.clone(), added]);
        let expected = named.map(|taint| {
            format!("NewTaint: node node-1 has the taint {taint}, which it did not have before its turn")
        });
        assert_eq!(said(&before, &after, &rules), expected);
    }
    // A taint that is gone is no matter.
    assert_eq!(said(&before, &with(&[], &[]), &rules), None);
}

#[test]
fn a_resource_of_which_there_is_less_is_named_with_both_amounts() {
    const GI: i64 = 1 << 30;
    let rules = policy().verify;
    let before = with(
        &[
            ("cpu", 8_000),
            ("memory", 64 * GI),
            ("example.com/gpu", 4),
            ("pods", 110),
            ("ephemeral-storage", GI),
        ],
        &[],
    );
    let with_less = |resource: &str, amount: i64| {
        let mut after = before.clone();
        after.allocatable.insert(resource.to_owned(), amount);
        said(&before, &after, &rules)
    };
    let fewer = |text: &str| Some(format!("FewerResources: node node-1 has {text}"));
    assert_eq!(with_less("memory", 63 * GI), None, "within the margin");
    assert_eq!(
        with_less("memory", 62 * GI),
        fewer("62Gi of memory, before its turn it had 64Gi")
    );
    assert_eq!(
        with_less("cpu", 7_999),
        fewer("7999m of cpu, before its turn it had 8")
    );
    assert_eq!(
        with_less("example.com/gpu", 3),
        fewer("3 of example.com/gpu, before its turn it had 4")
    );
    assert_eq!(with_less("pods", 1), None);
    assert_eq!(with_less("ephemeral-storage", 1), None);
    let mut without_gpu = before.clone();
    without_gpu.allocatable.remove("example.com/gpu");
    let gone = fewer("0 of example.com/gpu, before its turn it had 4");
    assert_eq!(
        said(&before, &without_gpu, &rules),
        gone,
        "the device plugin is not back"
    );
}

#[test]
fn the_policy_switches_off_single_taints_and_resources_or_all() {
    let before = with(&[("cpu", 8), ("memory", 8_000)], &[]);
    let after = with(&[("cpu", 8), ("memory", 1)], &[taint("net", "", "NoSchedule")]);
    let ignoring = |taints: &str, resources: &str| VerifyRules {
        ignore_taints: vec![taints.to_owned()],
        ignore_resources: vec![resources.to_owned()],
        ..policy().verify
    };
    for rules in [ignoring("net", "memory"), ignoring("*", "*")] {
        assert_eq!(said(&before, &after, &rules), None);
    }
    assert!(said(&before, &after, &ignoring("other", "memory")).is_some());
    assert!(said(&before, &after, &ignoring("net", "cpu")).is_some());
}

/// A node whose server has rebooted and is about to be proven.
fn booting() -> Toy {
    let mut toy = Toy::new(&["node-1"]);
    toy.run(10);
    toy.assert_phase("node-1", Phase::Rebooting, Reason::Booting);
    toy
}

#[test]
fn a_node_that_comes_back_with_a_taint_is_verified_until_it_is_gone() {
    let mut toy = booting();
    toy.policy().verify.timeout = Duration::from_secs(60);
    let network = taint("readiness.k8s.io/network", "", "NoSchedule");
    toy.node("node-1").taints = vec![network];
    toy.run(40);
    toy.assert_phase("node-1", Phase::Verifying, Reason::NewTaint);
    toy.node("node-1").taints.clear();
    toy.run(5);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
}

#[test]
fn verify_timeout_names_what_is_missing_and_the_entry_ends_when_it_is_back() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().verify.timeout = Duration::from_secs(30);
    toy.run(10);
    toy.node("node-1").allocatable = BTreeMap::from([("cpu".to_owned(), 4_000)]);
    toy.run(90);
    toy.assert_phase("node-1", Phase::Failed, Reason::VerifyTimeout);
    let message = toy
        .entry("node-1")
        .map(|entry| entry.record.message.clone())
        .unwrap();
    assert_eq!(
        message,
        "not proven in verify.timeout: node node-1 has 4 of cpu, before its turn it had 8"
    );
    toy.node("node-1").allocatable = BTreeMap::from([("cpu".to_owned(), 8_000)]);
    toy.run(5);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
}

fn restart(toy: &mut Toy, number: u32) {
    toy.node("node-1").boot_id = Some(format!("restart-{number}").as_str().into());
}

#[test]
fn one_further_restart_begins_the_proof_anew_and_the_next_is_a_loop() {
    let mut toy = Toy::new(&["node-1"]);
    toy.policy().verify.settle = Some(Duration::from_secs(60));
    toy.run(60);
    toy.assert_phase("node-1", Phase::Verifying, Reason::Settle);
    restart(&mut toy, 1);
    toy.run(50);
    toy.assert_phase("node-1", Phase::Verifying, Reason::Settle);
    restart(&mut toy, 2);
    toy.run(2);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootLoop);
    // It stays so, whatever the server does: a person decides.
    restart(&mut toy, 3);
    toy.run(120);
    toy.assert_phase("node-1", Phase::Failed, Reason::BootLoop);
    toy.cluster
        .entries
        .values_mut()
        .for_each(|entry| entry.spec.retries += 1);
    toy.run(120);
    toy.assert_phase("node-1", Phase::Succeeded, Reason::Proven);
    assert_eq!(toy.powered, ["node-1"], "the retry verifies and does not power");
}
