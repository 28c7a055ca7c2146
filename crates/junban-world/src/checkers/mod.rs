//! Checkers of the safety rules (docs/design/safety.md#invariants). They read the truth of
//! the world or of a real cluster, never a controller's status.
//! Each judges an event against the view *before* that event.
//!
//! Some rules are about the caller's own objects (entries, slots, pause). Their checkers read the notes about these
//! objects; without notes they report nothing.

use serde::{Deserialize, Serialize};

use crate::api::Ms;
use crate::truth::TruthEvent;

pub mod params;
mod s01_power_once;
mod s03_record_first;
mod s04_in_flight;
mod s04_limits;
mod s05_control_plane;
mod s06_drained;
mod s07_evictions;
mod s08_uid;
mod s09_cordons;
mod s10_proof;
mod s11_pause;
mod s13_one_turn;
mod s16_edges;
mod s17_failures;
mod s30_quorum;
mod services;
pub(crate) mod view;

pub use params::{Groups, Params, PolicyLimits, QuorumGroup};
use view::ClusterView;

/// One violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub at: Ms,
    /// `S1` to `S30`, or `services`.
    pub rule: String,
    pub text: String,
}

/// The rules that need only the event, the view before it and the parameters. Each returns one text for each way in
/// which the event breaks the rule.
#[expect(clippy::type_complexity, reason = "the type is used once")]
const RULES: [(&str, fn(&TruthEvent, &ClusterView, &Params) -> Vec<String>); 12] = [
    ("S4", s04_limits::judge),
    ("S4", s04_in_flight::judge),
    ("S5", s05_control_plane::judge),
    ("S6", s06_drained::judge),
    ("S7", s07_evictions::judge),
    ("S8", s08_uid::judge),
    ("S9", s09_cordons::judge),
    ("S10", s10_proof::judge),
    ("S11", s11_pause::judge),
    ("S13", s13_one_turn::judge),
    ("S16", s16_edges::judge),
    ("S17", s17_failures::judge),
];

/// The rules that need what no watch of a real cluster shows (docs/design/testbed.md#one-judge).
pub const ONLY_SIMULATED: &[&str] = &["S8"];

/// All rules, applied to one stream of truth.
pub struct Checkers {
    params: Params,
    left_out: &'static [&'static str],
    view: ClusterView,
    power_once: s01_power_once::PowerOnce,
    record_first: s03_record_first::RecordFirst,
    services: services::Services,
    quorum: s30_quorum::Quorum,
    violations: Vec<Violation>,
}

impl Checkers {
    pub fn new(params: Params) -> Self {
        Self {
            params,
            left_out: &[],
            view: ClusterView::default(),
            power_once: s01_power_once::PowerOnce::default(),
            record_first: s03_record_first::RecordFirst::default(),
            services: services::Services::default(),
            quorum: s30_quorum::Quorum::default(),
            violations: Vec::new(),
        }
    }

    /// For the truth of a [`crate::Mirror`]: without the rules of [`ONLY_SIMULATED`].
    pub fn of_watches(params: Params) -> Self {
        Self {
            left_out: ONLY_SIMULATED,
            ..Self::new(params)
        }
    }

    /// Takes in one event and judges nothing.
    pub fn learn(&mut self, event: &TruthEvent) {
        let before = self.violations.len();
        self.observe(event);
        self.violations.truncate(before);
    }

    /// Judges one event; returns how many times it broke a rule.
    pub fn observe(&mut self, event: &TruthEvent) -> usize {
        let (view, params) = (&self.view, &self.params);
        let mut broken = vec![
            ("S1", self.power_once.judge(event, view, params)),
            ("S3", self.record_first.judge(event, view)),
        ];
        broken.extend(RULES.map(|(rule, judge)| (rule, judge(event, view, params))));
        broken.push(("services", self.services.judge(event)));
        broken.push(("S30", self.quorum.judge(event, view, params)));
        let before = self.violations.len();
        for (rule, texts) in broken {
            if self.left_out.contains(&rule) {
                continue;
            }
            self.violations.extend(texts.into_iter().map(|text| Violation {
                at: event.at,
                rule: rule.to_owned(),
                text,
            }));
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
