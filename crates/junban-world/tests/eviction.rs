//! The answers to an eviction (docs/design/drain.md#what-an-eviction-answers), one test for each rule.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use junban_world::{
    ApiError, BudgetStatus, Config, DeleteOptions, Demand, EvictOptions, EvictionAnswer, IntOrPercent,
    OwnerKey, OwnerKind, Phase, PowerRequest, Selector, Span, Truth, UnhealthyPolicy, Webhook, Workload,
    World, WorldBuilder,
};

fn max(n: i64) -> Demand {
    Demand::MaxUnavailable(IntOrPercent::Int(n))
}

/// Deployment shop/cart with `replicas` pods on three nodes, and `budget` for it.
fn shop(replicas: i64, budget: Option<Demand>) -> World {
    shop_with(replicas, budget, |w| w)
}

fn shop_with(replicas: i64, budget: Option<Demand>, change: impl FnOnce(Workload) -> Workload) -> World {
    // A slow disruption controller, so that the tests see its lag.
    let config = Config {
        disruption_lag: Span::ms(100, 100),
        ..Config::default()
    };
    let mut b = WorldBuilder::with_config(3, config);
    b.nodes(3, Span::secs(20, 30));
    b.workload(change(Workload::new(
        OwnerKind::Deployment,
        "shop",
        "cart",
        replicas,
    )));
    if let Some(demand) = budget {
        b.budget("shop", "cart", demand);
    }
    b.build()
}

/// Names and UIDs of the pods of shop/cart.
fn pods(w: &World) -> Vec<(String, String)> {
    let of = w.store().pods_selected("shop", &Selector::label("app", "cart"));
    of.iter()
        .map(|p| (p.meta.name.to_string(), p.meta.uid.to_string()))
        .collect()
}

fn evict(w: &mut World, pod: &(String, String)) -> Result<(), ApiError> {
    let options = EvictOptions {
        uid: Some(pod.1.clone()),
        ..EvictOptions::default()
    };
    w.client("junban").evict("shop", &pod.0, &options)
}

fn status(w: &World) -> BudgetStatus {
    w.store().budget("shop", "cart").unwrap().status.clone()
}

fn budget_denied(answer: &Result<(), ApiError>) -> Option<(Option<u64>, String)> {
    match answer {
        Err(ApiError::TooManyRequests {
            cause,
            retry_after_s,
            text,
        }) if cause == "DisruptionBudget" => Some((*retry_after_s, text.clone())),
        _ => None,
    }
}

#[test]
fn an_accepted_eviction_charges_the_budget_at_once_and_the_next_one_answers_429() {
    let mut w = shop(3, Some(max(1)));
    assert_eq!(status(&w).disruptions_allowed, 1);
    let p = pods(&w);
    evict(&mut w, &p[0]).unwrap();
    assert_eq!(status(&w).disruptions_allowed, 0);
    let (retry, text) = budget_denied(&evict(&mut w, &p[1])).unwrap();
    assert_eq!(retry, None);
    assert!(text.contains("needs 2 healthy pods"), "{text}");
    w.advance_to(60_000);
    assert_eq!(
        status(&w),
        BudgetStatus {
            disruptions_allowed: 1,
            current_healthy: 3,
            desired_healthy: 2,
            expected_pods: 3,
            observed_generation: 1,
            ..BudgetStatus::default()
        }
    );
}

#[test]
fn an_eviction_is_charged_once_so_two_of_four_leave_two() {
    let mut w = shop(8, Some(max(4)));
    let p = pods(&w);
    evict(&mut w, &p[0]).unwrap();
    evict(&mut w, &p[1]).unwrap();
    w.advance_to(1000);
    assert_eq!(status(&w).disruptions_allowed, 2);
}

