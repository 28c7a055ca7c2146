//! Judges what the watches and the logs show, and prints the figures.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::args::Exceptions;
use super::logs::Audit;
use super::say::say;
use super::seen::Seen;
use super::starts::{Start, proven_to_start};
use super::trouble::Trouble;
use super::turns::{LoggedTurn, drained_to_power, most_at_once};
use super::workload::STUCK;
use crate::scenario::facts::Facts;
use crate::testbed::Testbed;
use crate::watched::Watched;

/// A node may cost one request for each of its pods, and this many besides.
const REQUESTS_BESIDE_PODS: f64 = 40.0;
/// Requests per second for queue, Lease and watches, on average.
const BACKGROUND_RATE: f64 = 3.0;
/// Junban promises 99 % within 1 s on a quiet machine; the report prints how many there were. On a noisy machine this
/// share must be within 1 s. A controller that looks every 2 s has no more than half within 1 s.
const PROMPT_SHARE: f64 = 0.75;
const PROMPT: f64 = 1.0;
/// In its first seconds a controller opens its watches. Those requests do not count for the average.
const START_UP: f64 = 10.0;

/// Seconds, and the node that waited.
type Wait = (f64, String);

/// What a run leaves behind for the report.
pub(super) struct RunRecord {
    /// Seconds since 1970.
    pub(super) began: f64,
    /// The exit code of `junban reboot --all --wait`.
    pub(super) exit: Option<i32>,
    pub(super) trouble: Trouble,
    /// What `junban explain` says of the exceptions and of some other servers.
    pub(super) explained: BTreeMap<String, String>,
    /// What it said of each server whose power command was killed, before the one `junban retry`.
    pub(super) unknown: BTreeMap<String, String>,
}

/// How many rules held, and which were broken.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) held: usize,
    pub(super) broken: Vec<String>,
}

impl Judged {
    fn rule(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if holds {
            self.held += 1;
        } else {
            self.broken.push(otherwise());
        }
    }

    /// Takes in where one rule was broken.
    fn places(&mut self, broken: &[String]) {
        self.held += usize::from(broken.is_empty());
        self.broken.extend(broken.iter().cloned());
    }
}

