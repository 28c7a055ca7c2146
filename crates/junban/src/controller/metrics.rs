//! Metrics: counters of what was done, and gauges that are computed from the cluster at each scrape.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::effect::EvictOutcome;
use junban_core::entry::{Entry, Phase, PowerOutcome};
use junban_core::reason::{Class, Reason};
use junban_core::report::Report;
use junban_engine::clock::boottime;
use junban_engine::elector::Elector;
use junban_engine::shell::locked;
use junban_kube::Store;
use junban_kube::layer::Warnings;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

pub(super) struct Metrics {
    registry: Registry,
    evictions: Family<Labels, Counter>,
    power_actions: Family<Labels, Counter>,
    ready: AtomicBool,
}

impl Metrics {
    pub(super) fn new(
        store: Arc<Store>,
        report: Arc<Mutex<Report>>,
        elector: Arc<Mutex<Elector>>,
        warnings: Arc<Warnings>,
    ) -> Self {
        let mut registry = Registry::default();
        let evictions = Family::default();
        let power_actions = Family::default();
        registry.register(
            names::registered(names::METRIC_EVICTIONS),
            help(names::METRIC_EVICTIONS),
            evictions.clone(),
        );
        registry.register(
            names::registered(names::METRIC_POWER_ACTIONS),
            help(names::METRIC_POWER_ACTIONS),
            power_actions.clone(),
        );
        registry.register_collector(Box::new(Gauges {
            store,
            report,
            elector,
            warnings,
        }));
        Self {
            registry,
            evictions,
            power_actions,
            ready: AtomicBool::new(false),
        }
    }

    pub(super) fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    pub(super) fn eviction(&self, outcome: &EvictOutcome) {
        // The variant without its fields, which name a budget: a label must not have one value for each budget.
        let text = format!("{outcome:?}");
        let variant: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
        self.evictions.get_or_create(&vec![("outcome", variant)]).inc();
    }

    pub(super) fn power(&self, driver: &str, outcome: PowerOutcome) {
        let outcome = match outcome {
            PowerOutcome::Started => "started",
            PowerOutcome::NothingStarted => "nothing_started",
            PowerOutcome::Unknown => "unknown",
        };
        let labels = vec![("driver", driver.to_owned()), ("outcome", outcome.to_owned())];
        self.power_actions.get_or_create(&labels).inc();
    }

    /// To be called when every list is complete.
    pub(super) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// The sources of the gauges.
struct Gauges {
    store: Arc<Store>,
    report: Arc<Mutex<Report>>,
    elector: Arc<Mutex<Elector>>,
    warnings: Arc<Warnings>,
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

/// The values of one gauge, each with its labels.
type Values = Vec<(Labels, i64)>;

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let leads = locked(&self.elector).leads(boottime()).is_some();
        gauge(&mut encoder, names::METRIC_LEADER, vec![(vec![], leads.into())])?;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        gauge(&mut encoder, names::METRIC_BUILD_INFO, vec![(version, 1)])?;
        counter(&mut encoder, names::METRIC_API_WARNINGS, self.warnings.count())?;
        // Only the leader reports the cluster: with two replicas everything would count twice.
        if !leads {
            return Ok(());
        }
        let values = of_cluster(&locked(&self.store.cluster), &locked(&self.report));
        for (name, values) in values {
            gauge(&mut encoder, name, values)?;
        }
        Ok(())
    }
}

fn of_cluster(cluster: &Cluster, report: &Report) -> Vec<(&'static str, Values)> {
    let entries_in = |phase| {
        cluster
            .entries
            .values()
            .filter(move |entry| entry.record.phase == phase)
    };
    let phases = Phase::ALL.iter().map(|phase| {
        (
            vec![("phase", phase.to_string())],
            as_i64(entries_in(*phase).count()),
        )
    });
    // The report is newer than the status. It names no entry that has ended or was not planned yet.
    let reason_of = |entry: &Entry| match report.entries.get(&entry.name) {
        Some(told) => told.reason,
        None => entry.record.reason,
    };
    let with_reason = |entry: &Entry| {
        let reason = reason_of(entry).map_or("", |reason| reason.as_str());
        let node = ("node", entry.spec.node.to_string());
        (vec![node, ("reason", reason.to_owned())], 1)
    };
    let before_power = entries_in(Phase::Queued).chain(entries_in(Phase::Draining));
    let blocked =
        before_power.filter(|entry| reason_of(entry).is_some_and(|reason| reason.class() != Class::Progress));
    let pods_left = entries_in(Phase::Draining).filter_map(|entry| {
        let left = entry.record.drain?.left;
        Some((vec![("node", entry.spec.node.to_string())], left.into()))
    });
    // Entries, not what this process saw: a new leader reports the same time.
    let last_proof = entries_in(Phase::Succeeded)
        .filter_map(|entry| entry.record.since)
        .max();
    let marked = cluster.nodes.values().filter(|node| node.mark_text.is_some());
    let unreadable = [
        ("RebootPolicy", cluster.unreadable_policies.len()),
        ("NodeReboot", cluster.unreadable_entries.len()),
    ];
    let summary = cluster.queue.present().map(|queue| &queue.summary);
    let has_trouble = |trouble: Reason| summary.is_some_and(|summary| summary.trouble == trouble.as_str());
    let flag = |holds: bool| vec![(vec![], holds.into())];
    let mut values = vec![
        (names::METRIC_ENTRIES, phases.collect()),
        (names::METRIC_ENTRY_BLOCKED, blocked.map(with_reason).collect()),
        (
            names::METRIC_ENTRY_FAILED,
            entries_in(Phase::Failed).map(with_reason).collect(),
        ),
        (names::METRIC_DRAIN_PODS_LEFT, pods_left.collect()),
        (names::METRIC_QUEUE_PAUSED, flag(cluster.queue.is_paused())),
        (names::METRIC_QUEUE_HALTED, flag(has_trouble(Reason::Halted))),
        (
            names::METRIC_QUEUE_IMPLAUSIBLE,
            flag(has_trouble(Reason::Implausible)),
        ),
        (
            names::METRIC_LAST_PROOF,
            last_proof.iter().map(|at| (vec![], at.as_second())).collect(),
        ),
        (
            names::METRIC_NODE_MAINTENANCE,
            marked
                .map(|node| (vec![("node", node.name.to_string())], 1))
                .collect(),
        ),
        (
            names::METRIC_UNREADABLE,
            unreadable
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(kind, count)| (vec![("kind", kind.to_owned())], as_i64(count)))
                .collect(),
        ),
    ];
    if let Some(seconds) = summary.and_then(|summary| summary.lower_bound_seconds) {
        values.push((
            names::METRIC_LOWER_BOUND,
            vec![(vec![], i64::try_from(seconds).unwrap_or(i64::MAX))],
        ));
    }
    values
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, values: Values) -> fmt::Result {
    let kind = ConstGauge::new(0_i64).metric_type();
    let mut descriptor = encoder.encode_descriptor(name, help(name), None, kind)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(descriptor.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &'static str, value: u64) -> fmt::Result {
    let metric = ConstCounter::new(value);
    let descriptor =
        encoder.encode_descriptor(names::registered(name), help(name), None, metric.metric_type())?;
    metric.encode(descriptor)
}

/// The meaning in the table of names.
fn help(metric: &str) -> &'static str {
    let row = names::TABLE.iter().find(|name| name.text == metric);
    row.map_or("", |name| name.meaning.trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
