//! Figures from the audit log and the power log, not from what Junban says of itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::starts::Homes;
use super::watcher::Cordon;
use junban_testbed::ACCOUNT;

/// A drained pod may have been bound before a scheduler saw the cordon, so this long is waited (drain.md).
const CORDON_SETTLES: f64 = 5.0;

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
struct Line {
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

/// One request of Junban's account.
struct Request {
    verb: String,
    object: Object,
    uri: String,
    code: u16,
    received: f64,
    answered: f64,
}

/// All that is needed of the audit logs.
#[derive(Default)]
pub(super) struct Audit {
    requests: Vec<Request>,
    /// Pods that a kubelet removed: (node, when).
    removed: Vec<(String, f64)>,
}

impl Audit {
    pub(super) fn read(logs: &[PathBuf], since: f64) -> Result<Self> {
        let account = format!("system:serviceaccount:{}", ACCOUNT.replace('/', ":"));
        let mut audit = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        for log in logs {
            let file = File::open(log).with_context(|| format!("read {}", log.display()))?;
            for line in BufReader::new(file).lines() {
                let line = line?;
                // Most lines are of others; parsing is what costs.
                let ours = line.contains(&account);
                let removal = line.contains("\"verb\":\"delete\"") && line.contains("\"system:node:");
                if !ours && !removal {
                    continue;
                }
                let Ok(line) = serde_json::from_str::<Line>(&line) else {
                    continue; // the last one of a server that was killed
                };
                let received = seconds(&line.request_received_timestamp).unwrap_or_default();
                if received < since || !seen.insert(line.audit_id) {
                    continue;
                }
                audit.take(
                    line.user.username == account,
                    received,
                    line.verb,
                    line.object_ref,
                    &Rest {
                        user: &line.user.username,
                        uri: line.request_uri,
                        code: line.response_status.map_or(0, |status| status.code),
                        answered: seconds(&line.stage_timestamp).unwrap_or_default(),
                    },
                );
            }
        }
        audit.requests.sort_by(|a, b| a.received.total_cmp(&b.received));
        Ok(audit)
    }

    fn take(&mut self, ours: bool, received: f64, verb: String, object: Option<Object>, rest: &Rest<'_>) {
        let object = object.unwrap_or_default();
        if ours {
            self.requests.push(Request {
                verb,
                object,
                uri: rest.uri.clone(),
                code: rest.code,
                received,
                answered: rest.answered,
            });
        } else if object.resource == "pods"
            && rest.code < 300
            && let Some(node) = rest.user.strip_prefix("system:node:")
        {
            self.removed.push((node.to_owned(), rest.answered));
        }
    }

    /// What is counted apart: at most 3 a second are allowed of these. A list of a whole kind begins a watch.
    fn apart(request: &Request) -> bool {
        let begins_watch = request.verb == "list" && !request.uri.contains("fieldSelector");
        begins_watch
            || request.verb == "watch"
            || matches!(request.object.resource.as_str(), "rebootqueues" | "leases")
    }

    /// Requests beside queue, Lease and watches.
    pub(super) fn counted(&self) -> usize {
        self.requests
            .iter()
            .filter(|request| !Self::apart(request))
            .count()
    }

    pub(super) fn evictions(&self) -> usize {
        let accepted = |request: &&Request| request.object.subresource == "eviction" && request.code < 300;
        self.requests.iter().filter(accepted).count()
    }

    pub(super) fn refused_evictions(&self) -> usize {
        let refused = |request: &&Request| request.object.subresource == "eviction" && request.code == 429;
        self.requests.iter().filter(refused).count()
    }

