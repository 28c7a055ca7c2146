//! Budgets: tokens, and evictions that are denied. Each test name goes on after "budgets".

use super::*;

const FOUR: &str = "nodes: 3, boot 5s..5s\n\
    deployment shop/web: replicas 4, budget maxUnavailable 1, on node-1 node-1 node-1 node-2\n\
    do: reboot node-1\neventually: every entry Succeeded\nat the end: no cordon, no mark";

#[test]
fn without_a_token_are_asked_for_no_eviction() {
    aimed(FOUR).needs(&[Guard::BudgetTokens], "denied");
}

#[test]
fn lose_tokens_for_evictions_that_the_watch_does_not_show_yet() {
    aimed(FOUR)
        .watches_lag(2_000)
        .needs(&[Guard::UnseenTokens], "denied");
}

#[test]
fn get_one_request_at_a_time() {
    aimed(FOUR).needs(&[Guard::OneRequestPerBudget], "denied");
}

#[test]
fn keep_tokens_for_pinned_pods() {
    aimed(
        "nodes: 4, boot 10s..10s\nqueue: maxUnavailable 4\n\
         statefulset db/a: replicas 2, budget maxUnavailable 1, local volume, on node-2 node-3, stops in 5s\n\
         statefulset db/b: replicas 2, budget maxUnavailable 1, local volume, on node-2 node-3, stops in 5s\n\
         do: reboot --all\nnever: node-2 is cordoned and node-3 is cordoned\neventually: every entry Succeeded",
    )
    .needs(&[Guard::Reservations], "node-2 is cordoned and node-3");
}

#[test]
fn are_implied_for_workloads_without_one() {
    file("no_budget_one_node").needs(&[Guard::ImpliedBudget], "S7");
}

#[test]
fn are_implied_where_pods_are_deleted_after_a_denial() {
    file("delete_after_denial_one_by_one").needs(&[Guard::ImpliedBudget], "services");
}

#[test]
fn that_never_allow_an_eviction_stop_the_start() {
    file("impossible_budget").needs(&[Guard::ImpossibleBudget], "Queued BudgetImpossible");
}

#[test]
fn do_not_matter_for_a_pod_that_nobody_makes_again() {
    file("bare_pod_blocks").needs(&[Guard::ForbiddenPods], "Queued BarePod");
}

#[test]
fn with_one_token_too_many_deny_an_eviction() {
    aimed(FOUR).needs_arithmetic(Slip::Token, &[], "denied");
}

#[test]
fn implied_with_one_token_too_many_break_a_rule() {
    aimed(
        "nodes: 3, boot 5s..5s\ndeployment shop/web: replicas 4, on node-1 node-1 node-1 node-2, ready after 10s\n\
         do: reboot node-1\neventually: every entry Succeeded",
    )
    .needs_arithmetic(Slip::Implied, &[], "S7");
}

#[test]
fn implied_without_the_last_ready_pod_break_a_rule() {
    // The other replica has been Pending for so long that it no longer counts as disrupted.
    aimed(
        "nodes: 2, boot 5s..5s, cpu 4\ndeployment shop/web: replicas 2, only on node-1, cpu 3\nwait 10m\n\
         do: reboot node-1\nwait 1m\neventually within 1s: node-1 Queued ImpliedBudget",
    )
    .needs_arithmetic(Slip::LastPod, &[], "S7");
}

#[test]
fn one_place_too_many_breaks_a_rule() {
    let trial = aimed(
        "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 2\ndo: reboot --all\neventually: every entry Succeeded",
    );
    trial.needs_arithmetic(Slip::Place, &[], "independent check");
    trial.needs_arithmetic(Slip::Place, &[Guard::Recheck], "S4");
}
