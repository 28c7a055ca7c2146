//! The audit logs of the API servers. The figures come from these logs, not from what Junban says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use junban_testbed::ACCOUNT;
use serde::Deserialize;

use crate::watched::seconds;

/// One line of an audit log. Times are in seconds since 1970.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(rename = "requestURI")]
    uri: String,
    verb: String,
    user: User,
    #[serde(default, rename = "objectRef")]
    object: Object,
    #[serde(default, rename = "responseStatus")]
    status: Status,
    #[serde(rename = "requestReceivedTimestamp", deserialize_with = "seconds")]
    received: f64,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

impl Request {
    /// Requests for the queue, the Lease and watches have a limit of their own, per second. A list of a whole kind
    /// begins a watch.
    fn is_background(&self) -> bool {
        let begins_watch = self.verb == "list" && !self.uri.contains("fieldSelector");
        begins_watch
            || self.verb == "watch"
            || matches!(self.object.resource.as_str(), "rebootqueues" | "leases")
    }
}

/// What the audit logs say of Junban.
#[derive(Default)]
pub(super) struct Audit {
    /// The requests of Junban's account, in the order in which they were received.
    requests: Vec<Request>,
}

impl Audit {
    /// Reads the requests that were received from `since` on.
    pub(super) fn read(logs: &[PathBuf], since: f64) -> Result<Self> {
        let account = format!("system:serviceaccount:{}", ACCOUNT.replace('/', ":"));
        let mut audit = Self::default();
        let mut seen = BTreeSet::new();
        for log in logs {
            let file = File::open(log).with_context(|| format!("read {}", log.display()))?;
            for line in BufReader::new(file).lines() {
                let line = line?;
                // Parsing is slow, and most lines are about other accounts.
                if !line.contains(&account) {
                    continue;
                }
                let Ok(request) = serde_json::from_str::<Request>(&line) else {
                    continue; // the last line of a server that was killed
                };
                let is_new = request.received >= since && seen.insert(request.audit_id.clone());
                if is_new && request.user.username == account {
                    audit.requests.push(request);
                }
            }
        }
        audit.requests.sort_by(|a, b| a.received.total_cmp(&b.received));
        Ok(audit)
    }

    /// How many requests there were beside those for queue, Lease and watches.
    pub(super) fn counted(&self) -> usize {
        let counted = |request: &&Request| !request.is_background();
        self.requests.iter().filter(counted).count()
    }

    pub(super) fn accepted_evictions(&self) -> usize {
        self.evictions(|code| code < 300)
    }

    pub(super) fn refused_evictions(&self) -> usize {
        self.evictions(|code| code == 429)
    }

    fn evictions(&self, answered: impl Fn(u16) -> bool) -> usize {
        let evictions = self
            .requests
            .iter()
            .filter(|one| one.object.subresource == "eviction");
        evictions
            .filter(|eviction| answered(eviction.status.code))
            .count()
    }

    /// Counts requests of the same verb, resource and answer; the most frequent first.
    pub(super) fn table(&self) -> Vec<(usize, String)> {
        let mut rows = BTreeMap::new();
        for request in &self.requests {
            let mut what = request.object.resource.clone();
            if what.is_empty() {
                what = request.uri.split('?').next().unwrap_or_default().to_owned();
            }
            if !request.object.subresource.is_empty() {
                what = format!("{what}/{}", request.object.subresource);
            }
            let apart = if request.is_background() {
                " (counted apart)"
            } else {
                ""
            };
            let row = format!("{:<6} {what} {}{apart}", request.verb, request.status.code);
            *rows.entry(row).or_insert(0) += 1;
        }
        let mut rows: Vec<_> = rows.into_iter().map(|(what, count)| (count, what)).collect();
        rows.sort_by(|a, b| b.cmp(a));
        rows
    }

    /// Requests per second for queue, Lease and watches: in the busiest second, in the busiest ten seconds, on average.
    pub(super) fn background_rate(&self, from: f64) -> (f64, f64, f64) {
        let times: Vec<f64> = self
            .requests
            .iter()
            .filter(|request| request.is_background() && request.received >= from)
            .map(|request| request.received)
            .collect();
        let busiest = |window: f64| {
            let mut most = 0;
            let mut first = 0;
            for (index, at) in times.iter().enumerate() {
                while times[first] <= at - window {
                    first += 1;
                }
                most = most.max(index + 1 - first);
            }
            most as f64 / window
        };
        let span = times.last().map_or(1.0, |last| (last - from).max(1.0));
        (busiest(1.0), busiest(10.0), times.len() as f64 / span)
    }
}