pub(super) fn report(
    bed: &Testbed,
    watched: &Watched,
    exceptions: &Exceptions,
    record: &RunRecord,
    pods: usize,
) -> Result<Judged> {
    let seen = Seen::of(watched)?;
    let audit = Audit::read(&bed.ready.audit_logs, record.began)?;
    let nodes = bed.ready.nodes.len();
    let turns = &seen.turns;
    let restored = || turns.iter().filter_map(|turn| turn.restored);
    let first_proof = restored().fold(f64::INFINITY, f64::min);
    let to_power = drained_to_power(turns, first_proof);
    let places = nodes.div_ceil(10).max(1);
    let starts = proven_to_start(turns, places, &seen.budgets);
    let waits = |wait: fn(&Start) -> f64| -> Vec<Wait> {
        let waits = starts.iter().map(|start| (wait(start), start.node.clone()));
        waits.collect()
    };
    let (to_start, permitted) = (waits(|start| start.place), waits(|start| start.permitted));
    let last = restored().fold(record.began, f64::max);
    let makespan = last - record.began;
    let (second, ten, average) = audit.background_rate(record.began + START_UP);
    let per_node = audit.counted() as f64 / nodes as f64;
    let pods_per_node = audit.accepted_evictions() as f64 / nodes as f64;

    let mut judged = Judged::default();
    judged.places(&seen.broken);
    judged.places(&record.trouble.broken);
    judged.rule(seen.detached > 0, || {
        "no volume was detached, so no drain that waits for a volume was seen".to_owned()
    });
    let succeeded = end_state(&watched.facts(), exceptions, record, &mut judged);
    explained(exceptions, record, &mut judged);
    if !record.trouble.wanted {
        judged.rule(per_node <= pods_per_node + REQUESTS_BESIDE_PODS, || {
            format!("{per_node:.0} requests a node for {pods_per_node:.0} pods")
        });
        judged.rule(average <= BACKGROUND_RATE, || {
            format!("{average:.1} requests a second for queue, Lease and watches")
        });
        prompt("power actions", &to_power, &mut judged);
        prompt("starts", &permitted, &mut judged);
        side_by_side(turns, places, &mut judged);
    }

    say("\nrequests of Junban's account:")?;
    for (count, what) in audit.table() {
        say(&format!("{count:>7} {what}"))?;
    }
    say("\nturns (seconds after the command):")?;
    for turn in turns {
        let at = |at: Option<f64>| at.map_or("-".to_owned(), |at| format!("{:.1}", at - record.began));
        let [cordoned, powered, back] = [Some(turn.cordoned), turn.powered, turn.restored].map(at);
        say(&format!(
            "  {:<10} cordoned {cordoned:>7}  powered {powered:>7}  back {back:>7}",
            turn.node
        ))?;
    }
    spread("drained to power action", &to_power)?;
    spread("place free to next start", &to_start)?;
    spread("place free and budgets allow to next start", &permitted)?;
    say(&format!(
        "requests a node: {per_node:.1} for {pods_per_node:.1} evicted pods ({:+.1} beside them; at most +40, aim +25)\n\
         queue, Lease, watches a second: {second:.0} at the peak, {ten:.1} in the busiest 10 s, {average:.1} on average\n\
         evictions: {} accepted, {} refused with 429\n\
         nodes at a time: {} turns, {} unavailable at most\n\
         makespan: {makespan:.0} s, command ended with {:?}, controllers killed {} times",
        per_node - pods_per_node,
        audit.accepted_evictions(),
        audit.refused_evictions(),
        most_at_once(turns),
        seen.most_unavailable,
        record.exit,
        record.trouble.kills,
    ))?;
    let explained = record.explained.iter();
    for (node, text) in explained.filter(|(node, _)| exceptions.contains(node)) {
        say(&format!("\njunban explain {node}\n{text}"))?;
    }
    for (node, text) in &record.unknown {
        say(&format!("\njunban explain {node}, before its retry\n{text}"))?;
    }
    for rule in &judged.broken {
        say(&format!("BROKEN: {rule}"))?;
    }
    let line = json!({
        "nodes": nodes, "pods": pods, "succeeded": succeeded, "broken": judged.broken,
        "makespanSeconds": round(makespan), "atOnce": most_at_once(turns),
        "mostUnavailable": seen.most_unavailable, "exit": record.exit,
        "requestsPerNode": round(per_node), "podsPerNode": round(pods_per_node),
        "apartPerSecond": {"peak": second, "tenSeconds": ten, "average": round(average)},
        "evictions": audit.accepted_evictions(), "refused429": audit.refused_evictions(),
        "drainedToPower": figures(&to_power), "provenToStart": figures(&to_start),
        "permittedToStart": figures(&permitted), "kills": record.trouble.kills,
    });
    say(&line.to_string())?;
    Ok(judged)
}

/// Judges that each server was powered once and is Ready, schedulable and on another boot, and that the exceptions are as
/// expected. Returns how many servers succeeded.
fn end_state(facts: &Facts, exceptions: &Exceptions, record: &RunRecord, judged: &mut Judged) -> usize {
    let mut succeeded = 0;
    for (name, node) in &facts.nodes {
        let lines = facts.power.get(name).copied().unwrap_or_default();
        if exceptions.contains(name) {
            let wanted = u32::from(exceptions.stuck.as_deref() != Some(name));
            judged.rule(lines == wanted, || {
                format!("{name} has {lines} power actions, {wanted} expected")
            });
            continue;
        }
        // A killed power command may have rebooted the server or not; the retry then does it.
        let wanted = 1..=1 + u32::from(record.unknown.contains_key(name));
        let succeeds = wanted.contains(&lines) && node.is_back();
        succeeded += usize::from(succeeds);
        judged.rule(succeeds, || {
            let old = if node.boots == 0 { ", its old bootID" } else { "" };
            let ready = if node.ready { "" } else { ", is not Ready" };
            let cordoned = if node.cordoned { ", is cordoned" } else { "" };
            format!("{name} has {lines} power actions{old}{ready}{cordoned}")
        });
    }
    let wanted = exceptions.exit();
    judged.rule(record.exit == Some(wanted), || {
        format!("the command ended with {:?}, {wanted} expected", record.exit)
    });
    succeeded
}