#[test]
fn an_eviction_with_a_wrong_uid_charges_the_budget_for_two_minutes() {
    let mut w = shop(3, Some(max(1)));
    let p = pods(&w);
    let wrong = (p[0].0.clone(), "other".to_owned());
    assert!(matches!(evict(&mut w, &wrong), Err(ApiError::Conflict { .. })));
    assert!(!w.store().pod("shop", &p[0].0).unwrap().terminating());
    w.advance_to(119_000);
    assert_eq!(status(&w).disruptions_allowed, 0);
    assert!(budget_denied(&evict(&mut w, &p[1])).is_some());
    w.advance_to(121_000);
    assert_eq!(status(&w).disruptions_allowed, 1);
    evict(&mut w, &p[1]).unwrap();
}

/// Three pods of shop/cart with two budgets: their own, and one for the whole namespace.
fn under_two_budgets() -> World {
    let mut b = WorldBuilder::new(3);
    b.nodes(1, Span::secs(20, 30));
    b.workload(Workload::new(OwnerKind::Deployment, "shop", "cart", 3));
    b.budget("shop", "cart", max(3));
    b.budget_over(
        "shop",
        "zebra",
        Selector::default(),
        max(3),
        UnhealthyPolicy::AlwaysAllow,
    );
    b.build()
}

#[test]
fn two_budgets_on_a_pod_answer_500() {
    let mut w = under_two_budgets();
    let p = pods(&w);
    let Err(ApiError::Internal { text }) = evict(&mut w, &p[0]) else {
        panic!("no 500")
    };
    assert!(text.contains("more than one PodDisruptionBudget"));
}

#[test]
fn the_controller_updates_one_of_two_budgets_on_a_pod() {
    let mut w = under_two_budgets();
    let healthy = |w: &World, name: &str| w.store().budget("shop", name).unwrap().status.current_healthy;
    assert_eq!((healthy(&w, "cart"), healthy(&w, "zebra")), (3, 3));
    let p = pods(&w);
    w.client("kubectl")
        .delete_pod("shop", &p[0].0, &DeleteOptions::default())
        .unwrap();
    w.advance_to(500);
    assert_eq!((healthy(&w, "cart"), healthy(&w, "zebra")), (2, 3));
}

#[test]
fn a_status_older_than_the_spec_answers_429_with_retry_after_10() {
    let mut w = shop(3, Some(max(1)));
    let mut budget = (**w.store().budget("shop", "cart").unwrap()).clone();
    budget.demand = max(2);
    w.client("kubectl").apply_budget(budget).unwrap();
    let p = pods(&w);
    assert_eq!(budget_denied(&evict(&mut w, &p[0])).unwrap().0, Some(10));
    w.advance_to(200);
    evict(&mut w, &p[0]).unwrap();
}

#[test]
fn a_budget_that_could_never_be_computed_answers_429_with_retry_after_10_for_ever() {
    let mut b = WorldBuilder::new(3);
    b.nodes(2, Span::secs(20, 30));
    b.workload(Workload::new(OwnerKind::DaemonSet, "shop", "cart", 0));
    b.budget("shop", "cart", max(1));
    let mut w = b.build();
    w.advance_to(600_000);
    assert!(status(&w).sync_failed.is_some());
    let p = pods(&w);
    assert_eq!(budget_denied(&evict(&mut w, &p[0])).unwrap().0, Some(10));
}

#[test]
fn an_owner_without_a_scale_is_sync_failed() {
    let mut b = WorldBuilder::new(3);
    b.nodes(2, Span::secs(20, 30));
    b.workload(Workload::new(OwnerKind::Foreign, "shop", "cart", 0));
    b.budget("shop", "cart", max(1));
    let mut w = b.build();
    assert!(status(&w).sync_failed.is_none());
    let key = w.store().owners().next().unwrap().key();
    w.client("kubectl").scale(&key, 1).unwrap();
    w.advance_to(60_000);
    assert!(status(&w).sync_failed.is_some());
    let p = pods(&w);
    let (retry, text) = budget_denied(&evict(&mut w, &p[0])).unwrap();
    assert_eq!(retry, None);
    assert!(text.contains("failed sync"), "{text}");
}

