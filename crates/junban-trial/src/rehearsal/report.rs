//! What the watcher saw and what the logs say, put against what must hold.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::json;

use super::bed::Bed;
use super::figures::{
    Audit, PowerLine, Turn, drained_to_power, most_at_once, percentile, power_lines, turns,
};
use super::starts::proven_to_start;
use super::watcher::{Node, Watcher};
use super::workload::STUCK;
use super::{Exceptions, Outcome, say};

/// Requests that a node may cost beside one for each of its pods.
const REQUESTS_BESIDE_PODS: f64 = 40.0;
/// Queue, Lease and watches, a second.
const APART_A_SECOND: f64 = 3.0;
/// 99 % within 1 s is what is promised on a quiet machine, and is printed. On a noisy one these many are: a loop that
/// looks every 2 s has no more than half of them within 1 s.
const PROMPT_SHARE: f64 = 0.75;
const PROMPT: f64 = 1.0;
/// A controller opens its watches once; what it asks in its first seconds is not the steady state.
const START_UP: f64 = 10.0;

/// What was judged.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) held: usize,
    pub(super) broken: Vec<String>,
}

impl Verdict {
    fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if holds {
            self.held += 1;
        } else {
            self.broken.push(otherwise());
        }
    }

    /// A must that may be broken in several places.
    fn none(&mut self, broken: &[String]) {
        self.held += usize::from(broken.is_empty());
        self.broken.extend(broken.iter().cloned());
    }
}

