//! What goes wrong between a caller and the API server. Each caller has its own troubles.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::meta::Ms;
use crate::rng::Rng;

/// The verb of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

impl Verb {
    /// Whether the request changes something.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch | Self::Delete)
    }
}

/// A right that has been taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deny {
    pub verb: Verb,
    /// As RBAC names it: `nodes`, `pods`, `pods/eviction`, a custom kind, `KIND/status`.
    pub resource: String,
    /// In this namespace only; `None` everywhere.
    pub namespace: Option<String>,
}

/// The answer to the caller's write number `nth` (from 1) is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lose {
    pub nth: u64,
    /// Whether the write was done.
    pub done: bool,
}

/// The troubles of one caller.
#[derive(Debug, Clone, Default)]
pub struct CallerFaults {
    /// From, until: nobody answers.
    pub outages: Vec<(Ms, Ms)>,
    /// From, until: 429 without a cause (API Priority and Fairness).
    pub throttled: Vec<(Ms, Ms)>,
    pub deny: Vec<Deny>,
    pub lose: Vec<Lose>,
    /// Of 1,000 writes so many lose their answer; half of these are done.
    pub lose_per_mille: u32,
    /// How much later than the write a watch shows it.
    pub watch_lag_ms: u64,
}

/// What one caller has asked for so far.
#[derive(Debug, Clone, Default)]
pub struct CallerLog {
    pub writes: u64,
    /// Requests by verb and resource.
    pub requests: BTreeMap<(Verb, String), u64>,
}

/// What becomes of a request that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    AnswerLost,
}

/// All callers' troubles and counts.
#[derive(Debug)]
pub struct Callers {
    faults: BTreeMap<String, CallerFaults>,
    logs: BTreeMap<String, CallerLog>,
    rng: Rng,
}

impl Callers {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            faults: BTreeMap::new(),
            logs: BTreeMap::new(),
            rng: Rng::stream(seed, "callers"),
        }
    }

    /// The troubles of `who`, to be changed.
    pub fn faults(&mut self, who: &str) -> &mut CallerFaults {
        self.faults.entry(who.to_owned()).or_default()
    }

    /// What `who` has asked for so far.
    pub fn log(&self, who: &str) -> CallerLog {
        self.logs.get(who).cloned().unwrap_or_default()
    }

    /// How late `who`'s watches are.
    pub fn watch_lag_ms(&self, who: &str) -> u64 {
        self.faults.get(who).map_or(0, |f| f.watch_lag_ms)
    }

    pub(crate) fn gate(
        &mut self,
        now: Ms,
        who: &str,
        verb: Verb,
        resource: &str,
        namespace: &str,
    ) -> Result<Fate, ApiError> {
        let log = self.logs.entry(who.to_owned()).or_default();
        *log.requests.entry((verb, resource.to_owned())).or_default() += 1;
        log.writes += u64::from(verb.writes());
        let nth = log.writes;
        let Some(faults) = self.faults.get(who) else {
            return Ok(Fate::Answered);
        };
        let within =
            |windows: &[(Ms, Ms)]| windows.iter().any(|(from, until)| (*from..*until).contains(&now));
        if within(&faults.outages) {
            return Err(ApiError::Unavailable {
                text: "connection refused".into(),
            });
        }
        if within(&faults.throttled) {
            return Err(ApiError::TooManyRequests {
                cause: String::new(),
                retry_after_s: Some(1),
                text: "too many requests, please try again later".into(),
            });
        }
        if faults.deny.iter().any(|d| {
            d.verb == verb && d.resource == resource && d.namespace.as_deref().is_none_or(|n| n == namespace)
        }) {
            let text = format!("{resource} is forbidden: user {who:?} cannot {verb:?} in {namespace:?}");
            return Err(ApiError::Forbidden {
                cause: String::new(),
                text,
            });
        }
        if !verb.writes() {
            return Ok(Fate::Answered);
        }
        let planned = faults.lose.iter().find(|l| l.nth == nth).map(|l| l.done);
        let lost = match planned {
            Some(done) => Some(done),
            None if self.rng.chance(faults.lose_per_mille) => Some(self.rng.chance(500)),
            None => None,
        };
        match lost {
            Some(false) => Err(ApiError::Timeout {
                text: "request timed out".into(),
            }),
            Some(true) => Ok(Fate::AnswerLost),
            None => Ok(Fate::Answered),
        }
    }
}
