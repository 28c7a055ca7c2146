//! What goes wrong between a caller and the API server. Each caller has faults of its own.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::meta::Ms;

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

#[derive(Debug, Clone, Default)]
pub struct CallerFaults {
    /// From, until: the API server is not reachable.
    pub outages: Vec<(Ms, Ms)>,
    pub deny: Vec<Deny>,
    pub lost_answers: Vec<LostAnswer>,
}

#[derive(Debug, Clone, Default)]
pub struct CallerLog {
    pub writes: u64,
    pub requests: BTreeMap<(Verb, String), u64>,
}

/// Whether the answer to a request arrives. The server has handled the request either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Answered,
    AnswerLost,
}

#[derive(Debug, Default)]
pub struct Callers {
    faults: BTreeMap<String, CallerFaults>,
    logs: BTreeMap<String, CallerLog>,
}

impl Callers {
    /// The faults of `who`, for the test to change.
    pub fn faults(&mut self, who: &str) -> &mut CallerFaults {
        self.faults.entry(who.to_owned()).or_default()
    }

    pub fn log(&self, who: &str) -> CallerLog {
        self.logs.get(who).cloned().unwrap_or_default()
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
        if faults
            .outages
            .iter()
            .any(|(from, until)| (*from..*until).contains(&now))
        {
            return Err(ApiError::Unavailable {
                text: "connection refused".into(),
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
        match faults.lost_answers.iter().find(|l| l.nth == nth).map(|l| l.done) {
            Some(false) => Err(ApiError::Timeout {
                text: "request timed out".into(),
            }),
            Some(true) => Ok(Delivery::AnswerLost),
            None => Ok(Delivery::Answered),
        }
    }
}
