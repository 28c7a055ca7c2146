//! Metrics: counters of what was done, and gauges that are read from the cluster when somebody asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::effect::EvictOutcome;
use junban_core::entry::{Entry, Phase, PowerOutcome};
use junban_core::reason::Class;
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

/// Everything that /metrics tells.
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
        registry.register_collector(Box::new(Observed {
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
        // The variant without what it holds: a label must not have a value per budget.
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

    /// Every list is complete.
    pub(super) fn is_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub(super) fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// What is read anew for each scrape.
struct Observed {
    store: Arc<Store>,
    report: Arc<Mutex<Report>>,
    elector: Arc<Mutex<Elector>>,
    warnings: Arc<Warnings>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}

/// The values of one gauge, each with its labels.
type Values = Vec<(Labels, i64)>;

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let leads = locked(&self.elector).leads(boottime()).is_some();
        gauge(&mut encoder, names::METRIC_LEADER, vec![(vec![], leads.into())])?;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        gauge(&mut encoder, names::METRIC_BUILD_INFO, vec![(version, 1)])?;
        counter(&mut encoder, names::METRIC_API_WARNINGS, self.warnings.count())?;
        // Only who leads speaks for the cluster: two replicas would count everything twice.
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
    let entries = || cluster.entries.values();
    let phases = Phase::ALL.iter().map(|phase| {
        let count = entries().filter(|entry| entry.record.phase == *phase).count();
        (vec![("phase", phase.to_string())], as_i64(count))
    });
    // What the report says, and for an entry that the report does not tell of, what its status says.
    let reason_of = |entry: &Entry| match report.entries.get(&entry.name) {
        Some(told) => told.reason,
        None => entry.record.reason,
    };
    let with_reason = |entry: &Entry| {
        let reason = reason_of(entry).map_or("", |reason| reason.as_str());
        let node = ("node", entry.spec.node.to_string());
        (vec![node, ("reason", reason.to_owned())], 1)
    };
    let blocked = entries().filter(|entry| {
        matches!(entry.record.phase, Phase::Queued | Phase::Draining)
            && reason_of(entry).is_some_and(|reason| reason.class() != Class::Progress)
    });
    let failed = entries().filter(|entry| entry.record.phase == Phase::Failed);
    let draining = entries().filter(|entry| entry.record.phase == Phase::Draining);
    let left = draining.filter_map(|entry| {
        let left = entry.record.drain?.left;
        Some((vec![("node", entry.spec.node.to_string())], left.into()))
    });
    let held = cluster.nodes.values().filter(|node| node.mark_text.is_some());
    let mut unreadable = BTreeMap::<&str, i64>::new();
    for key in cluster.unreadable.keys() {
        *unreadable
            .entry(key.split('/').next().unwrap_or_default())
            .or_default() += 1;
    }
    // By the entries, not by what this process saw: a new leader says the same.
    let proven = entries().filter(|entry| entry.record.phase == Phase::Succeeded);
    let last_proof = proven.filter_map(|entry| entry.record.since).max();
    let summary = cluster.queue.present().map(|queue| &queue.summary);
    let trouble = summary.map_or("", |summary| summary.trouble.as_str());
    let mut values = vec![
        (names::METRIC_ENTRIES, phases.collect()),
        (names::METRIC_ENTRY_BLOCKED, blocked.map(with_reason).collect()),
        (names::METRIC_ENTRY_FAILED, failed.map(with_reason).collect()),
        (names::METRIC_DRAIN_PODS_LEFT, left.collect()),
        (
            names::METRIC_QUEUE_PAUSED,
            vec![(vec![], cluster.queue.is_paused().into())],
        ),
        (
            names::METRIC_QUEUE_HALTED,
            vec![(vec![], (trouble == "Halted").into())],
        ),
        (
            names::METRIC_QUEUE_IMPLAUSIBLE,
            vec![(vec![], (trouble == "Implausible").into())],
        ),
        (
            names::METRIC_LAST_PROOF,
            last_proof
                .map(|at| (vec![], at.as_second()))
                .into_iter()
                .collect(),
        ),
        (
            names::METRIC_NODE_MAINTENANCE,
            held.map(|node| (vec![("node", node.name.to_string())], 1))
                .collect(),
        ),
        (
            names::METRIC_UNREADABLE,
            unreadable
                .into_iter()
                .map(|(kind, count)| (vec![("kind", kind.to_owned())], count))
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

/// The meaning that the table of names gives.
fn help(metric: &str) -> &'static str {
    let row = names::TABLE.iter().find(|name| name.text == metric);
    row.map_or("", |name| name.meaning.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use junban_core::cluster::QueueView;

    use super::*;
    use crate::commands::fixture;

    fn values_of(cluster: &Cluster, metric: &str) -> Values {
        let found = of_cluster(cluster, &Report::default())
            .into_iter()
            .find(|(name, _)| *name == metric);
        found.map(|(_, values)| values).unwrap_or_default()
    }

    #[test]
    fn a_pause_does_not_hide_that_the_queue_is_halted() {
        let mut cluster = fixture::cluster(Some(100), &[]);
        if let QueueView::Present(queue) = &mut cluster.queue {
            queue.paused = true;
            queue.summary.state = "Paused".into();
            queue.summary.trouble = "Halted".into();
        }
        for metric in [names::METRIC_QUEUE_PAUSED, names::METRIC_QUEUE_HALTED] {
            assert_eq!(values_of(&cluster, metric), [(vec![], 1)], "{metric}");
        }
    }

    #[test]
    fn the_last_proof_is_the_newest_of_the_entries_that_succeeded() {
        let mut cluster = fixture::cluster(Some(100), &[]);
        assert_eq!(values_of(&cluster, names::METRIC_LAST_PROOF), []);
        let said = [
            ("node-1", Phase::Succeeded, 150),
            ("node-2", Phase::Succeeded, 130),
            ("node-3", Phase::Cancelled, 170),
        ];
        for (node, phase, since) in said {
            let mut entry = fixture::entry(node, 100);
            entry.record.phase = phase;
            entry.record.since = Some(fixture::at(since));
            cluster.apply_entry(entry);
        }
        assert_eq!(values_of(&cluster, names::METRIC_LAST_PROOF), [(vec![], 150)]);
    }
}
