//! A request that is lost, an answer that is lost, and a process that dies with its request still on the way: for each
//! write of a run in turn. Each run must end as the one without trouble does (safety.md 4, crash sweep; F1, F3).

#![expect(
    clippy::panic,
    reason = "a scenario that does not parse is a mistake of its file"
)]

use junban_core::effect::Effect;
use junban_sim::sim::{Delays, Trouble, Troubles};
use junban_trial::scenario::model::Scenario;
use junban_trial::scenario::parse;
use junban_trial::simulated::{Options, Outcome, run, run_in};
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

/// Trouble with the `nth` write that the first controller sends. Returns the outcome, and whether there was one.
fn with_trouble(scenario: &Scenario, nth: u32, trouble: Trouble) -> (Outcome, bool) {
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
        let (outcome, met) = with_trouble(&scenario, nth, trouble);
        if !met {
            break;
        }
        troubled += 1;
        let told: Vec<String> = outcome
            .failures
            .iter()
            .map(|failure| failure.describe(name))
            .collect();
        assert!(told.is_empty(), "write {nth}, {trouble:?}: {told:#?}");
        assert_eq!(outcome.end, without.end, "{name}: write {nth}, {trouble:?}");
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
/// It arrives when the successor has taken over.
const KILLED_ON_THE_WAY: Trouble = Trouble {
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
            fn killed_with_each_request_on_the_way() {
                ends_the_same(stringify!($name), $step, KILLED_ON_THE_WAY);
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

/// Killed ones apart: there a person retries a server that never returns, and two power actions are right.
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
