//! S7, S8 and Services: how pods leave.

use super::*;

#[test]
fn s7_a_deletion_is_no_eviction() {
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
    let mut p = Play::new(3, 0);
    p.tell(delete("kubectl", Some(0))).fine();
    p.tell(delete("junban", None));
    assert_eq!(p.broken(), ["S7"]);
    let params = Params {
        delete_allowed: ["shop".to_owned()].into(),
        ..Params::default()
    };
    let mut p = Play::with(3, 0, params);
    p.tell(delete("junban", None)).fine();
    p.tell(delete("junban", Some(0)));
    assert_eq!(p.broken(), ["S7"]);
}

fn budgeted(p: &mut Play, needed: i64) {
    for name in ["a", "b", "c"] {
        p.pod(name, "w1", "Deployment/shop/x", true);
    }
    p.tell(Truth::Owner {
        owner: "Deployment/shop/x".into(),
        replicas: 3,
    });
    p.tell(Truth::Budget {
        budget: "shop/x".into(),
        namespace: "shop".into(),
        healthy: 3,
        needed,
        expected: 3,
        allowed: 3 - needed,
        members: ["shop/a", "shop/b", "shop/c"].map(Into::into).into(),
    });
    p.later(10_000);
}

fn gone(p: &mut Play, name: &str) {
    p.tell(Truth::PodChanged(PodFacts {
        terminating: true,
        ..pod(name, "w1", "Deployment/shop/x", true)
    }));
}

#[test]
fn s7_an_eviction_below_the_budgets_need() {
    let mut p = Play::new(3, 0);
    budgeted(&mut p, 2);
    p.evict("a").fine();
    gone(&mut p, "a");
    p.evict("b");
    assert_eq!(p.broken(), ["S7"]);
}

#[test]
fn s7_a_pod_that_fell_over_a_moment_ago_could_not_be_known() {
    let mut p = Play::new(3, 0);
    budgeted(&mut p, 2);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(1000)
        .evict("a")
        .fine();
    let mut p = Play::new(3, 0);
    budgeted(&mut p, 2);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(10_000)
        .evict("a");
    assert_eq!(p.broken(), ["S7"]);
}

#[test]
fn s7_without_a_budget_one_of_an_owner_at_a_time_and_never_the_last() {
    let unbudgeted = |pods: &[&str]| {
        let mut p = Play::new(3, 0);
        for name in pods {
            p.pod(name, "w1", "Deployment/shop/x", true);
        }
        p.tell(Truth::Owner {
            owner: "Deployment/shop/x".into(),
            replicas: pods.len() as i64,
        })
        .later(10_000);
        p
    };
    let mut p = unbudgeted(&["a", "b", "c"]);
    p.evict("a").fine();
    gone(&mut p, "a");
    p.evict("b");
    assert_eq!(p.broken(), ["S7"]);
    let mut p = unbudgeted(&["a"]);
    p.evict("a").fine();
    let mut p = unbudgeted(&["a", "b"]);
    p.tell(Truth::PodChanged(pod("b", "w1", "Deployment/shop/x", false)))
        .later(400_000)
        .evict("a");
    assert_eq!(
        p.broken(),
        ["S7"],
        "b is forgotten after five minutes, but a is the last Ready one"
    );
    let mut p = unbudgeted(&["a", "b", "c"]);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(400_000)
        .evict("a")
        .fine();
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
    let mut p = Play::new(3, 0);
    p.tell(eviction("stranger", None))
        .tell(eviction("junban", Some("uid-a")))
        .fine();
    p.tell(eviction("junban", None));
    assert_eq!(p.broken(), ["S8"]);
}

#[test]
fn services_of_two_are_never_without_a_serving_pod() {
    let serving = |serving, wanted, lost| Truth::Serving {
        service: "shop/x".into(),
        serving,
        wanted,
        lost,
    };
    let mut p = Play::new(3, 0);
    p.tell(serving(0, 2, 0))
        .tell(serving(2, 2, 0))
        .tell(serving(0, 2, 1))
        .tell(serving(1, 1, 0));
    p.tell(serving(0, 1, 0)).fine();
    p.tell(serving(0, 2, 0));
    assert_eq!(p.broken(), ["services"]);
}
