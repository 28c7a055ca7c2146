use super::*;
use crate::scenario::facts::NodeFacts;
use crate::scenario::parse;

const HEAD: &str = "scenario: x\nnodes: 3\ndeployment shop/cart: replicas 2, budget maxUnavailable 1, on node-1 node-1\n\
     deployment shop/web: replicas 2, budget maxUnavailable 1, on node-2 node-2\n";

/// Three Ready nodes. The first has two Ready pods of `cart`, the second has two of `web`.
fn facts() -> Facts {
    let mut facts = Facts::default();
    for name in ["node-1", "node-2", "node-3"] {
        let node = NodeFacts {
            ready: true,
            ..NodeFacts::default()
        };
        facts.nodes.insert(name.to_owned(), node);
    }
    for (workload, node) in [("shop/cart", "node-1"), ("shop/web", "node-2")] {
        facts.replicas.insert(workload.to_owned(), 2);
        for number in 0..2 {
            let pod = PodFacts {
                node: node.to_owned(),
                workload: workload.to_owned(),
                ready: true,
                ..PodFacts::default()
            };
            facts.pods.insert(format!("{workload}-{number}"), pod);
        }
    }
    facts
}

fn budgets(cart: i64, web: i64) -> Vec<BudgetState> {
    vec![("shop/cart".into(), cart, 1), ("shop/web".into(), web, 1)]
}

/// The failures when the budgets of `cart` and `web` have this many healthy pods after all acts of the file.
fn judged(lines: &str, cart: i64, web: i64, change: impl Fn(&mut Facts)) -> Vec<String> {
    let scenario = parse("x", &format!("{HEAD}{lines}\n")).unwrap();
    let mut judge = Judge::new(&scenario, Duration::ZERO);
    let mut rules = Rules::new(&scenario);
    let mut facts = facts();
    rules.look(
        &facts,
        budgets(2, 2),
        None,
        Policies::new(),
        Duration::ZERO,
        &mut judge,
    );
    for (_, act) in scenario.acts() {
        rules.forgive(act, &facts);
    }
    change(&mut facts);
    for second in 1..=2 {
        rules.look(
            &facts,
            budgets(cart, web),
            None,
            Policies::new(),
            Duration::from_secs(second),
            &mut judge,
        );
    }
    judge
        .failures()
        .iter()
        .map(|failure| failure.seen.clone())
        .collect()
}

#[test]
fn a_condition_that_names_a_node_stops_no_rule() {
    let seen = judged("when node-1 cordoned: pause", 0, 2, |_| ());
    assert_eq!(seen, ["budget shop/cart: 0 healthy, 1 needed"]);
}

#[test]
fn a_fault_of_a_machine_that_junban_drains_stops_no_rule() {
    for fault in [
        "refused",
        "slow x3",
        "never returns",
        "NotReady",
        "unknown",
        "power lost",
    ] {
        let seen = judged(&format!("fault node-1: {fault}"), 0, 2, |_| ());
        assert_eq!(seen, ["budget shop/cart: 0 healthy, 1 needed"], "{fault}");
    }
}

#[test]
fn an_act_stops_the_rule_for_what_it_harms_and_for_nothing_else() {
    for act in [
        "edit budget shop/cart: maxUnavailable 0",
        "scale shop/cart to 3",
        "delete pod shop/cart-1",
        "reboot machine node-1 by hand",
        "power off machine node-1",
        "delete node node-1",
        "fault node-1: dead",
    ] {
        assert_eq!(judged(&format!("do: {act}"), 0, 2, |_| ()), [""; 0], "{act}");
        let seen = judged(&format!("do: {act}"), 2, 0, |_| ());
        assert_eq!(seen, ["budget shop/web: 0 healthy, 1 needed"], "{act}");
    }
}

#[test]
fn a_node_that_is_not_ready_outside_of_a_turn_stops_the_rule_for_its_own_pods_only() {
    let away = |facts: &mut Facts| facts.nodes.get_mut("node-1").unwrap().ready = false;
    assert_eq!(judged("do: reboot --all", 0, 2, away), [""; 0]);
    let seen = judged("do: reboot --all", 2, 0, away);
    assert_eq!(seen, ["budget shop/web: 0 healthy, 1 needed"]);
}
