//! What goes wrong between a caller and the API server. Each caller has faults of its own.

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
    /// Whether a request with this verb writes.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch | Self::Delete)
    }
}

/// A right that the caller does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deny {
    pub verb: Verb,
    /// As RBAC names it: `nodes`, `pods`, `pods/eviction`, a custom kind, `KIND/status`.
    pub resource: String,
    /// Denied in this namespace only; `None` denies it everywhere.
    pub namespace: Option<String>,
}

/// The answer to the caller's write number `nth` (from 1) does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostAnswer {
    pub nth: u64,
    /// Whether the server does the write.
    pub done: bool,
}

/// The faults of one caller.
#[derive(Debug, Clone, Default)]
pub struct CallerFaults {
    /// From, until: the API server is not reachable.
    pub outages: Vec<(Ms, Ms)>,
    /// From, until: 429 without a cause (API Priority and Fairness).
    pub throttled: Vec<(Ms, Ms)>,
    pub deny: Vec<Deny>,
    pub lost_answers: Vec<LostAnswer>,
    /// How many of 1,000 writes lose their answer, drawn at random. The server does half of these writes.
    pub lost_answers_per_mille: u32,
    /// How long after a write the caller's watch shows it.
    pub watch_lag_ms: u64,
}

/// The requests of one caller so far.
#[derive(Debug, Clone, Default)]
pub struct CallerLog {
    pub writes: u64,
    /// Requests by verb and resource.
    pub requests: BTreeMap<(Verb, String), u64>,
}

/// Whether the answer to a request arrives. The server has handled the request either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Answered,
    AnswerLost,
}

/// The faults and the request counts of all callers.
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

    /// The faults of `who`, for the test to change.
    pub fn faults(&mut self, who: &str) -> &mut CallerFaults {
        self.faults.entry(who.to_owned()).or_default()
    }

    /// The requests of `who` so far.
    pub fn log(&self, who: &str) -> CallerLog {
        self.logs.get(who).cloned().unwrap_or_default()
    }

    /// How late the watches of `who` are.
    pub fn watch_lag_ms(&self, who: &str) -> u64 {
        self.faults.get(who).map_or(0, |f| f.watch_lag_ms)
    }

    pub(crate) fn let_through(
        &mut self,
        now: Ms,
        who: &str,
        verb: Verb,
        resource: &str,
        namespace: &str,
    ) -> Result<Delivery, ApiError> {
        let log = self.logs.entry(who.to_owned()).or_default();
        *log.requests.entry((verb, resource.to_owned())).or_default() += 1;
        log.writes += u64::from(verb.writes());
        let nth = log.writes;
        let Some(faults) = self.faults.get(who) else {
            return Ok(Delivery::Answered);
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
            return Ok(Delivery::Answered);
        }
        let planned = faults.lost_answers.iter().find(|l| l.nth == nth).map(|l| l.done);
        let lost = match planned {
            Some(done) => Some(done),
            None if self.rng.chance(faults.lost_answers_per_mille) => Some(self.rng.chance(500)),
            None => None,
        };
        match lost {
            Some(false) => Err(ApiError::Timeout {
                text: "request timed out".into(),
            }),
            Some(true) => Ok(Delivery::AnswerLost),
            None => Ok(Delivery::Answered),
        }
    }
}