    /// Rows of (how many, what), the most first.
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
            let apart = if Self::apart(request) { " (apart)" } else { "" };
            let row = format!("{:<6} {what} {}{apart}", request.verb, request.code);
            *rows.entry(row).or_insert(0) += 1;
        }
        let mut rows: Vec<_> = rows.into_iter().map(|(what, count)| (count, what)).collect();
        rows.sort_by(|a, b| b.cmp(a));
        rows
    }

    /// Queue, Lease and watch requests a second: (the busiest second, the busiest ten, on average).
    pub(super) fn apart_a_second(&self, from: f64) -> (f64, f64, f64) {
        let times: Vec<f64> = self
            .requests
            .iter()
            .filter(|request| Self::apart(request) && request.received >= from)
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

    /// When the write that a watch showed at `seen` was acknowledged.
    fn written(&self, cordon: &Cordon) -> f64 {
        let writes = self.requests.iter().filter(|request| {
            request.object.resource == "nodes"
                && request.object.name == cordon.node
                && request.verb == "patch"
        });
        // A watch may show a write before its answer has been sent, never before it was received.
        writes
            .filter(|request| request.received <= cordon.seen)
            .map(|request| request.answered)
            .fold(None, |latest: Option<f64>, at| {
                Some(latest.map_or(at, |latest| latest.max(at)))
            })
            .unwrap_or(cordon.seen)
    }

    /// When the ledger was written last before a cordon.
    fn granted(&self, cordoned: f64) -> f64 {
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

struct Rest<'a> {
    user: &'a str,
    uri: String,
    code: u16,
    answered: f64,
}

/// One reboot of one node, as the two logs show it.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) node: String,
    pub(super) control_plane: bool,
    /// When its slot was asked for: what budgets do after that is no reason to wait.
    pub(super) granted: f64,
    pub(super) cordoned: f64,
    /// What ran where when it was cordoned.
    pub(super) homes: Homes,
    pub(super) powered: Option<f64>,
    pub(super) restored: Option<f64>,
    pub(super) last_gone: Option<f64>,
}

pub(super) fn turns(
    audit: &Audit,
    cordons: &[Cordon],
    power: &[PowerLine],
    detached: &[(String, f64)],
) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for cordon in cordons {
        let at = audit.written(cordon);
        if cordon.on {
            turns.push(Turn {
                node: cordon.node.clone(),
                control_plane: cordon.control_plane,
                granted: audit.granted(at),
                cordoned: at,
                homes: cordon.homes.clone(),
                ..Turn::default()
            });
        } else if let Some(turn) = turns.iter_mut().rev().find(|turn| turn.node == cordon.node) {
            turn.restored = Some(at);
        }
    }
    for turn in &mut turns {
        let end = turn.restored.unwrap_or(f64::INFINITY);
        let of_turn = |node: &str, at: f64| node == turn.node && at >= turn.cordoned && at <= end;
        turn.powered = power
            .iter()
            .map(|line| (line, line.at()))
            .find(|(line, at)| of_turn(&line.node, *at))
            .map(|(_, at)| at);
        let before = turn.powered.unwrap_or(end);
        let gone = audit.removed.iter().chain(detached);
        turn.last_gone = gone
            .filter(|(node, at)| of_turn(node, *at) && *at <= before)
            .map(|(_, at)| *at)
            .fold(None, |latest: Option<f64>, at| {
                Some(latest.map_or(at, |latest| latest.max(at)))
            });
    }
    turns.sort_by(|a, b| a.cordoned.total_cmp(&b.cordoned));
    turns
}

/// From drained to the power action. `first_proof`: before it a drained node waits on purpose.
pub(super) fn drained_to_power(turns: &[Turn], first_proof: f64) -> Vec<(f64, String)> {
    let mut waits = Vec::new();
    for turn in turns {
        let Some(powered) = turn.powered else {
            continue;
        };
        let mut ready = turn.cordoned + CORDON_SETTLES;
        if let Some(gone) = turn.last_gone {
            ready = ready.max(gone);
        }
        if ready < first_proof && powered > first_proof {
            ready = first_proof;
        }
        waits.push((powered - ready, turn.node.clone()));
    }
    waits
}

/// Most turns at one time.
pub(super) fn most_at_once(turns: &[Turn]) -> usize {
    let at = |moment: f64| {
        let open = turns
            .iter()
            .filter(|turn| turn.cordoned <= moment && turn.restored.is_none_or(|end| end > moment));
        open.count()
    };
    turns.iter().map(|turn| at(turn.cordoned)).max().unwrap_or(0)
}

/// The value that a share of all do not exceed; `None` where there are none.
pub(super) fn percentile(values: &[(f64, String)], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// `2026-11-23T17:56:19.353816Z` in seconds since the epoch.
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
    // Days since 1970-03-01 in a calendar whose years begin in March, then shifted.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468;
    Some((days * 86_400 + hours * 3_600 + minutes * 60) as f64 + seconds)
}

#[cfg(test)]
mod tests {
    use super::{percentile, seconds};

    #[test]
    fn times_of_the_logs_are_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(seconds("2024-02-29T12:00:00.500Z"), Some(1_709_208_000.5));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<_> = (1..=10).map(|value| (f64::from(value), String::new())).collect();
        assert_eq!(percentile(&values, 0.5), Some(5.0));
        assert_eq!(percentile(&values, 0.99), Some(10.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
