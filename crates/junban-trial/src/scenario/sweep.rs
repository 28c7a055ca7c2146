//! The crash sweep: the controller ends after its first write, then in another run after its second, and so on, until
//! a run makes fewer. Each run must end as the one without a crash does.

use super::facts::EndState;
use super::judge::Failure;

/// What a sweep looks at in one run, in whichever world.
#[derive(Clone, Debug)]
pub struct Ended {
    pub failures: Vec<Failure>,
    pub end: EndState,
    /// Whether the controller ended itself after the write that was asked for.
    pub exited: bool,
}

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

/// Sweeps over the writes from `first` on, but not beyond `last`. `run` carries out one run that ends after the write
/// given, or none.
pub fn sweep<E>(
    first: u64,
    last: u64,
    mut run: impl FnMut(Option<u64>) -> Result<Ended, E>,
) -> Result<Swept, E> {
    let whole = run(None)?;
    let mut swept = Swept {
        crashes: 0,
        without: whole.end,
        failures: whole.failures,
        differences: Vec::new(),
    };
    for write in first..=last {
        let crashed = run(Some(write))?;
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
    Ok(swept)
}
