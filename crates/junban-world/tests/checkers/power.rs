//! S1, S3, S6: power actions.

use super::*;

#[test]
fn s1_one_power_effect_for_each_attempt_and_each_boot() {
    let mut p = Stream::new(3, 0);
    p.power_effect("w1", 1, false)
        .power_effect("w2", 1, false)
        .allowed();
    p.power_effect("w1", 1, false);
    assert_eq!(p.broken(), ["S1", "S1"], "the same attempt and the same boot");
    let mut p = Stream::new(3, 0);
    p.power_effect("w1", 1, false).power_effect("w1", 2, false);
    assert_eq!(p.broken(), ["S1"], "`attempts` is 1, and nobody retried");
    let mut p = Stream::new(3, 0);
    p.power_effect("w1", 1, false)
        .power_effect("w1", 1, true)
        .allowed();
}

#[test]
fn s1_a_retry_allows_one_more_and_a_second_attempt_waits_for_the_deadline() {
    let mut p = Stream::new(3, 0);
    p.entry("w1", "", "Queued", 0).power_effect("w1", 1, false);
    p.cancelled_or_retried(false, 1);
    p.power_effect("w1", 2, false).allowed();
    p.power_effect("w1", 3, false);
    assert_eq!(p.broken(), ["S1"]);

    let params = || Params {
        attempts: 2,
        boot_timeout_ms: 60_000,
        ..Params::default()
    };
    let mut p = Stream::with(3, 0, params());
    p.power_effect("w1", 1, false)
        .later(60_000)
        .power_effect("w1", 2, false)
        .allowed();
    let mut p = Stream::with(3, 0, params());
    p.power_effect("w1", 1, false)
        .later(59_000)
        .power_effect("w1", 2, false);
    assert_eq!(p.broken(), ["S1"]);
}

#[test]
fn s3_a_power_action_without_its_record() {
    let steps = |p: &mut Stream, attempt: u64| {
        p.entry("w1", "", "Queued", 0)
            .entry("w1", "Queued", "Draining", 0);
        p.entry("w1", "Draining", "Rebooting", attempt).powered("w1", 1);
    };
    let mut p = Stream::new(3, 0);
    steps(&mut p, 1);
    p.allowed();
    let mut p = Stream::new(3, 0);
    steps(&mut p, 2);
    assert_eq!(p.broken(), ["S3"]);
    let mut p = Stream::new(3, 0);
    p.entry("w1", "", "Queued", 0).powered("w1", 1).powered("w2", 1);
    assert_eq!(p.broken(), ["S3", "S3"]);
}

#[test]
fn s3_an_entry_that_was_deleted_after_the_last_read_counts() {
    let deleted = |ms: u64| {
        let mut p = Stream::new(3, 0);
        p.entry("w2", "", "Queued", 0);
        p.entry("w1", "", "Queued", 0)
            .entry("w1", "Queued", "Draining", 0);
        p.entry("w1", "Draining", "Rebooting", 1);
        p.tell(Truth::EntryGone { entry: "e-w1".into() });
        p.later(ms).powered("w1", 1);
        p.broken().contains(&"S3")
    };
    assert!(!deleted(3_000));
    assert!(deleted(5_000));
}

#[test]
fn s6_no_power_action_while_a_pod_must_leave() {
    let mut p = Stream::new(3, 0);
    p.pod("a", "w1", "Deployment/shop/a", true).powered("w1", 1);
    assert_eq!(p.broken(), ["S6"]);
    let mut p = Stream::new(3, 0);
    p.pod("a", "w2", "Deployment/shop/a", true)
        .pod("d", "w1", "DaemonSet/shop/d", true);
    p.tell(Truth::PodAdded(PodFacts {
        mirror: true,
        ..pod("m", "w1", "Node//w1", true)
    }));
    p.tell(Truth::PodAdded(PodFacts {
        phase: Phase::Succeeded,
        ..pod("j", "w1", "Job/shop/j", false)
    }));
    p.powered("w1", 1).allowed();
    let mut p = Stream::new(3, 0);
    p.tell(Truth::PodAdded(PodFacts {
        terminating: true,
        ..pod("a", "w1", "Deployment/shop/a", true)
    }));
    p.powered("w1", 1);
    assert_eq!(p.broken(), ["S6"], "a terminating pod is still there");
}

#[test]
fn s6_a_pod_that_tolerates_the_cordon_and_came_back_may_stay() {
    let tolerant = |node| PodFacts {
        tolerates_cordon: true,
        ..pod("t", node, "Deployment/shop/t", true)
    };
    let mut p = Stream::new(3, 0);
    p.cordon("w1", true, "junban")
        .later(1000)
        .tell(Truth::PodAdded(tolerant("w1")))
        .powered("w1", 1)
        .allowed();
    let mut p = Stream::new(3, 0);
    p.tell(Truth::PodAdded(tolerant("w1")))
        .later(1000)
        .cordon("w1", true, "junban")
        .powered("w1", 1);
    assert_eq!(p.broken(), ["S6"]);
}

/// w1 was cordoned with this taint and 8 GPUs, and its reboot is proven but for what differs now.
fn booted_with(taints: &[&str], gpus: i64, params: Params) -> Stream {
    fn has(p: &mut Stream, taints: &[&str], gpus: i64) {
        p.tell(Truth::NodeTaints {
            node: "w1".into(),
            taints: taints.iter().map(|taint| (*taint).to_owned()).collect(),
        });
        p.tell(Truth::NodeAllocatable {
            node: "w1".into(),
            allocatable: BTreeMap::from([("example.com/gpu".to_owned(), gpus)]),
        });
    }
    let mut p = Stream::with(3, 0, params);
    has(&mut p, &["pool=gpu:NoSchedule"], 8);
    p.cordon("w1", true, "junban")
        .entry("w1", "Draining", "Rebooting", 1);
    p.powered("w1", 1).booted("w1");
    has(&mut p, taints, gpus);
    p.cordon("w1", false, "junban");
    p
}

#[test]
fn s10_a_node_with_a_new_taint_or_fewer_devices_is_not_uncordoned() {
    let pool = "pool=gpu:NoSchedule";
    booted_with(&[pool], 8, places(1)).allowed();
    booted_with(&[], 9, places(1)).allowed();
    assert_eq!(
        booted_with(&[pool, "net:NoExecute"], 8, places(1)).broken(),
        ["S10"]
    );
    assert_eq!(booted_with(&[pool], 7, places(1)).broken(), ["S10"]);
    let ignored = Params {
        may_differ: ["net".to_owned(), "example.com/gpu".to_owned()].into(),
        ..places(1)
    };
    booted_with(&["net:NoExecute"], 7, ignored).allowed();
}
