//! Figures of a run, counted from its truth.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::Ms;
use crate::checkers::view::ClusterView;
use crate::truth::{EvictionAnswer, PowerOutcome, Truth, TruthEvent};

/// Times of a node's newest turn.
#[derive(Debug, Clone, Default)]
pub struct TurnTimes {
    pub powered: Option<Ms>,
    /// When the API first showed the new bootID.
    pub booted: Option<Ms>,
}

/// Figures of the controllers that [`Metrics::new`] names.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    controllers: BTreeSet<String>,
    /// Accepted evictions of pods that were not terminating yet.
    pub evictions: u64,
    /// Pods that were on a node when it was cordoned and had to leave it. Only pods from before the first cordon
    /// count, and each counts once: a successor stands for the pod that it replaces.
    pub had_to_leave: u64,
    /// 429 answers with cause `DisruptionBudget`, without those of dry runs.
    pub denied: u64,
    /// 429 answers because the budget's status was older than its spec; dry runs count as well.
    pub behind: u64,
    pub power_actions: u64,
    /// The first cordon.
    pub first: Option<Ms>,
    /// The last uncordon.
    pub last: Option<Ms>,
    pub turns: BTreeMap<String, TurnTimes>,
    /// The largest number of nodes that the controllers had cordoned at the same time.
    pub most_cordoned: u64,
    view: ClusterView,
    /// Pods that no longer add to `had_to_leave`.
    counted: BTreeSet<String>,
    cordoned: BTreeSet<String>,
}

impl Metrics {
    /// Counts what the callers with these names do.
    pub fn new(controllers: impl IntoIterator<Item = String>) -> Self {
        Self {
            controllers: controllers.into_iter().collect(),
            ..Self::default()
        }
    }

    /// From the first cordon to the last uncordon.
    pub fn makespan_ms(&self) -> Option<Ms> {
        Some(self.last? - self.first?)
    }

    /// Evictions per pod that had to leave.
    pub fn evictions_per_pod(&self) -> f64 {
        if self.had_to_leave == 0 {
            0.0
        } else {
            self.evictions as f64 / self.had_to_leave as f64
        }
    }

    /// Counts one event.
    pub fn observe(&mut self, event: &TruthEvent) {
        let at = event.at;
        match &event.what {
            Truth::PodAdded(facts) | Truth::PodChanged(facts)
                if self.first.is_some() && !self.view.pods.contains_key(&facts.uid) =>
            {
                self.counted.insert(facts.uid.clone());
            }
            Truth::Eviction {
                by,
                dry_run,
                answer,
                uid,
                ..
            } if self.controllers.contains(by) => match answer {
                EvictionAnswer::Accepted if !dry_run => {
                    self.evictions +=
                        u64::from(self.view.pods.get(uid).is_some_and(|p| !p.facts.terminating));
                }
                EvictionAnswer::BudgetDenied if !dry_run => self.denied += 1,
                EvictionAnswer::BudgetBehind => self.behind += 1,
                _ => {}
            },
            Truth::Cordon { node, cordoned, by } if self.controllers.contains(by) => {
                self.cordon(at, node, *cordoned)
            }
            Truth::PowerCalled { node, outcome, .. } if *outcome != PowerOutcome::NothingStarted => {
                self.power_actions += 1;
                self.turns.entry(node.clone()).or_default().powered = Some(at);
            }
            Truth::BootIdShown { node, .. } => {
                if let Some(turn) = self.turns.get_mut(node) {
                    turn.booted = Some(at);
                }
            }
            _ => {}
        }
        self.view.apply(event);
    }

    fn cordon(&mut self, at: Ms, node: &str, cordoned: bool) {
        if !cordoned {
            self.cordoned.remove(node);
            self.last = Some(at);
            return;
        }
        self.first.get_or_insert(at);
        self.cordoned.insert(node.to_owned());
        self.most_cordoned = self.most_cordoned.max(self.cordoned.len() as u64);
        self.turns.insert(node.to_owned(), TurnTimes::default());
        for pod in self.view.pods_on(node).filter(|pod| pod.facts.drained()) {
            self.had_to_leave += u64::from(self.counted.insert(pod.facts.uid.clone()));
        }
    }
}
