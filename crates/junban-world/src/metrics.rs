//! Figures of a run, counted from its truth.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::api::{Ms, Phase};
use crate::truth::{EvictionAnswer, PodFacts, PowerOutcome, Truth, TruthEvent};

/// When a node's turn passed its marks; of its last turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnTimes {
    pub cordoned: Option<Ms>,
    /// The last pod that had to leave was gone.
    pub drained: Option<Ms>,
    pub powered: Option<Ms>,
    /// Ready with a new bootID.
    pub booted: Option<Ms>,
    pub uncordoned: Option<Ms>,
}

/// Figures of the controllers named at construction.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Metrics {
    controllers: BTreeSet<String>,
    /// Accepted, of pods not on their way out.
    pub evictions: u64,
    /// Pods that were on a node when it was cordoned and had to leave it; each counts once.
    pub had_to_leave: u64,
    /// 429 answers with cause `DisruptionBudget`, dry runs apart.
    pub denied: u64,
    pub denied_dry_runs: u64,
    /// 429 answers because the budget's status was behind.
    pub behind: u64,
    pub power_actions: u64,
    /// Pods deleted without the Eviction API, by the controllers.
    pub deletions: u64,
    /// First cordon and last uncordon.
    pub first: Option<Ms>,
    pub last: Option<Ms>,
    pub turns: BTreeMap<String, TurnTimes>,
    /// Most nodes that were cordoned by the controllers at a time.
    pub most_cordoned: u64,
    /// Sum over pods of the time without a node, in milliseconds.
    pub pending_ms: u64,
    pods: BTreeMap<String, PodFacts>,
    on_node: BTreeMap<String, BTreeSet<String>>,
    counted: BTreeSet<String>,
    pending_since: BTreeMap<String, Ms>,
    cordoned: BTreeSet<String>,
}

impl Metrics {
    /// Figures of the callers with these names.
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

    /// Evictions for each pod that had to leave.
    pub fn evictions_per_pod(&self) -> f64 {
        if self.had_to_leave == 0 {
            0.0
        } else {
            self.evictions as f64 / self.had_to_leave as f64
        }
    }

    /// Takes one event in.
    pub fn observe(&mut self, event: &TruthEvent) {
        let at = event.at;
        match &event.what {
            Truth::PodAdded(facts) | Truth::PodChanged(facts) => self.pod(at, facts),
            Truth::PodGone { uid, .. } => self.gone(at, uid),
            Truth::Eviction {
                by,
                dry_run,
                answer,
                uid,
                ..
            } if self.controllers.contains(by) => match answer {
                EvictionAnswer::Accepted if !dry_run => {
                    self.evictions += u64::from(self.pods.get(uid).is_some_and(|p| !p.terminating));
                }
                EvictionAnswer::BudgetDenied if *dry_run => self.denied_dry_runs += 1,
                EvictionAnswer::BudgetDenied => self.denied += 1,
                EvictionAnswer::BudgetBehind => self.behind += 1,
                _ => {}
            },
            Truth::PodRemoval {
                why: crate::truth::Removal::Deleted { by, .. },
                ..
            } => {
                self.deletions += u64::from(self.controllers.contains(by));
            }
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
    }

    fn cordon(&mut self, at: Ms, node: &str, cordoned: bool) {
        if !cordoned {
            self.cordoned.remove(node);
            self.last = Some(at);
            self.turns.entry(node.to_owned()).or_default().uncordoned = Some(at);
            return;
        }
        self.first.get_or_insert(at);
        self.cordoned.insert(node.to_owned());
        self.most_cordoned = self.most_cordoned.max(self.cordoned.len() as u64);
        self.turns.insert(
            node.to_owned(),
            TurnTimes {
                cordoned: Some(at),
                ..TurnTimes::default()
            },
        );
        let here = self.on_node.get(node).into_iter().flatten();
        let leave: Vec<String> = here
            .filter(|uid| self.pods.get(*uid).is_some_and(must_leave))
            .cloned()
            .collect();
        if leave.is_empty() {
            self.turns.entry(node.to_owned()).or_default().drained = Some(at);
        }
        for uid in leave {
            // A pod and its successors are one pod that moves: only what was there before the run counts.
            self.had_to_leave += u64::from(self.counted.insert(uid));
        }
    }

    fn pod(&mut self, at: Ms, facts: &PodFacts) {
        let uid = &facts.uid;
        if facts.node.is_some() || facts.terminating {
            self.placed(at, uid);
        } else {
            self.pending_since.entry(uid.clone()).or_insert(at);
        }
        if let Some(node) = &facts.node {
            self.on_node.entry(node.clone()).or_default().insert(uid.clone());
        }
        if self.first.is_some() && !self.pods.contains_key(uid) {
            self.counted.insert(uid.clone());
        }
        self.pods.insert(uid.clone(), facts.clone());
    }

    fn gone(&mut self, at: Ms, uid: &str) {
        self.placed(at, uid);
        let Some(old) = self.pods.remove(uid) else { return };
        let Some(node) = old.node else { return };
        let Some(here) = self.on_node.get_mut(&node) else {
            return;
        };
        here.remove(uid);
        if self.cordoned.contains(&node) && !here.iter().any(|u| self.pods.get(u).is_some_and(must_leave)) {
            self.turns.entry(node).or_default().drained.get_or_insert(at);
        }
    }

    fn placed(&mut self, at: Ms, uid: &str) {
        if let Some(since) = self.pending_since.remove(uid) {
            self.pending_ms += at - since;
        }
    }
}

fn must_leave(pod: &PodFacts) -> bool {
    !pod.mirror && pod.owner_kind != "DaemonSet" && !matches!(pod.phase, Phase::Succeeded | Phase::Failed)
}
