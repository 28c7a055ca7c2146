//! The crash sweep. In the first run the controller ends itself after its first write, in the second run after its second
//! write, and so on, until a run has fewer writes. Each run must end in the same state as the run without a crash
//! (docs/design/safety.md#crash-sweep).

use super::facts::EndState;
use super::judge::Failure;

/// What a sweep needs to know of one run.
#[derive(Clone, Debug)]
pub struct SweptRun {
    pub failures: Vec<Failure>,
    pub end: EndState,
    /// Whether the controller ended itself after the write.
    pub exited: bool,
}

/// One crash that changed the result of a run.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The acknowledged write after which the crash came.
    pub write: u64,
    pub failures: Vec<Failure>,
    pub end: EndState,
}

/// What a sweep found.
#[derive(Clone, Debug)]
pub struct SweepReport {
    /// How many runs had a crash.
    pub crashes: u64,
    /// The end state without a crash.
    pub without: EndState,
    /// The failures of the run without a crash.
    pub failures: Vec<Failure>,
    pub differences: Vec<Difference>,
}

/// Sweeps over the writes from `first` to `last`. `run` does one run with a crash after this write, or without a crash.
pub fn sweep<E>(
    first: u64,
    last: u64,
    mut run: impl FnMut(Option<u64>) -> Result<SweptRun, E>,
) -> Result<SweepReport, E> {
    let whole = run(None)?;
    let mut swept = SweepReport {
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
