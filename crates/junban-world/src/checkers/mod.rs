//! Checkers of the safety rules (docs/design/safety.md#invariants). They read the truth, never a controller's status.
//! Each judges an event against the view *before* that event.
//!
//! Some rules are about the caller's own objects (entries, slots, pause). Their checkers read the notes about these
//! objects; without notes they report nothing.

use crate::truth::TruthEvent;

pub mod params;
pub mod rule;
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

pub use params::{Groups, Params, PolicyLimits};
pub use rule::{Checker, Violation};
pub use view::ClusterView;

/// All rules, applied to one stream of truth.
pub struct Checkers {
    params: Params,
    view: ClusterView,
    rules: Vec<Box<dyn Checker>>,
    violations: Vec<Violation>,
}

impl Checkers {
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

    pub fn with(params: Params, rules: Vec<Box<dyn Checker>>) -> Self {
        Self {
            params,
            view: ClusterView::default(),
            rules,
            violations: Vec::new(),
        }
    }

    /// Judges one event; returns how many times it broke a rule.
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
        self.view.apply(event);
        self.violations.len() - before
    }

    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The parameters, to change when somebody edits a limit during the run.
    pub fn params(&mut self) -> &mut Params {
        &mut self.params
    }
}
