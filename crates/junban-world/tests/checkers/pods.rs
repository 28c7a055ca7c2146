//! S7, S8 and Services: removals of pods.

use super::*;

#[test]
fn s7_a_deletion_needs_a_namespace_that_allows_it() {
    let delete = |by: &str, grace_s| Truth::PodRemoval {
        pod: "shop/a".into(),
        uid: "uid-a".into(),
        ready: true,
        why: Removal::Deleted {
            by: by.into(),
            uid_given: true,
            grace_s,
        },
    };
    let mut p = Stream::new(3, 0);
    p.tell(delete("kubectl", Some(0))).allowed();
    p.tell(delete("junban", None));
    assert_eq!(p.broken(), ["S7"]);
    let params = Params {
        delete_allowed: ["shop".to_owned()].into(),
        ..Params::default()
    };
    let mut p = Stream::with(3, 0, params);
    p.tell(delete("junban", None)).allowed();
    p.tell(delete("junban", Some(0)));
    assert_eq!(p.broken(), ["S7"]);
}

fn budgeted(p: &mut Stream, needed: i64) {
    for name in ["a", "b", "c"] {
        p.pod(name, "w1", "Deployment/shop/x", true);
    }
    p.tell(Truth::Owner {
        owner: "Deployment/shop/x".into(),
        replicas: 3,
        min_ready_s: 0,
    });
    p.tell(Truth::Budget {
        budget: "shop/x".into(),
        needed,
        allowed: 3 - needed,
        members: ["shop/a", "shop/b", "shop/c"].map(Into::into).into(),
    });
    p.later(10_000);
}

fn gone(p: &mut Stream, name: &str) {
    p.tell(Truth::PodChanged(PodFacts {
        terminating: true,
        ..pod(name, "w1", "Deployment/shop/x", true)
    }));
}

#[test]
fn s7_an_eviction_below_the_budgets_need() {
    let mut p = Stream::new(3, 0);
    budgeted(&mut p, 2);
    p.evict("a").allowed();
    gone(&mut p, "a");
    p.evict("b");
    assert_eq!(p.broken(), ["S7"]);
}

#[test]
fn s7_a_pod_that_failed_just_now_may_be_unknown() {
    let mut p = Stream::new(3, 0);
    budgeted(&mut p, 2);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(1000)
        .evict("a")
        .allowed();
    let mut p = Stream::new(3, 0);
    budgeted(&mut p, 2);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(10_000)
        .evict("a");
    assert_eq!(p.broken(), ["S7"]);
}

#[test]
fn s7_without_a_budget_one_pod_of_an_owner_leaves_at_a_time_and_the_last_one_stays() {
    let unbudgeted = |pods: &[&str]| {
        let mut p = Stream::new(3, 0);
        for name in pods {
            p.pod(name, "w1", "Deployment/shop/x", true);
        }
        p.tell(Truth::Owner {
            owner: "Deployment/shop/x".into(),
            replicas: pods.len() as i64,
            min_ready_s: 0,
        })
        .later(10_000);
        p
    };
    let mut p = unbudgeted(&["a", "b", "c"]);
    p.evict("a").allowed();
    gone(&mut p, "a");
    p.evict("b");
    assert_eq!(p.broken(), ["S7"]);
    let mut p = unbudgeted(&["a"]);
    p.evict("a").allowed();
    let mut p = unbudgeted(&["a", "b"]);
    p.tell(Truth::PodChanged(pod("b", "w1", "Deployment/shop/x", false)))
        .later(400_000)
        .evict("a");
    assert_eq!(
        p.broken(),
        ["S7"],
        "b stops counting after 5 minutes, but a is the last Ready pod"
    );
    let mut p = unbudgeted(&["a", "b", "c"]);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(400_000)
        .evict("a")
        .allowed();
}

#[test]
fn s8_an_eviction_without_a_uid() {
    let eviction = |by: &str, uid_given: Option<&str>| Truth::Eviction {
        by: by.into(),
        pod: "shop/a".into(),
        uid: "uid-a".into(),
        uid_given: uid_given.map(Into::into),
        dry_run: false,
        ready: false,
        answer: EvictionAnswer::Accepted,
    };
    let mut p = Stream::new(3, 0);
    p.tell(eviction("stranger", None))
        .tell(eviction("junban", Some("uid-a")))
        .allowed();
    p.tell(eviction("junban", None));
    assert_eq!(p.broken(), ["S8"]);
}

#[test]
fn a_service_with_two_replicas_always_has_a_serving_pod() {
    let serving = |serving, wanted, lost| Truth::Serving {
        service: "shop/x".into(),
        serving,
        wanted,
        lost,
    };
    let mut p = Stream::new(3, 0);
    p.tell(serving(0, 2, 0))
        .tell(serving(2, 2, 0))
        .tell(serving(0, 2, 1))
        .tell(serving(1, 1, 0));
    p.tell(serving(0, 1, 0)).allowed();
    p.tell(serving(0, 2, 0));
    assert_eq!(p.broken(), ["services"]);
}
