//! The figures of the demo: they add up, the same seed gives the same figures, and no run is faster than its lower bound.

use junban_sim::demo::{Demo, Options, Summary};

fn figures(nodes: usize, seed: u64, fail: usize) -> Summary {
    let mut demo = Demo::new(Options { nodes, seed, fail });
    demo.run();
    demo.summary()
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_seed_others() {
    let first = figures(6, 1, 0);
    assert_eq!(first, figures(6, 1, 0));
    assert_ne!(first.makespan_seconds, figures(6, 2, 0).makespan_seconds);
}

#[test]
fn every_server_is_proven_by_the_rules_and_not_before_the_lower_bound() {
    for seed in [1, 2, 3] {
        let summary = figures(10, seed, 0);
        assert_eq!((summary.succeeded, summary.failed), (10, 0), "seed {seed}");
        assert_eq!(
            (summary.budget_violations, summary.rule_violations),
            (0, 0),
            "{:?}",
            summary.violations
        );
        assert!(summary.evictions > 0 && summary.pods > 0);
        assert!(summary.lower_bound_seconds > 0);
        assert!(
            summary.lower_bound_seconds <= summary.makespan_seconds,
            "seed {seed}: the run took {} s, and the lower bound is {} s ({})",
            summary.makespan_seconds,
            summary.lower_bound_seconds,
            summary.bound_by
        );
    }
}

#[test]
fn a_server_that_never_comes_back_is_named_and_the_others_go_on() {
    let summary = figures(8, 1, 1);
    assert_eq!(summary.succeeded + summary.failed, 8);
    assert_eq!(
        (summary.budget_violations, summary.rule_violations),
        (0, 0),
        "{:?}",
        summary.violations
    );
    let dead: Vec<&String> = summary
        .failed_nodes
        .iter()
        .filter(|node| node.contains("Failed BootTimeout"))
        .collect();
    assert_eq!(dead.len(), 1, "{:#?}", summary.failed_nodes);
    println!("{:#?}", summary.failed_nodes);
}
