//! One write of a run meets trouble: its request is lost, its answer is lost, or its process dies while the request is
//! under way. There is a run for each write, and each must end in the same state as the run without trouble
//! (docs/design/safety.md#crash-sweep, docs/design/safety.md#f1, docs/design/safety.md#f3).

#![expect(
    clippy::panic,
    reason = "a scenario file that cannot be read is a mistake of the file"
)]

use junban_core::effect::Effect;
use junban_sim::sim::{Delays, Trouble, Troubles};
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::simulated::{Options, SimulatedReport, run, run_in};
use std::cell::Cell;
use std::rc::Rc;

fn scenario(name: &str) -> Scenario {
    let path = format!("{}/../../tests/scenarios/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

const OPTIONS: Options = Options {
    seed: 1,
    exit_after_writes: None,
    lenient: false,
    rules_only: false,
};

/// Runs with trouble for the `nth` write of the first controller. Returns the report, and whether there was such a write.
fn with_trouble(scenario: &Scenario, nth: u32, trouble: Trouble) -> (SimulatedReport, bool) {
    let sent = Rc::new(Cell::new(0));
    let count = Rc::clone(&sent);
    let on_send = move |number: u32, effect: &Effect| {
        if number != 1 || !effect.is_write() {
            return Trouble::default();
        }
        count.set(count.get() + 1);
        if count.get() == nth {
            trouble
        } else {
            Trouble::default()
        }
    };
    let troubles = Troubles {
        on_send: Some(Box::new(on_send)),
        ..Troubles::default()
    };
    let options = Options {
        lenient: true,
        ..OPTIONS
    };
    (
        run_in(scenario, options, Delays::default(), troubles),
        sent.get() >= nth,
    )
}

fn ends_the_same(name: &str, step: u32, trouble: Trouble) {
    let scenario = scenario(name);
    let without = run(&scenario, OPTIONS);
    assert!(without.failures.is_empty(), "{name}: {:#?}", without.failures);
    let mut troubled = 0;
    for nth in (1..500).step_by(step as usize) {
        let (report, met) = with_trouble(&scenario, nth, trouble);
        if !met {
            break;
        }
        troubled += 1;
        let failures: Vec<String> = report
            .failures
            .iter()
            .map(|failure| failure.describe(name))
            .collect();
        assert!(failures.is_empty(), "write {nth}, {trouble:?}: {failures:#?}");
        assert_eq!(report.end, without.end, "{name}: write {nth}, {trouble:?}");
    }
    assert!(troubled > 5, "{name}: only {troubled} writes met trouble");
}

const REQUEST_LOST: Trouble = Trouble {
    late: 0,
    answer_late: 0,
    request_lost: true,
    answer_lost: false,
    unshown: false,
    kill: false,
};
const ANSWER_LOST: Trouble = Trouble {
    request_lost: false,
    answer_lost: true,
    ..REQUEST_LOST
};
/// The request arrives after another process has become the leader.
const KILLED_WITH_REQUEST_UNDER_WAY: Trouble = Trouble {
    late: 2_500,
    request_lost: false,
    kill: true,
    ..REQUEST_LOST
};

macro_rules! sweeps {
    ($($name:ident every $step:literal,)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn with_each_request_lost() {
                ends_the_same(stringify!($name), $step, REQUEST_LOST);
            }

            #[test]
            fn with_each_answer_lost() {
                ends_the_same(stringify!($name), $step, ANSWER_LOST);
            }

            #[test]
            fn killed_with_each_request_under_way() {
                ends_the_same(stringify!($name), $step, KILLED_WITH_REQUEST_UNDER_WAY);
            }
        })*
    };
}

sweeps! {
    three_empty_nodes every 1,
    budget_of_one every 2,
    cancel_in_draining every 1,
    cordon_before_the_run every 2,
    no_budget_one_node every 2,
    no_budget_two_nodes every 2,
}

/// Without killed processes: after a crash a person retries the server that never returns, so two power actions are
/// correct.
mod never_returns_first_of_3 {
    use super::*;

    #[test]
    fn with_each_request_lost() {
        ends_the_same("never_returns_first_of_3", 2, REQUEST_LOST);
    }

    #[test]
    fn with_each_answer_lost() {
        ends_the_same("never_returns_first_of_3", 2, ANSWER_LOST);
    }
}
