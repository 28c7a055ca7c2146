use super::*;
use crate::scenario::model::{Demand, Fault, Kind};

const EXAMPLE: &str = "\
scenario: two pods of one budget leave a node one after the other
nodes: 3, boot 20s..30s
deployment shop/cart: replicas 2, budget maxUnavailable 1, on node-1 node-1
policy workers: maxConcurrent 1
do: reboot --all
order node-1: Draining, Rebooting, Verifying, Succeeded
never: shop/cart ready < 1
eventually within 10m: every entry Succeeded
at the end: no cordon, no mark, no slot, power log one line per node
";

fn errors(lines: &str) -> String {
    parse("x.txt", &format!("scenario: x\n{lines}"))
        .unwrap_err()
        .to_string()
}

#[test]
fn the_example_is_read() {
    let scenario = parse("example.txt", EXAMPLE).unwrap();
    assert_eq!(scenario.nodes.workers, 3);
    assert_eq!(scenario.nodes.boot.to, Duration::from_secs(30));
    let cart = &scenario.workloads[0].what;
    assert_eq!(
        (cart.kind, cart.replicas, cart.on.len()),
        (Kind::Deployment, 2, 2)
    );
    assert_eq!(
        cart.budget.as_ref().unwrap().demand,
        Demand::MaxUnavailable(1.into())
    );
    assert_eq!(scenario.policies["workers"].len(), 1);
    assert_eq!(scenario.steps.len(), 2);
    assert_eq!((scenario.orders.len(), scenario.never.len()), (1, 1));
    assert_eq!(scenario.at_the_end.len(), 4);
}

#[test]
fn every_other_statement_is_read() {
    let text = "\
# a comment
scenario: all
nodes: 5, control-planes 3, racks 2, boot 2s, cpu 4, memory 8Gi
statefulset db/pg: replicas 2, local volume, on node-1 node-2, grace 10s, stops in 2s..3s
daemonset kube-system/agent: never ready
daemonset kube-system/proxy
job batch/report: runs for 30s, on node-1
pod shop/lonely: on node-1, csi volume detached in 3s, finalizer example.com/x, empty dir, spread
deployment shop/web: replicas 3, label tier=front, annotation a/b=c, tolerates unschedulable, ignores SIGTERM
budget shop/second: selects web, minAvailable 50%
queue: maxUnavailable 1, failures.max 10%
fault node-2: slow x3
controllers: 2
kill controller after write 7
given: cordon node-3     # by a person
after 10s: resume
when within 1m node-1 is Draining: pause while I look
every 20s: restart controller
wait 5m
eventually: node-3 is Queued BudgetImpossible naming pdb shop/web
do: edit policy workers: drain.timeout 20s
order every node: Draining, Succeeded
never: more than 2 nodes unavailable
";
    let scenario = parse("all.txt", text).unwrap();
    assert_eq!(scenario.workloads.len(), 6);
    let fault = |act: &Act| matches!(act, Act::Fault(fault) if fault.fault == Fault::Slow(3));
    assert!(scenario.given.iter().any(|at| fault(&at.what)));
    assert_eq!(scenario.exit_after_writes, Some(7));
    assert_eq!(scenario.nodes.names().len(), 8);
    assert_eq!(scenario.steps.len(), 5);
    assert_eq!(scenario.steps[1].line, 17);
}

