//! What a checker is, and what it finds.

use serde::{Deserialize, Serialize};

use super::params::Params;
use super::view::ClusterView;
use crate::api::Ms;
use crate::truth::TruthEvent;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub at: Ms,
    /// `S1` to `S29`, or `services`.
    pub rule: String,
    pub text: String,
}

/// One rule.
pub trait Checker: Send {
    /// Its id.
    fn rule(&self) -> &'static str;

    /// What the event, happening in `view`, breaks.
    fn observe(&mut self, event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String>;
}
