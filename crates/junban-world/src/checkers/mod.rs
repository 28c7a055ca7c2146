//! Checkers of the safety rules (`safety.md` 2.1). Each reads the truth, never a controller's status,
//! and is evaluated at each event against the view *before* that event.
//!
//! A checker that needs the caller's own objects (entries, slots, pause) reads the notes about them;
//! without such notes it has nothing to say.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::api::{IntOrPercent, Map, Ms};
use crate::truth::TruthEvent;

pub mod s01_power_once;
pub mod s03_record_first;
pub mod s04_in_flight;
pub mod s04_limits;
pub mod s05_control_plane;
pub mod s06_drained;
pub mod s07_evictions;
pub mod s08_uid;
pub mod s09_cordons;
pub mod s10_proof;
pub mod s11_pause;
pub mod s13_one_turn;
pub mod s16_edges;
pub mod s17_failures;
pub mod services;
pub mod view;

pub use view::View;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub at: Ms,
    /// `S1` to `S29`, or `services`.
    pub rule: String,
    pub text: String,
}

/// What the rules depend on. The defaults are those of the objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The names under which the controller calls the API.
    pub controllers: BTreeSet<String>,
    pub max_unavailable: IntOrPercent,
    pub failures_max: IntOrPercent,
    /// Entries in flight.
    pub max_concurrent: IntOrPercent,
    /// By name.
    pub policies: BTreeMap<String, PolicyLimits>,
    /// Power actions of an entry without a retry.
    pub attempts: u64,
    pub boot_timeout_ms: Ms,
    /// How many of an owner's pods without a budget may be disrupted; a percentage rounds down, and one always may.
    pub unbudgeted: IntOrPercent,
    /// Namespaces in which a pod may be deleted.
    pub delete_allowed: BTreeSet<String>,
    /// Labels of the controller's own pods, which may stay.
    pub own_pods: Option<Map>,
    /// Pods with one of these labels and values may stay.
    pub may_stay: Vec<(String, String)>,
    /// A Node with this label counts nowhere.
    pub exclude_label: String,
    pub allow_quorum_loss: bool,
    /// For so long the controller cannot know what others did: watches lag, and status is late.
    pub lag_ms: Ms,
}

/// What a policy limits beyond the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyLimits {
    /// Entries in flight; `None` is no limit.
    pub max_concurrent: Option<i64>,
    pub groups: Option<Groups>,
}

/// Nodes that share the value of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The label's key.
    pub by: String,
    /// Groups open at a time.
    pub at_once: i64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            controllers: BTreeSet::from(["junban".to_owned()]),
            max_unavailable: IntOrPercent::Percent(10),
            failures_max: IntOrPercent::Percent(5),
            max_concurrent: IntOrPercent::Percent(100),
            policies: BTreeMap::new(),
            attempts: 1,
            boot_timeout_ms: 30 * 60_000,
            unbudgeted: IntOrPercent::Percent(10),
            delete_allowed: BTreeSet::new(),
            own_pods: None,
            may_stay: vec![("cluster.x-k8s.io/drain".into(), "skip".into())],
            exclude_label: "junban.dev/exclude".into(),
            allow_quorum_loss: false,
            lag_ms: 3000,
        }
    }
}

impl Params {
    fn ours(&self, by: &str) -> bool {
        self.controllers.contains(by)
    }
}

/// One rule.
pub trait Checker: Send {
    /// Its id.
    fn rule(&self) -> &'static str;

    /// What the event, happening in `view`, breaks.
    fn observe(&mut self, event: &TruthEvent, view: &View, params: &Params) -> Vec<String>;
}

/// All rules over one stream of truth.
pub struct Checkers {
    params: Params,
    view: View,
    rules: Vec<Box<dyn Checker>>,
    violations: Vec<Violation>,
}

impl Checkers {
    /// All rules.
    pub fn new(params: Params) -> Self {
        let rules: Vec<Box<dyn Checker>> = vec![
            Box::new(s01_power_once::PowerOnce::default()),
            Box::<s03_record_first::RecordFirst>::default(),
            Box::new(s04_limits::Limits),
            Box::new(s04_in_flight::InFlight),
            Box::new(s05_control_plane::ControlPlane),
            Box::new(s06_drained::Drained),
            Box::new(s07_evictions::Evictions),
            Box::new(s08_uid::UidGiven),
            Box::new(s09_cordons::Cordons),
            Box::new(s10_proof::Proof),
            Box::new(s11_pause::Pause),
            Box::new(s13_one_turn::OneTurn),
            Box::new(s16_edges::Edges),
            Box::new(s17_failures::Failures),
            Box::new(services::Services::default()),
        ];
        Self::with(params, rules)
    }

    /// These rules only.
    pub fn with(params: Params, rules: Vec<Box<dyn Checker>>) -> Self {
        Self {
            params,
            view: View::default(),
            rules,
            violations: Vec::new(),
        }
    }

    /// Takes one event in; returns how many rules it broke.
    pub fn observe(&mut self, event: &TruthEvent) -> usize {
        let before = self.violations.len();
        for rule in &mut self.rules {
            for text in rule.observe(event, &self.view, &self.params) {
                self.violations.push(Violation {
                    at: event.at,
                    rule: rule.rule().to_owned(),
                    text,
                });
            }
        }
        self.view.fold(event);
        self.violations.len() - before
    }

    /// Takes many events in; returns how many times a rule was broken.
    pub fn observe_all<'a>(&mut self, events: impl IntoIterator<Item = &'a TruthEvent>) -> usize {
        events.into_iter().map(|e| self.observe(e)).sum()
    }

    /// What was broken so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The cluster as of the events so far.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// To change what the rules depend on in mid-run (a limit was edited).
    pub fn params(&mut self) -> &mut Params {
        &mut self.params
    }
}