pub(super) fn report(
    bed: &Bed,
    watcher: &Watcher,
    exceptions: &Exceptions,
    outcome: &Outcome,
    pods: usize,
) -> Result<Verdict> {
    let sight = watcher.look();
    let power = power_lines(&bed.ready().power_log)?;
    let audit = Audit::read(&bed.ready().audit_logs, outcome.began)?;
    let nodes = bed.ready().nodes.len();
    let turns = turns(&audit, &sight.cordons, &power, &sight.detached);
    let first_proof = turns
        .iter()
        .filter_map(|turn| turn.restored)
        .fold(f64::INFINITY, f64::min);
    let to_power = drained_to_power(&turns, first_proof);
    let places = nodes.div_ceil(10).max(1);
    let starts = proven_to_start(&turns, places, &sight.budgets);
    let to_start: Vec<_> = starts
        .iter()
        .map(|start| (start.place, start.node.clone()))
        .collect();
    let permitted: Vec<_> = starts
        .into_iter()
        .map(|start| (start.permitted, start.node))
        .collect();
    let last = turns
        .iter()
        .filter_map(|turn| turn.restored)
        .fold(outcome.began, f64::max);
    let makespan = last - outcome.began;
    let (second, ten, average) = audit.apart_a_second(outcome.began + START_UP);
    let per_node = audit.counted() as f64 / nodes as f64;
    let pods_per_node = audit.evictions() as f64 / nodes as f64;

    let mut verdict = Verdict::default();
    verdict.none(&sight.broken);
    verdict.none(&outcome.trouble.broken);
    verdict.must(!sight.detached.is_empty(), || {
        "no volume was detached: what waits for volumes was not seen".to_owned()
    });
    let succeeded = end_state(sight.nodes(), exceptions, outcome, &power, &mut verdict);
    explained(exceptions, outcome, &mut verdict);
    if !outcome.trouble.wanted {
        verdict.must(per_node <= pods_per_node + REQUESTS_BESIDE_PODS, || {
            format!("{per_node:.0} requests a node for {pods_per_node:.0} pods")
        });
        verdict.must(average <= APART_A_SECOND, || {
            format!("{average:.1} requests a second for queue, Lease and watches")
        });
        prompt("power actions", &to_power, &mut verdict);
        prompt("starts", &permitted, &mut verdict);
        side_by_side(&turns, places, &mut verdict);
    }

    say("\nrequests of Junban's account:")?;
    for (count, what) in audit.table() {
        say(&format!("{count:>7} {what}"))?;
    }
    say("\nturns (seconds after the command):")?;
    for turn in &turns {
        let at = |at: Option<f64>| at.map_or("-".to_owned(), |at| format!("{:.1}", at - outcome.began));
        say(&format!(
            "  {:<10} cordoned {:>7}  powered {:>7}  back {:>7}",
            turn.node,
            at(Some(turn.cordoned)),
            at(turn.powered),
            at(turn.restored)
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
        audit.evictions(),
        audit.refused_evictions(),
        most_at_once(&turns),
        sight.most_unavailable,
        outcome.exit,
        outcome.trouble.kills,
    ))?;
    for (node, text) in outcome
        .explained
        .iter()
        .filter(|(node, _)| exceptions.contains(node))
    {
        say(&format!("\njunban explain {node}\n{text}"))?;
    }
    for (node, text) in &outcome.unknown {
        say(&format!("\njunban explain {node}, before its retry\n{text}"))?;
    }
    for note in &sight.noted {
        say(&format!("not by Junban: {note}"))?;
    }
    for must in &verdict.broken {
        say(&format!("BROKEN: {must}"))?;
    }
    let line = json!({
        "nodes": nodes, "pods": pods, "succeeded": succeeded, "broken": verdict.broken,
        "makespanSeconds": round(makespan), "atOnce": most_at_once(&turns),
        "mostUnavailable": sight.most_unavailable, "exit": outcome.exit,
        "requestsPerNode": round(per_node), "podsPerNode": round(pods_per_node),
        "apartPerSecond": {"peak": second, "tenSeconds": ten, "average": round(average)},
        "evictions": audit.evictions(), "refused429": audit.refused_evictions(),
        "drainedToPower": figures(&to_power), "provenToStart": figures(&to_start),
        "permittedToStart": figures(&permitted), "kills": outcome.trouble.kills,
    });
    say(&line.to_string())?;
    Ok(verdict)
}

/// Each server once, up, schedulable and with another bootID; the exceptions as they must be.
fn end_state(
    nodes: &BTreeMap<String, Node>,
    exceptions: &Exceptions,
    outcome: &Outcome,
    power: &[PowerLine],
    verdict: &mut Verdict,
) -> usize {
    let mut boots = BTreeSet::new();
    for line in power {
        verdict.must(boots.insert((&line.node, &line.boot_id_before)), || {
            format!("{} was powered twice on one boot ({})", line.node, line.effect)
        });
    }
    let mut succeeded = 0;
    for (name, node) in nodes {
        let lines = power.iter().filter(|line| line.node == *name).count();
        if exceptions.contains(name) {
            let wanted = usize::from(exceptions.stuck.as_deref() != Some(name));
            verdict.must(lines == wanted, || {
                format!("{name} has {lines} power actions, {wanted} expected")
            });
            continue;
        }
        let same = outcome.boots_before.get(name) == Some(&node.boot);
        // Nobody knows whether a command that was killed did its work: then the retry did it.
        let wanted = if outcome.unknown.contains_key(name) {
            1..=2
        } else {
            1..=1
        };
        let well = wanted.contains(&lines) && !same && node.ready && !node.cordoned;
        succeeded += usize::from(well);
        verdict.must(well, || {
            let old = if same { ", its old bootID" } else { "" };
            let ready = if node.ready { "" } else { ", is not Ready" };
            let cordoned = if node.cordoned { ", is cordoned" } else { "" };
            format!("{name} has {lines} power actions{old}{ready}{cordoned}")
        });
    }
    let wanted = exceptions.exit();
    verdict.must(outcome.exit == Some(wanted), || {
        format!("the command ended with {:?}, {wanted} expected", outcome.exit)
    });
    succeeded
}

/// Most came at once. None at all is no proof of anything.
fn prompt(what: &str, values: &[(f64, String)], verdict: &mut Verdict) {
    let seen = percentile(values, PROMPT_SHARE);
    verdict.must(seen.is_some_and(|seen| seen <= PROMPT), || match seen {
        Some(seen) => format!(
            "{:.0} % of the {what} came within {seen:.2} s, {PROMPT:.0} s is the bound",
            PROMPT_SHARE * 100.0
        ),
        None => format!("no {what} were seen"),
    });
}

/// Where the limit has more than one place a run must use them.
fn side_by_side(turns: &[Turn], places: usize, verdict: &mut Verdict) {
    let most = most_at_once(turns);
    verdict.must(places == 1 || most > 1, || {
        format!("{most} turns at a time at most, with {places} places")
    });
}

/// `junban explain` names the cause of each exception, and finds none on a server that is done.
fn explained(exceptions: &Exceptions, outcome: &Outcome, verdict: &mut Verdict) {
    for (node, text) in &outcome.explained {
        let cause = if exceptions.stuck.as_ref() == Some(node) {
            STUCK
        } else {
            "failed"
        };
        let wanted = exceptions.contains(node);
        verdict.must(text.contains(cause) == wanted, || {
            let does = if wanted { "does not say" } else { "says" };
            format!("explain {node} {does} {cause}")
        });
    }
    for (node, text) in &outcome.unknown {
        verdict.must(text.contains("PowerUnknown"), || {
            format!("explain {node} does not say PowerUnknown")
        });
    }
}

fn spread(what: &str, values: &[(f64, String)]) -> Result<()> {
    let late = values.iter().filter(|(value, _)| *value > 1.0);
    let late: Vec<String> = late.map(|(value, node)| format!("{node} {value:.1}")).collect();
    say(&format!(
        "{what}: {} seen, p50 {} s, p99 {} s, max {} s; above 1 s: {}",
        values.len(),
        shown(values, 0.5),
        shown(values, 0.99),
        shown(values, 1.0),
        if late.is_empty() {
            "none".to_owned()
        } else {
            late.join(", ")
        }
    ))
}

fn figures(values: &[(f64, String)]) -> serde_json::Value {
    let within = values.iter().filter(|(value, _)| *value <= 1.0).count();
    let at = |share| percentile(values, share).map(round);
    json!({"seen": values.len(), "within1s": within, "p50": at(0.5), "p99": at(0.99), "max": at(1.0)})
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn shown(values: &[(f64, String)], share: f64) -> String {
    percentile(values, share).map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::{Turn, Verdict, prompt, side_by_side};

    fn broken_by(waits: &[f64]) -> Vec<String> {
        let values: Vec<_> = waits.iter().map(|wait| (*wait, String::new())).collect();
        let mut verdict = Verdict::default();
        prompt("starts", &values, &mut verdict);
        verdict.broken
    }

    #[test]
    fn a_loop_that_looks_every_2_s_is_not_prompt_and_noise_is() {
        let polled: Vec<f64> = (0..30).map(|n| f64::from(n) / 15.0).collect();
        assert_eq!(broken_by(&polled).len(), 1);
        let mut noisy = vec![0.3; 26];
        noisy.extend([1.5, 2.0, 4.0, 8.0]);
        assert_eq!(broken_by(&noisy), [""; 0]);
    }

    #[test]
    fn where_nothing_was_seen_nothing_was_prompt() {
        assert_eq!(broken_by(&[]), ["no starts were seen"]);
    }

    #[test]
    fn a_run_that_goes_one_by_one_where_more_may_is_broken() {
        let one_by_one: Vec<Turn> = (0..5)
            .map(|n| Turn {
                cordoned: f64::from(n) * 10.0,
                restored: Some(f64::from(n) * 10.0 + 9.0),
                ..Turn::default()
            })
            .collect();
        for (places, broken) in [(1, 0), (4, 1)] {
            let mut verdict = Verdict::default();
            side_by_side(&one_by_one, places, &mut verdict);
            assert_eq!(verdict.broken.len(), broken, "{places} places");
        }
    }
}