#[test]
fn min_available_as_a_number_needs_no_scale() {
    let mut b = WorldBuilder::new(3);
    b.nodes(3, Span::secs(20, 30));
    b.workload(Workload::new(OwnerKind::Foreign, "shop", "cart", 3));
    b.budget("shop", "cart", Demand::MinAvailable(IntOrPercent::Int(2)));
    let w = b.build();
    assert_eq!((status(&w).disruptions_allowed, status(&w).expected_pods), (1, 3));
}

#[test]
fn percentages_need_the_scale_and_round_up() {
    let w = shop(3, Some(Demand::MaxUnavailable(IntOrPercent::Percent(10))));
    assert_eq!(status(&w).disruptions_allowed, 1);
    let w = shop(3, Some(Demand::MinAvailable(IntOrPercent::Percent(50))));
    assert_eq!(
        (status(&w).desired_healthy, status(&w).disruptions_allowed),
        (2, 1)
    );
}

#[test]
fn a_budget_with_max_unavailable_0_allows_no_eviction() {
    let mut w = shop(3, Some(max(0)));
    let p = pods(&w);
    w.advance_to(600_000);
    assert!(budget_denied(&evict(&mut w, &p[0])).is_some());
}

#[test]
fn a_budget_without_expected_pods_allows_no_eviction() {
    let w = shop(0, Some(Demand::MinAvailable(IntOrPercent::Int(0))));
    assert_eq!((status(&w).expected_pods, status(&w).disruptions_allowed), (0, 0));
}

#[test]
fn pending_and_terminating_pods_are_not_protected() {
    let mut w = shop_with(2, Some(max(0)), |mut s| {
        s.template.node_selector = [("none".to_owned(), "such".to_owned())].into();
        s
    });
    let p = pods(&w);
    assert_eq!(
        w.store().pod("shop", &p[0].0).unwrap().status.phase,
        Phase::Pending
    );
    let wrong = (p[0].0.clone(), "other".to_owned());
    assert!(matches!(evict(&mut w, &wrong), Err(ApiError::Conflict { .. })));
    evict(&mut w, &p[0]).unwrap();

    let mut w = shop_with(3, Some(max(1)), |s| {
        s.with(|t| t.behaviour.ignores_sigterm = true)
    });
    let p = pods(&w);
    evict(&mut w, &p[0]).unwrap();
    w.advance_to(1000);
    evict(&mut w, &p[0]).unwrap();
    assert_eq!(status(&w).disruptions_allowed, 0);
}

#[test]
fn unready_pods_leave_only_if_the_budget_is_healthy_or_always_allows_it() {
    let unready = |policy| {
        let mut b = WorldBuilder::new(3);
        b.nodes(3, Span::secs(20, 30));
        let w = Workload::new(OwnerKind::Deployment, "shop", "cart", 3);
        b.workload(w.with(|t| t.behaviour.never_ready = true));
        b.budget_over("shop", "cart", Selector::label("app", "cart"), max(1), policy);
        b.build()
    };
    let mut w = unready(UnhealthyPolicy::IfHealthyBudget);
    let p = pods(&w);
    assert!(budget_denied(&evict(&mut w, &p[0])).is_some());
    let mut w = unready(UnhealthyPolicy::AlwaysAllow);
    let p = pods(&w);
    evict(&mut w, &p[0]).unwrap();
}

#[test]
fn an_unready_pod_with_enough_healthy_ones_charges_no_budget() {
    let mut b = WorldBuilder::new(3);
    b.nodes(3, Span::secs(20, 30));
    b.workload(Workload::new(OwnerKind::Deployment, "shop", "cart", 3));
    let sick = Workload::new(OwnerKind::ReplicationController, "shop", "sick", 1);
    b.workload(sick.with(|t| {
        t.behaviour.never_ready = true;
        t.labels = [("app".to_owned(), "cart".to_owned())].into();
    }));
    b.budget("shop", "cart", Demand::MinAvailable(IntOrPercent::Int(3)));
    let mut w = b.build();
    assert_eq!(status(&w).disruptions_allowed, 0);
    let sick = pods(&w).into_iter().find(|p| p.0.starts_with("sick")).unwrap();
    evict(&mut w, &sick).unwrap();
    assert!(status(&w).disrupted_pods.is_empty());
}