#[test]
fn the_error_for_a_wrong_line_has_file_line_and_nearest_word() {
    for (line, message) in [
        (
            "nods: 3",
            "x.txt:2: `nods` is not the beginning of a line; did you mean `nodes:`?",
        ),
        (
            "nodes: 3, rack 2",
            "x.txt:2: `rack 2` is not a part of the line `nodes:`; did you mean `racks`?",
        ),
        ("deployment shop/cart: replica 2", "did you mean `replicas`?"),
        (
            "deployment cart: replicas 2",
            "x.txt:2: `cart` is not written NAMESPACE/NAME",
        ),
        ("deployment shop/cart: replicas two", "`two` is not a number"),
        (
            "deployment shop/cart: replicas 1, on node-1 node-2",
            "`on` names 2 nodes for 1 replicas",
        ),
        ("daemonset a/b: replicas 2", "a daemonset has a pod on every node"),
        ("fault node-2: never return", "did you mean `never returns`?"),
        ("fault node-9: never returns", "`node-9` is not among the 3 nodes"),
        (
            "do: rebot --all",
            "`rebot --all` is not an act; did you mean `reboot`?",
        ),
        ("do: reboot --all now", "nothing is expected after this: `now`"),
        ("do reboot --all", "a colon is expected"),
        ("eventually within soon: no cordon", "`soon` is not a time"),
        ("never: no cordon, no mark", "one condition a line"),
        ("policy workers: maxConcurent 1", "did you mean `maxConcurrent`?"),
        (
            "order node-1: Draining, Rebooted",
            "x.txt:2: `Rebooted` is not a phase; did you mean `Rebooting`?",
        ),
        (
            "when node-7 is Draining: pause",
            "`node-7` is not among the 3 nodes",
        ),
        ("wait", "the line ends where a time such as 20s is expected"),
        (
            "wait 10s: reboot --all",
            "nothing is expected after this: `reboot --all`; write `after 10s: ...`",
        ),
        (
            "kill controller after write 7: resume",
            "nothing is expected after this: `resume`",
        ),
        ("nodes: 3\nnodes: 4", "x.txt:3: `nodes:` is already in line 2"),
        ("scenario: y", "x.txt:2: `scenario:` is already in line 1"),
        (
            "deployment shop/cart\nstatefulset shop/cart",
            "x.txt:3: the workload shop/cart is already in line 2",
        ),
        ("nodes: 3, cpu 1,5", "`5` is not a part of the line `nodes:`"),
        ("deployment shop/cart: cpu 1.5x", "`1.5x` is not a quantity"),
        (
            "deployment shop/cart: local volume, on node-1 node-2",
            "these pods share one volume",
        ),
        ("pod shop/x: on cp-1", "no pod can run on cp-1"),
        (
            "statefulset shop/x: replicas 2, never ready",
            "makes no second pod before the first is Ready",
        ),
        ("do: reboot node-1 --again", "`--again` needs `--all`"),
        ("do: cancel -l role=worker", "`-l` is not a node"),
    ] {
        let found = errors(line);
        assert!(
            found.contains(message),
            "{line}\n  gives {found}\n  and not {message}"
        );
    }
}

#[test]
fn a_name_that_the_scenario_does_not_have_is_an_error() {
    let cart =
        "statefulset shop/cart: replicas 2, budget maxUnavailable 1\npod shop/lonely\ndaemonset shop/agent\n";
    for (line, message) in [
        (
            "policy wokers: maxConcurrent 1",
            "x.txt:5: the policy `wokers` needs `nodeSelector` and `priority`; did you mean `workers`?",
        ),
        (
            "do: edit policy wokers: maxConcurrent 1",
            "did you mean `workers`?",
        ),
        ("do: apply policy gpu", "`gpu` is not a policy of this scenario"),
        ("never: shop/crat disrupted > 0", "did you mean `shop/cart`?"),
        (
            "never: shop/agent disrupted > 0",
            "`shop/agent` is not a workload of this scenario that fits here",
        ),
        (
            "at the end: pod shop/crat-0 is gone",
            "did you mean `shop/cart-0`?",
        ),
        (
            "at the end: not pod shop/lonely-x is there",
            "did you mean `shop/lonely`?",
        ),
        ("do: delete pod shop/crat-1", "did you mean `shop/cart-0`?"),
        (
            "budget shop/more: selects crat, maxUnavailable 1",
            "did you mean `shop/cart`?",
        ),
        (
            "do: edit budget shop/crat: maxUnavailable 1",
            "did you mean `shop/cart`?",
        ),
        (
            "do: scale shop/agent to 3",
            "`shop/agent` is not a workload of this scenario that fits here",
        ),
        ("do: deny delete pods in shop", "there is none"),
    ] {
        let found = errors(&format!("{cart}{line}"));
        assert!(
            found.contains(message) && found.lines().count() == 1,
            "{line}\n  gives {found}\n  and not {message}"
        );
    }
    let good = "policy gpu: nodeSelector gpu=yes\npolicy gpu: priority 1\ndo: delete policy gpu\nnever: shop/agent ready > 3\n\
                at the end: pod shop/cart-1 is there, shop/cart disrupted = 0";
    parse("x.txt", &format!("scenario: x\n{cart}{good}")).unwrap();
}

#[test]
fn all_wrong_lines_are_reported_together() {
    let found = errors("nods: 3\ndo: reboot --all\nevntually: no cordon");
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(
        parse("x.txt", "nodes: 3")
            .unwrap_err()
            .to_string()
            .contains("scenario: WHAT IT SHOWS")
    );
}
