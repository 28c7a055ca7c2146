//! The crash sweep: the controller ends after its first write, then in another run after its second, and so on, until
//! a run makes fewer. Each run must end as the one without a crash does.

use super::{EndState, Options, run};
use crate::scenario::judge::Failure;
use crate::scenario::model::Scenario;

/// One crash that changed what came of a run.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The crash came after this acknowledged write.
    pub write: u64,
    pub failures: Vec<Failure>,
    pub end: EndState,
}

/// What a sweep found.
#[derive(Clone, Debug)]
pub struct Swept {
    /// Runs with a crash.
    pub crashes: u64,
    pub without: EndState,
    /// What was wrong in the run without a crash.
    pub failures: Vec<Failure>,
    pub differences: Vec<Difference>,
}

/// Sweeps over all writes, but not more than `limit`.
pub fn sweep(scenario: &Scenario, seed: u64, limit: u64) -> Swept {
    let whole = run(
        scenario,
        Options {
            seed,
            exit_after_writes: None,
        },
    );
    let mut swept = Swept {
        crashes: 0,
        without: whole.end,
        failures: whole.failures,
        differences: Vec::new(),
    };
    for write in 1..=limit {
        let crashed = run(
            scenario,
            Options {
                seed,
                exit_after_writes: Some(write),
            },
        );
        if !crashed.exited {
            break;
        }
        swept.crashes += 1;
        if crashed.end != swept.without || !crashed.failures.is_empty() {
            swept.differences.push(Difference {
                write,
                failures: crashed.failures,
                end: crashed.end,
            });
        }
    }
    swept
}