#[test]
fn a_dry_run_checks_and_reserves_nothing() {
    let mut w = shop(3, Some(max(1)));
    for pod in pods(&w) {
        let options = EvictOptions {
            uid: Some(pod.1),
            dry_run: true,
            ..EvictOptions::default()
        };
        w.client("junban").evict("shop", &pod.0, &options).unwrap();
    }
    assert_eq!(status(&w).disruptions_allowed, 1);
    assert_eq!(pods(&w).len(), 3);
}

#[test]
fn a_pod_without_a_budget_leaves_and_a_missing_pod_answers_404() {
    let mut w = shop(1, None);
    let p = pods(&w);
    evict(&mut w, &p[0]).unwrap();
    let none = ("none".to_owned(), "x".to_owned());
    assert!(matches!(evict(&mut w, &none), Err(ApiError::NotFound { .. })));
}

#[test]
fn a_webhook_answers_before_any_budget_is_charged() {
    for (code, status_code) in [(403, 403), (429, 429), (500, 500), (0, 0), (400, 422)] {
        let mut w = shop(3, Some(max(1)));
        w.add_webhook(Webhook {
            namespace: "shop".into(),
            prefix: "cart".into(),
            status: code,
            text: "migrating, wait".into(),
        });
        let p = pods(&w);
        let answer = evict(&mut w, &p[0]);
        assert!(budget_denied(&answer).is_none());
        let error = answer.unwrap_err();
        assert_eq!(error.status(), status_code);
        assert!(error.text().contains("migrating"));
        assert_eq!(status(&w).disruptions_allowed, 1);
        w.clear_webhooks();
        evict(&mut w, &p[0]).unwrap();
    }
}

#[test]
fn pods_on_a_down_machine_stay_healthy_in_the_budget_until_the_api_shows_them_as_unready() {
    let mut w = shop_with(3, Some(max(1)), |s| s.on(&["node-1", "node-2", "node-3"]));
    w.power(&PowerRequest {
        node: "node-1".into(),
        ..PowerRequest::default()
    });
    w.advance_to(15_000);
    assert_eq!(status(&w).current_healthy, 3);
    w.inject("node-2", junban_world::Fault::NeverReturns, None);
    w.power(&PowerRequest {
        node: "node-2".into(),
        ..PowerRequest::default()
    });
    w.advance_to(90_000);
    assert_eq!(
        (status(&w).current_healthy, status(&w).disruptions_allowed),
        (2, 0)
    );
}

#[test]
fn scaling_down_lowers_what_the_budget_needs() {
    let mut w = shop(4, Some(max(1)));
    let key = OwnerKey::new(OwnerKind::Deployment, "shop", "cart");
    w.client("hpa").scale(&key, 2).unwrap();
    w.advance_to(30_000);
    assert_eq!(pods(&w).len(), 2);
    assert_eq!(
        (status(&w).desired_healthy, status(&w).disruptions_allowed),
        (1, 1)
    );
}

#[test]
fn every_answer_is_in_the_truth() {
    let mut w = shop(3, Some(max(1)));
    let p = pods(&w);
    w.take_truth();
    evict(&mut w, &p[0]).unwrap();
    let _ = evict(&mut w, &p[1]);
    let _ = evict(&mut w, &(p[1].0.clone(), "other".into()));
    let answers: Vec<_> = w
        .take_truth()
        .into_iter()
        .filter_map(|e| {
            if let Truth::Eviction { answer, ready, .. } = e.what {
                Some((answer, ready))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        answers,
        [
            (EvictionAnswer::Accepted, true),
            (EvictionAnswer::BudgetDenied, true),
            (EvictionAnswer::BudgetDenied, true),
        ]
    );
}