/// Judges that most of these came within [`PROMPT`]. No value at all proves nothing, so it is an error.
fn prompt(what: &str, values: &[Wait], judged: &mut Judged) {
    let seen = percentile(values, PROMPT_SHARE);
    judged.rule(seen.is_some_and(|seen| seen <= PROMPT), || match seen {
        Some(seen) => format!(
            "{:.0} % of the {what} came within {seen:.2} s, {PROMPT:.0} s is the bound",
            PROMPT_SHARE * 100.0
        ),
        None => format!("no {what} were seen"),
    });
}

/// Judges that a run with more than one place uses more than one.
fn side_by_side(turns: &[LoggedTurn], places: usize, judged: &mut Judged) {
    let most = most_at_once(turns);
    judged.rule(places == 1 || most > 1, || {
        format!("{most} turns at a time at most, with {places} places")
    });
}

/// Judges that `junban explain` names the cause of each exception, and none for a server that was rebooted.
fn explained(exceptions: &Exceptions, record: &RunRecord, judged: &mut Judged) {
    for (node, text) in &record.explained {
        let cause = if exceptions.stuck.as_ref() == Some(node) {
            STUCK
        } else {
            "failed"
        };
        let wanted = exceptions.contains(node);
        judged.rule(text.contains(cause) == wanted, || {
            let does = if wanted { "does not say" } else { "says" };
            format!("explain {node} {does} {cause}")
        });
    }
    for (node, text) in &record.unknown {
        judged.rule(text.contains("PowerUnknown"), || {
            format!("explain {node} does not say PowerUnknown")
        });
    }
}

fn spread(what: &str, values: &[Wait]) -> Result<()> {
    let late = values.iter().filter(|(value, _)| *value > 1.0);
    let mut late: Vec<String> = late.map(|(value, node)| format!("{node} {value:.1}")).collect();
    if late.is_empty() {
        late.push("none".to_owned());
    }
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| shown(values, share));
    let (seen, late) = (values.len(), late.join(", "));
    say(&format!(
        "{what}: {seen} seen, p50 {p50} s, p99 {p99} s, max {max} s; above 1 s: {late}"
    ))
}

/// The value that this share of the values does not exceed; `None` if there is no value.
fn percentile(values: &[Wait], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

fn figures(values: &[Wait]) -> serde_json::Value {
    let within = values.iter().filter(|(value, _)| *value <= 1.0).count();
    let at = |share| percentile(values, share).map(round);
    json!({"seen": values.len(), "within1s": within, "p50": at(0.5), "p99": at(0.99), "max": at(1.0)})
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn shown(values: &[Wait], share: f64) -> String {
    percentile(values, share).map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::{Judged, LoggedTurn, percentile, prompt, side_by_side};

    fn broken_by(waits: &[f64]) -> Vec<String> {
        let values: Vec<_> = waits.iter().map(|wait| (*wait, String::new())).collect();
        let mut judged = Judged::default();
        prompt("starts", &values, &mut judged);
        judged.broken
    }

    #[test]
    fn a_loop_that_looks_every_2_s_is_not_prompt_but_a_noisy_machine_is() {
        let polled: Vec<f64> = (0..30).map(|n| f64::from(n) / 15.0).collect();
        assert_eq!(broken_by(&polled).len(), 1);
        let mut noisy = vec![0.3; 26];
        noisy.extend([1.5, 2.0, 4.0, 8.0]);
        assert_eq!(broken_by(&noisy), [""; 0]);
    }

    #[test]
    fn no_value_at_all_is_not_prompt() {
        assert_eq!(broken_by(&[]), ["no starts were seen"]);
    }

    #[test]
    fn one_turn_at_a_time_where_there_are_more_places_is_broken() {
        let one_by_one: Vec<LoggedTurn> = (0..5)
            .map(|n| LoggedTurn {
                cordoned: f64::from(n) * 10.0,
                restored: Some(f64::from(n) * 10.0 + 9.0),
                ..LoggedTurn::default()
            })
            .collect();
        for (places, broken) in [(1, 0), (4, 1)] {
            let mut judged = Judged::default();
            side_by_side(&one_by_one, places, &mut judged);
            assert_eq!(judged.broken.len(), broken, "{places} places");
        }
    }

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<_> = (1..=10).map(|value| (f64::from(value), String::new())).collect();
        assert_eq!(percentile(&values, 0.5), Some(5.0));
        assert_eq!(percentile(&values, 0.99), Some(10.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
