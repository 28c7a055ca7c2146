//! The audit logs of the API servers and the log of the power command. The figures come from these logs, not from what
//! Junban says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use junban_testbed::ACCOUNT;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PowerLine {
    time: String,
    pub(super) node: String,
    #[serde(rename = "bootIDBefore")]
    pub(super) boot_id_before: String,
    pub(super) effect: String,
}

impl PowerLine {
    pub(super) fn at(&self) -> f64 {
        seconds(&self.time).unwrap_or_default()
    }
}

pub(super) fn power_lines(log: &Path) -> Result<Vec<PowerLine>> {
    let text = match std::fs::read_to_string(log) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("read the power log"),
    };
    text.lines()
        .map(|line| serde_json::from_str(line).context("a line of the power log"))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditLine {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    object_ref: Option<Object>,
    response_status: Option<Status>,
    request_received_timestamp: String,
    stage_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default, Clone)]
struct Object {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    subresource: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

/// One request of Junban's account. Times are in seconds since 1970.
struct Request {
    verb: String,
    object: Object,
    uri: String,
    code: u16,
    received: f64,
    answered: f64,
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

/// What the audit logs say of Junban, and of the pods that are gone.
#[derive(Default)]
pub(super) struct Audit {
    requests: Vec<Request>,
    /// For each pod that a kubelet removed: its node, and when.
    pub(super) removed: Vec<(String, f64)>,
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
                let ours = line.contains(&account);
                let removal = line.contains("\"verb\":\"delete\"") && line.contains("\"system:node:");
                if !ours && !removal {
                    continue;
                }
                let Ok(line) = serde_json::from_str::<AuditLine>(&line) else {
                    continue; // the last line of a server that was killed
                };
                let received = seconds(&line.request_received_timestamp).unwrap_or_default();
                if received >= since && seen.insert(line.audit_id.clone()) {
                    audit.take(line, received, &account);
                }
            }
        }
        audit.requests.sort_by(|a, b| a.received.total_cmp(&b.received));
        Ok(audit)
    }

    fn take(&mut self, line: AuditLine, received: f64, account: &str) {
        let object = line.object_ref.unwrap_or_default();
        let code = line.response_status.map_or(0, |status| status.code);
        let answered = seconds(&line.stage_timestamp).unwrap_or_default();
        if line.user.username == account {
            self.requests.push(Request {
                verb: line.verb,
                object,
                uri: line.request_uri,
                code,
                received,
                answered,
            });
        } else if object.resource == "pods"
            && code < 300
            && let Some(node) = line.user.username.strip_prefix("system:node:")
        {
            self.removed.push((node.to_owned(), answered));
        }
    }

    /// How many requests there were beside those for queue, Lease and watches.
    pub(super) fn counted(&self) -> usize {
        let counted = |request: &&Request| !request.is_background();
        self.requests.iter().filter(counted).count()
    }

    pub(super) fn evictions(&self) -> usize {
        let accepted = |request: &&Request| request.object.subresource == "eviction" && request.code < 300;
        self.requests.iter().filter(accepted).count()
    }

    pub(super) fn refused_evictions(&self) -> usize {
        let refused = |request: &&Request| request.object.subresource == "eviction" && request.code == 429;
        self.requests.iter().filter(refused).count()
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
            let row = format!("{:<6} {what} {}{apart}", request.verb, request.code);
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

    /// When the API server acknowledged the patch of `node` that a watch showed at `seen`.
    pub(super) fn patched(&self, node: &str, seen: f64) -> f64 {
        let patches = self.requests.iter().filter(|request| {
            request.object.resource == "nodes" && request.object.name == node && request.verb == "patch"
        });
        // A watch can show a write before its answer is sent, but not before the request was received.
        patches
            .filter(|request| request.received <= seen)
            .map(|request| request.answered)
            .reduce(f64::max)
            .unwrap_or(seen)
    }

    /// When the last write of the ledger before a cordon was sent: that write gave the slot.
    pub(super) fn granted(&self, cordoned: f64) -> f64 {
        let writes = self.requests.iter().filter(|request| {
            let what = (request.verb.as_str(), request.object.resource.as_str());
            what == ("update", "rebootqueues") && request.code == 200 && request.answered <= cordoned
        });
        writes
            .map(|request| request.received)
            .max_by(f64::total_cmp)
            .unwrap_or(cordoned)
    }
}

/// `2026-11-23T17:56:19.353816Z` in seconds since 1970.
fn seconds(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':');
    let (hours, minutes) = (
        time.next()?.parse::<i64>().ok()?,
        time.next()?.parse::<i64>().ok()?,
    );
    let seconds = time.next()?.parse::<f64>().ok()?;
    // Years begin in March here, so that a leap day is the last day of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468;
    Some((days * 86_400 + hours * 3_600 + minutes * 60) as f64 + seconds)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_of_the_logs_are_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(seconds("2024-02-29T12:00:00.500Z"), Some(1_709_208_000.5));
        assert_eq!(seconds("yesterday"), None);
    }
}
